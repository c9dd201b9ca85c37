"""Who must approve a step: one group or several, in stages, from different units, as many as an expression says."""

import pytest

from apps.access.models import Queue
from apps.core.errors import DomainError
from apps.oversight.models import EscalationGroup
from apps.oversight.services import cast_vote
from apps.workflows.models import Run
from apps.workflows.rules.definition import Voters
from tests.factories.access import grant, make_approver, make_role, make_user
from tests.factories.workflows import decide, make_run, make_workflow, open_item
from tests.workflows.test_planner import definition_from
from tests.workflows.world import World

HEAD = """
kind: Workflow
slug: s
name: S
unit: lab
input: {type: object, properties: {amount_minor: {type: integer}}}
steps:
  a:
    approval: {subject: "1"}
    queue: clerks
    due: {after: 1h}
"""
BOARD = f"""{HEAD}
    quorum:
    - n: 1
    - {{queue: board, n: "input.amount_minor > 100000 ? 2 : 0", stage: 2}}
"""


def asks(run: Run) -> dict[str, tuple[int, bool]]:
    """For each queue: how many are needed, and whether it is their turn."""
    groups = EscalationGroup.objects.filter(escalation__run_id=run.pk).select_related("queue")
    return {group.queue.slug: (group.needed, group.is_asked) for group in groups}


@pytest.mark.django_db
def test_the_board_is_asked_after_the_clerks_and_for_large_amounts_alone() -> None:
    workflow = make_workflow(BOARD)
    clerk = make_approver(Queue.objects.get(slug="clerks"))
    board = [make_approver(Queue.objects.get(slug="board")) for _ in range(2)]

    small = make_run(workflow, {"amount_minor": 100_000})
    assert asks(small) == {"clerks": (1, True)}
    decide(open_item(small), clerk, "approve")
    small.refresh_from_db()
    assert (small.state, small.outcome) == ("succeeded", "completed")

    large = make_run(workflow, {"amount_minor": 100_001})
    assert asks(large) == {"clerks": (1, True), "board": (2, False)}
    with pytest.raises(DomainError):
        cast_vote(board[0], escalation_id=open_item(large).pk, verdict="approve", version=1)
    for person in (clerk, *board):
        large.refresh_from_db()
        assert large.state == "waiting"
        decide(open_item(large), person, "approve")
    large.refresh_from_db()
    assert (large.state, large.outcome) == ("succeeded", "completed")


@pytest.mark.django_db
def test_two_people_of_one_unit_are_not_two_units() -> None:
    workflow = make_workflow(f"{HEAD}    quorum: {{n: 2, distinct_units: true}}\n")
    queue = Queue.objects.get(slug="clerks")
    for person in (colleagues := [make_user(), make_user()]):
        grant(person, queue.role, queue.unit)
    grant(afar := make_user(), queue.role)
    run = make_run(workflow, {"amount_minor": 1})
    for person in (*colleagues, afar):
        run.refresh_from_db()
        assert run.state == "waiting"
        decide(open_item(run), person, "approve")
    run.refresh_from_db()
    assert run.state == "succeeded"


@pytest.mark.django_db
def test_a_role_that_is_gone_when_people_are_asked_is_an_error_that_people_see() -> None:
    auditors = make_role("oversight.view_escalation", "oversight.decide_escalation")
    workflow = make_workflow(f"{HEAD}    quorum: [{{role: {auditors.slug}}}]\n")
    auditors.delete()
    run = make_run(workflow, {"amount_minor": 1})
    item = open_item(run)
    assert item.kind == "exception"
    assert auditors.slug in str(item.subject)


@pytest.mark.parametrize(
    ("quorum", "amount_minor", "asked"),
    [
        ("2", 1, (Voters(2),)),
        ('"input.amount_minor"', 3, (Voters(3),)),
        ('{n: "input.amount_minor", role: r}', 3, (Voters(3, role="r"),)),
        ('[{n: "input.amount_minor"}, {queue: b, stage: 2}]', 0, (Voters(1, "b", stage=2),)),
    ],
)
def test_who_is_asked_is_known_when_the_step_is_entered(
    quorum: str, amount_minor: int, asked: tuple[Voters, ...]
) -> None:
    world = World(definition_from(f"{HEAD}    quorum: {quorum}\n"), {"amount_minor": amount_minor}).start()
    assert world.asked["a"].groups == asked


@pytest.mark.parametrize(
    ("quorum", "amount_minor"),
    [
        ('"input.amount_minor"', 0),
        ('{n: "input.amount_minor"}', 0),
        ('[{n: "input.amount_minor"}, {queue: b}]', -1),
        ('[{n: "input.amount_minor"}, {queue: b}]', 21),
        ('[{n: "input.amount_minor"}, {queue: b, n: "input.amount_minor"}]', 0),
    ],
)
def test_nobody_or_a_crowd_is_an_error_and_not_an_approval(quorum: str, amount_minor: int) -> None:
    world = World(definition_from(f"{HEAD}    quorum: {quorum}\n"), {"amount_minor": amount_minor}).start()
    assert "a" not in world.asked
    assert world.exceptions[0].code == "expression_error"
