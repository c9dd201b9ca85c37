"""What was released and has not begun when a halt comes, by every scope a halt can have."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.access.models import Queue
from apps.agents.models import Action
from apps.agents.rules import AgentState
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp, User
from apps.halts.models import Halt
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation, Grant
from apps.oversight.tasks import sweep_escalations
from apps.workflows.tasks.actions import return_stopped
from tests.factories.access import make_admin, make_approver, make_queue, make_unit
from tests.factories.agents import make_agent
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, rules_of, the_action, the_item, work

pytestmark = pytest.mark.django_db


def approved() -> Desk:
    """A desk with one payment that a person approved and that has not begun."""
    desk = make_desk()
    assert desk.ask(250_000).status_code == 202
    assert Person(desk.approver).decide(the_item()).status_code == 200
    deliver_reactions()
    return desk


def states_of(*desks: Desk) -> list[str]:
    return [Action.objects.get(agent=desk.agent).state for desk in desks]


def engage(scope: str, target: str = "", *, by: User | None = None) -> Halt:
    halt = engage_halt(by or make_admin(), scope=scope, target=target, reason="odd payments")
    deliver_reactions()
    return halt


def lift(halt: Halt) -> None:
    lift_halt(make_admin(), halt_id=halt.pk, reason="It was a test.")
    deliver_reactions()
    return_stopped()


COVERING: dict[str, Callable[[Desk], str]] = {
    "everything": lambda desk: "",
    "unit": lambda desk: desk.agent.unit.slug,
    "agent": lambda desk: desk.agent.slug,
    "version": lambda desk: desk.agent.acts_as,
    "connector": lambda desk: desk.operation.connector.slug,
    "operation": lambda desk: desk.operation.slug,
}
BESIDE: dict[str, Callable[[Desk], str]] = {
    "unit": lambda desk: make_unit().slug,
    "agent": lambda desk: make_agent().slug,
    "version": lambda desk: f"{desk.agent.slug}@99",
    "connector": lambda desk: "another",
    "operation": lambda desk: "another.pay",
    "workflow": lambda desk: "another",
}


@pytest.mark.parametrize("scope", COVERING)
def test_a_halt_takes_back_what_it_covers_and_lifting_asks_again(scope: str) -> None:
    desk = approved()
    halt = engage(scope, COVERING[scope](desk))
    assert (Grant.objects.get().state, the_action().state) == ("revoked", "approved")
    lift(halt)
    assert (the_action().state, the_item().supersedes is not None) == ("pending_approval", True)


@pytest.mark.parametrize("scope", BESIDE)
def test_a_halt_beside_it_takes_nothing(scope: str) -> None:
    desk = approved()
    lift(engage(scope, BESIDE[scope](desk)))
    assert (Grant.objects.get().state, the_action().state) == ("live", "approved")


def test_people_are_asked_when_the_last_halt_over_it_is_lifted() -> None:
    desk = approved()
    first, second = engage("everything"), engage("agent", desk.agent.slug)
    lift(first)
    assert the_action().state == "approved"
    lift(second)
    assert the_action().state == "pending_approval"


def test_what_may_not_be_asked_for_any_more_has_failed() -> None:
    desk = approved()
    halt = engage("everything")
    change_state(make_admin(), agent=desk.agent, to=AgentState.SUSPENDED, reason="x")
    lift(halt)
    action = the_action()
    assert (action.state, action.error and action.error["code"]) == ("failed", "agent_inactive")


def test_what_cannot_be_judged_now_is_tried_again_and_holds_up_nothing_else() -> None:
    desk, other = approved(), approved()
    halt = engage("everything")
    Queue.objects.filter(pk=desk.queue.pk).update(slug="gone")
    lift(halt)
    assert states_of(desk, other) == ["approved", "pending_approval"]
    with only():
        assert return_stopped() == 0
    Queue.objects.filter(pk=desk.queue.pk).update(slug=desk.queue.slug)
    assert return_stopped() == 1
    assert states_of(desk, other) == ["pending_approval", "pending_approval"]


def test_a_halt_followed_late_takes_back_nothing_that_was_released_behind_it() -> None:
    desk = approved()
    admin, other = make_admin(), make_admin()
    halt = engage_halt(admin, scope="agent", target=desk.agent.slug, reason="x")
    lift_halt(other, halt_id=halt.pk, reason="y")
    assert desk.ask(260_000).status_code == 202
    assert Person(desk.approver).decide(the_item()).status_code == 200
    deliver_reactions()
    return_stopped()
    states = Grant.objects.order_by("id").values_list("state", "action__state")
    assert list(states) == [("revoked", "pending_approval"), ("live", "approved")]


@pytest.mark.parametrize("halts", [True, False])
def test_who_is_asked_again_is_asked_for_what_both_verdicts_demand(system: Any, halts: bool) -> None:
    desk = make_desk(system.url, obligations={"quorum": 2, "exclude": ["agent_owner"], "hold": "1h"})
    desk.ask(250_000)
    for approver in (desk.approver, make_approver(desk.queue)):
        assert Person(approver).decide(the_item()).status_code == 200
    Escalation.objects.update(releases_at=ClockTimestamp())
    sweep_escalations()
    assert the_action().state == "approved"
    halt = engage("everything") if halts else None
    legal = make_queue(unit=desk.agent.unit)
    rules_of(
        desk,
        {"slug": "one", "effect": "require_approval", "queue": desk.queue.slug, "obligations": {"step_up": True}},
        {"slug": "legal", "effect": "require_approval", "queue": legal.slug},
    )
    if halt:
        lift(halt)
    work()
    item = the_item()
    assert {group.queue.slug: group.needed for group in item.group_list()} == {desk.queue.slug: 2, legal.slug: 1}
    assert (item.exclude, item.hold_s, item.step_up) == (["agent_owner"], 3600, True)
    assert (the_action().verdict["obligations"]["quorum"], system.asked) == (2, [])


def test_what_joined_while_it_waited_is_demanded_again() -> None:
    desk = make_desk(obligations={"quorum": 2})
    desk.ask(250_000)
    rules_of(
        desk,
        {"slug": "one", "effect": "require_approval", "queue": desk.queue.slug, "obligations": {"hold": "1h"}},
    )
    sweep_escalations()
    for approver in (desk.approver, make_approver(desk.queue)):
        assert Person(approver).decide(the_item(), version=2).status_code == 200
    Escalation.objects.update(releases_at=ClockTimestamp())
    sweep_escalations()
    lift(engage("everything"))
    item = the_item()
    assert ([group.needed for group in item.group_list()], item.hold_s) == ([2], 3600)


COPIES = (
    "INSERT INTO agents_action SELECT (jsonb_populate_record(a, jsonb_build_object('id', uuidv7()))).*"
    " FROM agents_action a, generate_series(1, %s)",
    "INSERT INTO oversight_grant"
    " SELECT (jsonb_populate_record(g, jsonb_build_object('id', uuidv7(), 'action_id', a.id))).*"
    " FROM oversight_grant g JOIN agents_action a ON a.id <> g.action_id AND %s > 0",
)
"""Statements that multiply the one approved action and its grant."""


def test_a_halt_of_everything_takes_back_however_much_was_released() -> None:
    approved()
    with connection.cursor() as cursor:
        for copies in COPIES:
            cursor.execute(copies, [6000])
    engage("everything")
    assert Grant.objects.filter(state="revoked").count() == 6001
    assert Entry.objects.filter(name="grant.revoked").count() == 6001
