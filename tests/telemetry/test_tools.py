"""Tools that agents used: whether the plane was asked about the call, and what follows where it was not."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.notifications.models import Notice
from apps.telemetry.models import Span, ToolFinding
from apps.telemetry.rules.tools import ToolCall
from apps.telemetry.selectors import coverage_for, coverage_of_all_for, examples_for, findings_for
from apps.telemetry.services import judge_tool_calls
from apps.telemetry.services.tools import LATE_S
from apps.workflows.models import Interrupt, InterruptCall, Run
from apps.workflows.services import claim_tasks
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.telemetry import SECOND, body_of, now_ns, rejected, send, span
from tests.factories.workflows import deliver_all, make_run, make_worker, make_workflow
from tests.oversight.edge_cases.census import only
from tests.oversight.test_api import caller, nothing_but_a_note, post

pytestmark = pytest.mark.django_db
VIEW, MANAGE = "agents.view_agent", "agents.manage_agent"
PAY = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "bank_pay"}


@pytest.fixture
def agent() -> Agent:
    return make_agent()


def call(number: int, tool: str = "bank_pay", **fields: Any) -> dict[str, Any]:
    more = fields.pop("attributes", {})
    return span(number, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool, **more}, **fields)


def tell(agent: Agent, *spans: dict[str, Any]) -> list[str]:
    """Send spans, let the time pass in which others may arrive, and judge: what became of each, by its number."""
    assert rejected(send(agent, body_of(*spans))) == 0
    return judged()


def judged() -> list[str]:
    Span.objects.update(created_at=ClockTimestamp() - timedelta(seconds=LATE_S + 1))
    judge_tool_calls()
    return list(Span.objects.order_by("span_id").values_list("tool_call", flat=True))


def asked(agent: Agent, ago_s: int = 0, **fields: Any) -> Action:
    """An action of the agent that was asked for so long before the spans end, and allowed at once."""
    action = make_action(agent=agent, **{"state": "approved", **fields})
    Action.objects.filter(pk=action.pk).update(created_at=ClockTimestamp() - timedelta(seconds=ago_s))
    return action


@pytest.mark.parametrize("tool", ["bank.pay", "bank_pay", "Bank-Pay"])
def test_a_call_by_the_name_of_an_action_at_its_time_is_governed(agent: Agent, tool: str) -> None:
    action = asked(agent)
    assert tell(agent, call(1, tool)) == ["governed"]
    assert Span.objects.get().governed_by == action.pk
    assert not ToolFinding.objects.exists()


def test_openinference_names_a_tool_in_its_own_words_and_a_span_by_its_name(agent: Agent) -> None:
    spans = [
        span(1, {"openinference.span.kind": "TOOL", "tool.name": "search"}),
        span(2, {"gen_ai.operation.name": "execute_tool"}, name="execute_tool look"),
        span(3, {"gen_ai.operation.name": "chat", "gen_ai.tool.name": "no call"}),
    ]
    assert tell(agent, *spans) == ["ungoverned", "ungoverned", ""]
    assert set(ToolFinding.objects.values_list("tool", flat=True)) == {"search", "look"}


def test_one_action_governs_one_call(agent: Agent) -> None:
    asked(agent)
    assert tell(agent, call(1), call(2)) == ["governed", "ungoverned"]
    assert judged() == ["governed", "ungoverned"]
    assert tell(agent, call(3)) == ["governed", "ungoverned", "ungoverned"]


def test_another_tool_another_agent_another_time_and_a_test_govern_nothing(agent: Agent) -> None:
    asked(make_agent())
    asked(agent, operation="bank.read")
    asked(agent, environment="test")
    over = asked(agent, ago_s=3600)
    Action.objects.filter(pk=over.pk).update(finished_at=ClockTimestamp() - timedelta(seconds=3000))
    assert tell(agent, call(1), call(2, ended_ns=now_ns() - 7200 * SECOND)) == ["ungoverned", "ungoverned"]


def test_a_clock_that_says_years_reaches_back_some_days_and_no_further(agent: Agent) -> None:
    over = asked(agent, ago_s=10 * 86_400)
    Action.objects.filter(pk=over.pk).update(finished_at=ClockTimestamp() - timedelta(days=9))
    assert tell(agent, call(1, startTimeUnixNano="1")) == ["ungoverned"]
    asked(agent, ago_s=86_400)
    assert tell(agent, call(2, startTimeUnixNano="1")) == ["ungoverned", "governed"]


def test_what_waited_for_people_for_hours_governs_the_call_that_follows(agent: Agent) -> None:
    asked(agent, ago_s=6 * 3600, state="approved")
    assert tell(agent, call(1)) == ["governed"]


def test_an_action_that_is_named_governs_whatever_the_tool_is_called_and_comes_first(agent: Agent) -> None:
    action = asked(agent)
    named = {"acp.action.id": str(action.pk)}
    assert tell(agent, call(1), call(2, "send money", attributes=named)) == ["ungoverned", "governed"]


def test_standing_somewhere_below_an_action_is_not_enough_but_right_in_its_trace_is(agent: Agent) -> None:
    action, other = asked(agent), asked(agent)
    top = span(1, {"acp.action.id": str(action.pk)})
    inside = {"trace": other.pk.hex, "parentSpanId": other.pk.hex[16:]}
    assert tell(agent, top, call(2, "delete", parent=1), call(3, "odd", **inside)) == ["", "ungoverned", "governed"]


def test_in_a_run_only_an_action_of_that_run_counts() -> None:
    run: Run = make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))
    worker = make_worker(run.workflow, "order.check")
    (task,) = claim_tasks(worker.user)
    named = {"acp.task.id": str(task.pk)}
    asked(worker)
    assert tell(worker, call(1, attributes=named)) == ["ungoverned"]
    asked(worker, run_id=run.pk)
    assert tell(worker, call(2, attributes=named)) == ["ungoverned", "governed"]


def test_a_wrapper_and_its_client_tell_of_one_call(agent: Agent) -> None:
    asked(agent)
    assert tell(agent, call(1), span(2, {}, parent=1), call(3, parent=2)) == ["governed", "", "repeat"]
    late = [call(12, trace="2" * 32, parent=11)]
    assert tell(agent, *late)[-1] == "ungoverned"
    assert tell(agent, call(11, trace="2" * 32))[3:] == ["repeat", "ungoverned"]


def test_a_framework_s_own_name_for_a_call_is_known_from_its_interrupt(agent: Agent) -> None:
    action = asked(agent)
    interrupt = Interrupt.objects.create(principal=agent.user, unit=agent.unit, shape="human_interrupt")
    InterruptCall.objects.create(interrupt=interrupt, position=0, name="Send Money", action=action, digest="d")
    assert tell(agent, call(1, "send_money")) == ["governed"]


def test_nothing_is_judged_while_more_may_arrive(agent: Agent) -> None:
    send(agent, body_of(call(1)))
    assert judge_tool_calls() == 0
    assert Span.objects.get().tool_call == ToolCall.OPEN
    assert judged() == ["ungoverned"]


def test_a_test_key_sends_no_spans(agent: Agent) -> None:
    answer = send(agent, body_of(call(1)), Authorization=f"Bearer {make_key_for(agent, environment='test')}")
    assert (answer.status_code, answer.json()["code"]) == (403, "live_only")
    assert not Span.objects.exists()


def test_the_owner_is_told_once_however_many_tools_and_calls(agent: Agent) -> None:
    with only("+1 agentcredential", "+1 spancount", "+3 span", "+2 toolfinding", "+1 entry agent.acted_unasked"):
        tell(agent, call(1, "search"), call(2, "search"), call(3, "browse"))
    tell(agent, call(4, "search"), call(5, "a third"))
    entry = Entry.objects.get(name="agent.acted_unasked")
    assert (entry.subject_id, entry.payload) == (agent.pk, {"tools": ["browse", "search"], "calls": 3})
    deliver_all()
    notice = Notice.objects.get()
    assert (notice.agent, str(notice.headline)) == (agent, "Uses tools without asking")
    assert sorted(ToolFinding.objects.values_list("tool", flat=True)) == ["a third", "browse", "search"]


def test_after_everything_was_dismissed_a_new_tool_is_told_of_and_a_dismissed_one_is_not(agent: Agent) -> None:
    tell(agent, call(1, "search"))
    post(caller(agent.owner), f"/api/v1/tool-findings/{ToolFinding.objects.get().pk}/dismiss/", {"reason": "Ours."})
    tell(agent, call(2, "search"))
    assert Entry.objects.filter(name="agent.acted_unasked").count() == 1
    tell(agent, call(3, "browse"))
    assert Entry.objects.filter(name="agent.acted_unasked").count() == 2


def test_coverage_is_of_all_that_was_seen_dismissed_or_not_and_none_of_nothing(agent: Agent) -> None:
    client = caller(agent.owner)
    told = client.get(f"/api/v1/agents/{agent.slug}/coverage/").json()
    assert (told["seen"], told["value"], told["low"], told["high"]) == (0, None, None, None)
    asked(agent)
    tell(agent, call(1), call(2, "search"), call(3, "search"), call(4, "browse"))
    finding = ToolFinding.objects.get(tool="search")
    post(client, f"/api/v1/tool-findings/{finding.pk}/dismiss/", {"reason": "It only looks."})
    told = client.get(f"/api/v1/agents/{agent.slug}/coverage/").json()
    assert (told["seen"], told["governed"], told["ungoverned"], told["dismissed"]) == (4, 1, 3, 2)
    assert told["value"] == 0.25
    assert told["low"] < 0.25 < told["high"]
    assert coverage_of_all_for(agent.owner) == coverage_for(agent.owner, agent)


def test_what_is_older_than_a_month_is_not_in_it(agent: Agent) -> None:
    tell(agent, call(1))
    Span.objects.update(
        started_at=ClockTimestamp() - timedelta(days=31), ended_at=ClockTimestamp() - timedelta(days=31)
    )
    assert coverage_for(agent.owner, agent).seen == 0
    assert findings_for(agent.owner).get().calls is None  # type: ignore[attr-defined]


def test_strangers_see_none_and_dismiss_none(agent: Agent) -> None:
    tell(agent, call(1))
    finding = ToolFinding.objects.get()
    for stranger in (make_user(), make_holder(VIEW, MANAGE, unit=make_unit()), make_agent().owner):
        client = caller(stranger)
        assert client.get("/api/v1/tool-findings/").json()["results"] == []
        assert client.get(f"/api/v1/agents/{agent.slug}/coverage/").status_code == 404
        assert coverage_for(stranger, agent).seen == coverage_of_all_for(stranger).seen == 0
        assert examples_for(stranger, [finding]) == {}
        with nothing_but_a_note():
            assert post(client, f"/api/v1/tool-findings/{finding.pk}/dismiss/", {"reason": "No."}).status_code == 404


def test_who_sees_the_agent_sees_them_and_its_owner_or_who_may_suspend_it_dismisses_once(agent: Agent) -> None:
    tell(agent, call(1), call(2), call(3), call(4), call(5, "search"))
    reader, manager = make_holder(VIEW, unit=agent.unit), make_holder(VIEW, MANAGE, unit=agent.unit)
    rows = caller(reader).get("/api/v1/tool-findings/?state=open").json()["results"]
    assert {(row["tool"], row["calls"], row["may_dismiss"]) for row in rows} == {
        ("bank_pay", 4, False),
        ("search", 1, False),
    }
    finding = ToolFinding.objects.get(tool="bank_pay")
    assert len(examples_for(reader, [finding])[finding.pk]) == 3
    address = f"/api/v1/tool-findings/{finding.pk}/dismiss/"
    with nothing_but_a_note():
        assert post(caller(reader), address, {"reason": "I may not."}).status_code == 403
        assert list(post(caller(manager), address, {"reason": " "}).json()["errors"]) == ["reason"]
    manager_client = caller(manager)
    with only("+1 entry agent.tool_dismissed"):
        told = post(manager_client, address, {"reason": "Tried by hand."}).json()
    assert (told["state"], told["reason"], told["dismissed_by"]) == ("dismissed", "Tried by hand.", manager.username)
    with nothing_but_a_note():
        assert post(caller(agent.owner), address, {"reason": "Me too."}).status_code == 409
    assert [row["tool"] for row in caller(reader).get("/api/v1/tool-findings/?state=open").json()["results"]] == [
        "search"
    ]


def test_an_agent_sees_its_own_without_what_people_say_and_dismisses_none(agent: Agent) -> None:
    tell(agent, call(1))
    finding = ToolFinding.objects.get()
    post(caller(agent.owner), f"/api/v1/tool-findings/{finding.pk}/dismiss/", {"reason": "canary-8"})
    headers = {"Authorization": f"Bearer {make_key_for(agent)}"}
    answer = Client().get("/api/v1/tool-findings/", headers=headers)
    assert [row["tool"] for row in answer.json()["results"]] == ["bank_pay"]
    assert "canary-8" not in answer.content.decode()
    with only("+1 entry request.refused"):
        refused = Client().post(
            f"/api/v1/tool-findings/{finding.pk}/dismiss/", {"reason": "Fine."}, "application/json", headers=headers
        )
    assert refused.status_code == 403


def test_what_is_no_filter_is_refused() -> None:
    for query in ("state=maybe", "colour=blue"):
        assert caller(make_user()).get(f"/api/v1/tool-findings/?{query}").status_code == 422


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_page_lists_them_with_examples_and_takes_a_reason(agent: Agent) -> None:
    tell(agent, call(1, "search the web"))
    finding, client = ToolFinding.objects.get(), signed_in(agent.owner)
    text = client.get("/tool-findings/").content.decode()
    assert "search the web" in text
    assert "The last calls" in text
    with only():
        refused = client.post(f"/tool-findings/{finding.pk}/dismiss/", {"reason": " "})
    assert refused.status_code == 422
    assert "Say why." in refused.content.decode()
    assert client.post(f"/tool-findings/{finding.pk}/dismiss/", {"reason": "It looks."}).status_code == 302
    assert "search the web" not in client.get("/tool-findings/").content.decode()
    assert "It looks." in client.get("/tool-findings/?state=all").content.decode()
    assert signed_in(make_user()).get("/tool-findings/").status_code == 403


def test_the_agents_page_says_how_much_is_governed(agent: Agent) -> None:
    client = signed_in(make_holder(VIEW, unit=agent.unit))
    assert "no call of a tool was judged yet" in client.get(f"/agents/{agent.slug}/").content.decode()
    asked(agent)
    tell(agent, call(1), call(2, "search"))
    text = client.get(f"/agents/{agent.slug}/").content.decode()
    assert "Uses tools without asking" in text
    assert "1 of 2; 95 % interval" in text


def test_a_call_that_says_it_began_in_1970_is_counted_when_it_ended(agent: Agent) -> None:
    assert tell(agent, call(1, startTimeUnixNano="1000")) == ["ungoverned"]
    assert Span.objects.get().started_at.year == 1970
    assert coverage_for(agent.owner, agent).ungoverned == 1
    (finding,) = findings_for(agent.owner)
    assert finding.calls == 1
    assert finding.last_at == Span.objects.get().ended_at
    assert len(examples_for(agent.owner, [finding])[finding.pk]) == 1
