"""Actions that agents carry out themselves and never report."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.agents.rules import REPORT_WITHIN_S
from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp
from apps.oversight.models import Grant
from apps.workflows.tasks.actions import raise_unreported
from tests.factories.access import make_admin
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, the_item

pytestmark = pytest.mark.django_db
RAISED = (
    "-1 action executing", "+1 action unknown", "+1 entry action.unknown", "+1 escalation pending",
    "+1 entry escalation.pending", "+1 escalationgroup open",
)  # fmt: skip


def begun() -> tuple[Desk, Callable[[], Any], Callable[..., Any]]:
    """A desk whose agent has begun a payment; how the action is now, and the agent's report."""
    desk = make_desk(execution="agent")
    asked = desk.ask(50_000, execution="agent").json()
    path = f"actions/{asked['id']}/"
    assert desk.post(f"{path}consume/", {"digest": asked["digest"]}).status_code == 200
    return (
        desk,
        lambda: desk.get(path).json(),
        lambda **said: desk.post(f"{path}outcome/", {"succeeded": True, **said}),
    )


def later() -> None:
    """The time in which the agent should have reported is over."""
    Grant.objects.update(consumed_at=ClockTimestamp() - timedelta(seconds=REPORT_WITHIN_S))


def move(desk: Desk, state: str) -> None:
    """An admin moves the agent along its life."""
    admin = Person(make_admin())
    assert admin.post(f"/agents/{desk.agent.slug}/state/", {"state": state, "reason": "x"}).status_code == 200


def test_within_its_time_nobody_is_asked() -> None:
    _, now, _ = begun()
    with only():
        assert raise_unreported() == 0
    assert now()["state"] == "executing"


@pytest.mark.parametrize(("answer", "state"), [("succeeded", "succeeded"), ("failed", "failed")])
def test_an_agent_that_is_suspended_half_way_leaves_a_question_to_people(answer: str, state: str) -> None:
    desk, now, report = begun()
    ada = Person(desk.approver)
    move(desk, "suspended")
    with only("+1 entry request.refused"):
        assert report().json()["code"] == "agent_inactive"
        assert raise_unreported() == 0
    later()
    with only(*RAISED):
        assert raise_unreported() == 1
        assert raise_unreported() == 0
    item = the_item()
    assert (now()["state"], now()["error"]["code"], item.kind) == ("unknown", "not_reported", "unknown")
    assert "The agent began it and did not say what came of it." in ada.page(f"/inbox/{item.pk}/")
    assert ada.decide(item, "answer", answer=answer).json()["state"] == "answered"
    with only("-1 action unknown", f"+1 action {state}", f"+1 entry action.{state}", "+2 notice"):
        deliver_reactions()
    assert now()["state"] == state


def test_a_retired_agent_cannot_report_any_more_so_people_are_asked_at_once() -> None:
    desk, _, _ = begun()
    move(desk, "retired")
    with only(*RAISED):
        assert raise_unreported() == 1
    deliver_reactions()
    assert the_item().state == "pending"


def test_a_late_report_is_heard_and_nobody_is_asked_any_more() -> None:
    desk, now, report = begun()
    ada = Person(desk.approver)
    later()
    raise_unreported()
    item = the_item()
    with only(
        "-1 action unknown", "+1 action succeeded", "+1 entry action.succeeded", "-1 escalation pending",
        "+1 escalation cancelled", "+1 entry escalation.cancelled", "-1 escalationgroup open",
        "+1 escalationgroup closed",
    ):  # fmt: skip
        assert report(result={"paid": True}).json()["state"] == "succeeded"
    assert ada.decide(item, "answer", answer="failed").json()["code"] == "cancelled"
    assert now()["result"] == {"paid": True}


def test_behind_a_person_s_answer_a_report_is_refused() -> None:
    desk, now, report = begun()
    ada = Person(desk.approver)
    later()
    raise_unreported()
    ada.decide(the_item(), "answer", answer="failed")
    deliver_reactions()
    with only("+1 entry request.refused"):
        late = report()
    assert (late.status_code, late.json()["code"], now()["state"]) == (409, "invalid_state", "failed")


@pytest.mark.parametrize("hold_s", [0, 30])
def test_what_a_person_said_stands_also_before_it_is_followed(hold_s: int) -> None:
    desk, now, report = begun()
    later()
    raise_unreported()
    item = the_item()
    Person(desk.approver).decide(item, "answer", answer="failed", hold_s=hold_s)
    with only("+1 entry request.refused"):
        late = report()
    item.refresh_from_db()
    assert (late.status_code, late.json()["detail"]) == (409, "A person has said what happened; that stands.")
    assert (now()["state"], item.state) == ("unknown", "held" if hold_s else "answered")
    deliver_reactions()
    assert now()["state"] == ("unknown" if hold_s else "failed")
