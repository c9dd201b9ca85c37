"""Calls of tools that were made although nobody had allowed them, and which action is whose."""

from datetime import timedelta
from typing import Any

import pytest

from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.audit.services import record
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.notifications.models import Notice
from apps.telemetry.models import Span, ToolFinding
from apps.telemetry.selectors import coverage_for
from tests.factories.access import make_holder
from tests.factories.agents import make_agent
from tests.factories.telemetry import SECOND, now_ns
from tests.factories.workflows import deliver_all
from tests.oversight.test_api import caller, post
from tests.telemetry.test_tools import VIEW, asked, call, signed_in, tell

pytestmark = pytest.mark.django_db
ENDS = {"denied": "denied", "rejected": "rejected", "changes_requested": "rejected", "expired": "lapsed"}


@pytest.fixture
def agent() -> Agent:
    return make_agent()


def ended(action: Action, ago_s: int = 0) -> Action:
    Action.objects.filter(pk=action.pk).update(finished_at=ClockTimestamp() - timedelta(seconds=ago_s))
    return action


@pytest.mark.parametrize("state", [*ENDS, "pending_approval"])
def test_a_call_although_it_was_refused_or_still_waits_is_ungoverned_and_says_so(agent: Agent, state: str) -> None:
    action = asked(agent, 60, state=state)
    if state in ENDS:
        ended(action)
    assert tell(agent, call(1)) == ["ungoverned"]
    row = Span.objects.get()
    assert (row.despite, row.despite_action, row.governed_by) == (ENDS.get(state, "waiting"), action.pk, None)
    assert coverage_for(agent.owner, agent).ungoverned == 1


def test_naming_the_refused_action_does_not_govern_it_either(agent: Agent) -> None:
    action = ended(asked(agent, 60, state="denied"))
    assert tell(agent, call(1, "send money", attributes={"acp.action.id": str(action.pk)})) == ["ungoverned"]
    assert Span.objects.get().despite_action == action.pk


def test_a_call_before_people_agreed_had_not_waited(agent: Agent) -> None:
    action = asked(agent, 4 * 3600)
    record(system_user("plane"), action, "action.approved", payload={"from": "pending_approval", "to": "approved"})
    early = now_ns() - 3600 * SECOND
    assert tell(agent, call(1, ended_ns=early), call(2)) == ["ungoverned", "governed"]
    assert Span.objects.get(span_id__endswith="1").despite == "waiting"


def test_what_was_refused_an_hour_ago_is_held_against_a_call_and_what_was_yesterday_is_not(agent: Agent) -> None:
    ended(asked(agent, 3000, state="denied"), 2400)
    ended(asked(agent, 86_400, state="denied", operation="mail.send"), 86_000)
    tell(agent, call(1), call(2, "mail.send"))
    assert list(Span.objects.order_by("span_id").values_list("despite", flat=True)) == ["denied", ""]


def test_one_refusal_stands_against_every_call_and_an_allowed_action_goes_first(agent: Agent) -> None:
    ended(asked(agent, state="denied"))
    allowed = asked(agent, 30)
    assert tell(agent, call(1), call(2), call(3)) == ["governed", "ungoverned", "ungoverned"]
    assert Span.objects.get(span_id__endswith="1").governed_by == allowed.pk
    assert Span.objects.filter(despite="denied").count() == 2


def test_the_owner_is_told_once_and_what_was_dismissed_is_open_again(agent: Agent) -> None:
    tell(agent, call(1))
    finding, client = ToolFinding.objects.get(), caller(agent.owner)
    post(client, f"/api/v1/tool-findings/{finding.pk}/dismiss/", {"reason": "It only looks."})
    ended(asked(agent, state="denied"))
    tell(agent, call(2), call(3))
    tell(agent, call(4))
    entry = Entry.objects.get(name="agent.acted_despite")
    assert (entry.subject_id, entry.payload) == (agent.pk, {"tools": ["bank_pay"], "calls": 2, "why": ["denied"]})
    deliver_all()
    assert "Acted although it was not allowed" in {str(notice.headline) for notice in Notice.objects.all()}
    row = client.get("/api/v1/tool-findings/?state=open").json()["results"][0]
    assert row["despite_at"]
    assert Entry.objects.filter(name="agent.acted_unasked").count() == 1


@pytest.mark.parametrize("state", ["denied", "cancelled", "expired"])
def test_a_call_after_what_was_allowed_was_taken_back_is_held_against_the_agent(agent: Agent, state: str) -> None:
    action = ended(asked(agent, 7200, state=state), 3600)
    record(system_user("plane"), action, "action.approved", payload={"from": "proposed", "to": "approved"})
    late = call(1, attributes={"acp.action.id": str(action.pk)})
    assert tell(agent, late) == ["ungoverned"]
    assert Span.objects.get().despite == ENDS.get(state, "lapsed")


def test_what_is_sent_late_opens_nothing_again(agent: Agent) -> None:
    ended(asked(agent, 600, state="denied"), 500)
    tell(agent, call(1))
    noted = ToolFinding.objects.get()
    post(caller(agent.owner), f"/api/v1/tool-findings/{noted.pk}/dismiss/", {"reason": "Seen."})
    tell(agent, call(2, ended_ns=now_ns() - 60 * SECOND))
    after = ToolFinding.objects.get()
    assert (after.despite_at, after.dismiss_reason) == (noted.despite_at, "Seen.")
    assert Entry.objects.filter(name="agent.acted_despite").count() == 1


def test_only_what_nobody_was_asked_about_is_told_as_unasked(agent: Agent) -> None:
    ended(asked(agent, state="denied"))
    tell(agent, call(1))
    assert list(Entry.objects.filter(name__startswith="agent.acted").values_list("name", flat=True)) == [
        "agent.acted_despite"
    ]


def test_pages_and_endpoints_say_what_it_is(agent: Agent) -> None:
    action = ended(asked(agent, state="denied"))
    tell(agent, call(1))
    row, reader = Span.objects.get(), make_holder(VIEW, unit=agent.unit)
    told = caller(reader).get(f"/api/v1/spans/{row.pk}/").json()
    assert (told["despite"], told["despite_action"]) == ("denied", str(action.pk))
    page = signed_in(reader)
    words = "made although the plane had denied it"
    assert words in page.get(f"/spans/{row.pk}/").content.decode()
    assert words in page.get("/tool-findings/").content.decode()
    assert "Used although not allowed" in page.get("/tool-findings/").content.decode()
    assert "Not allowed" in page.get("/spans/").content.decode()


def test_of_calls_in_one_action_s_trace_the_one_that_is_called_so_is_its_call(agent: Agent) -> None:
    action = asked(agent, 60)
    inside: Any = {"trace": action.pk.hex, "parentSpanId": action.pk.hex[16:]}
    earlier = call(1, "look_up", ended_ns=now_ns() - 20 * SECOND, **inside)
    assert tell(agent, earlier, call(2, **inside)) == ["ungoverned", "governed"]
    assert Span.objects.get(span_id__endswith="2").governed_by == action.pk


def test_a_call_elsewhere_that_is_called_so_goes_before_one_that_only_stands_there(agent: Agent) -> None:
    action = asked(agent, 60)
    inside: Any = {"trace": action.pk.hex, "parentSpanId": action.pk.hex[16:]}
    assert tell(agent, call(1, "odd", **inside), call(2)) == ["ungoverned", "governed"]


def test_a_later_call_opens_it_again_whenever_it_says_that_it_began(agent: Agent) -> None:
    ended(asked(agent, 60, state="denied"))
    tell(agent, call(1))
    finding = ToolFinding.objects.get()
    post(caller(agent.owner), f"/api/v1/tool-findings/{finding.pk}/dismiss/", {"reason": "Seen."})
    assert ToolFinding.objects.get().dismissed_at
    tell(agent, call(2, startTimeUnixNano="1000"))
    assert ToolFinding.objects.get().dismissed_at is None
