"""Looking at spans: who sees which, what was not taken and why, and linking by hand what belongs to nothing."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.telemetry.models import Span, SpanCount, UsageRecord
from apps.telemetry.services import spans as taking
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.telemetry import CHAT, SECOND, TRACE, body_of, now_ns, rejected, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.oversight.edge_cases.census import only
from tests.oversight.test_api import caller, nothing_but_a_note, post

pytestmark = pytest.mark.django_db
VIEW, SEE_RUN, OPERATE = "agents.view_agent", "workflows.view_run", "workflows.operate_run"
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
OTHER = "6" * 32


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))


@pytest.fixture
def worker(run: Run) -> Agent:
    worker = make_worker(run.workflow, "order.check")
    claim_tasks(worker.user)
    return worker


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def listed(person: User, query: str = "") -> list[str]:
    rows = caller(person).get(f"/api/v1/spans/?{query}").json()["results"]
    return sorted(row["span_id"][-1] for row in rows)


def loose(worker: Agent) -> Span:
    """A call of a model and one of a tool in a trace that belongs to nothing, and another trace."""
    body = body_of(span(1, CHAT), span(2, TOOL, parent=1), span(3, CHAT, trace=OTHER), service_name="buyer")
    assert rejected(send(worker, body)) == 0
    return Span.objects.get(span_id__endswith="1")


def operator(run: Run) -> User:
    return make_holder(VIEW, SEE_RUN, OPERATE, unit=run.unit)


def link(person: User, at: Span, run: Run, reason: str = "Its trace was lost.") -> Any:
    return post(caller(person), f"/api/v1/spans/{at.pk}/link/", {"run": str(run.pk), "reason": reason})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "123"), ("linked=true", "1"), ("linked=false", "23"), ("failed=true", "3"), ("failed=false", "12"),
        ("service=buyer", "123"), ("service=seller", ""), ("agent=nobody", ""), (f"trace={TRACE}", "12"),
        ("since=2000-01-01T00:00:00Z", "123"), ("since=2999-01-01T00:00:00%2B00:00", ""),
        ("linked=false&failed=true", "3"), ("run=01890000-0000-7000-8000-000000000000", ""),
    ],
)  # fmt: skip
def test_filters_narrow_the_list(query: str, found: str) -> None:
    agent = make_agent()
    action = make_action(agent=agent)
    spans = [
        span(1, {"acp.action.id": str(action.pk)}, trace=TRACE),
        span(2, {}, trace=TRACE),
        span(3, {}, trace=OTHER, status={"code": 2}),
    ]
    send(agent, body_of(*spans, service_name="buyer"))
    Span.objects.filter(span_id__endswith="2").update(action_id=None, linked_by="")
    assert "".join(listed(make_holder(VIEW), query)) == found


def test_what_is_no_filter_is_refused() -> None:
    client = caller(make_holder(VIEW))
    for query in ("linked=maybe", "failed=1", "run=x", "since=yesterday", "since=2026-13-01T00:00:00Z", "colour=blue"):
        assert client.get(f"/api/v1/spans/?{query}").status_code == 422, query


def test_a_span_is_shown_with_its_attributes_and_what_it_used(run: Run, worker: Agent) -> None:
    send(worker, body_of(span(1, {**CHAT, "team": "blue"}, trace=run.pk.hex), service_name="buyer"))
    found = Span.objects.get()
    told = caller(make_holder(VIEW)).get(f"/api/v1/spans/{found.pk}/").json()
    assert told["attributes"]["team"] == "blue"
    assert (told["run"], told["linked_by"], told["counted"]) == (str(run.pk), "trace", True)
    assert told["tokens"] == {"input": 100, "output": 10, "cache_read": 0, "cache_write": 0}
    text = signed_in(make_holder(VIEW, SEE_RUN)).get(f"/spans/{found.pk}/").content.decode()
    assert "by the trace that the plane gave" in text
    assert "blue" in text
    assert "&lt;span" not in text


def test_rows_are_seen_by_unit_and_by_nobody_else(run: Run, worker: Agent) -> None:
    found = loose(worker)
    send(make_agent(), body_of(span(9, {})))
    assert listed(make_holder(VIEW, unit=worker.unit)) == ["1", "2", "3"]
    for stranger in (make_user(), make_holder(VIEW, OPERATE, unit=make_unit())):
        client = caller(stranger)
        assert listed(stranger) == []
        assert client.get("/api/v1/spans/unlinked/").json() == client.get("/api/v1/spans/rejected/").json() == []
        assert client.get(f"/api/v1/spans/{found.pk}/").status_code == 404
        assert signed_in(stranger).get(f"/spans/{found.pk}/").status_code == 404
        with nothing_but_a_note():
            assert link(stranger, found, run).status_code == 404
    assert signed_in(make_user()).get("/spans/").status_code == 403
    headers = {"Authorization": f"Bearer {make_key_for(worker)}"}
    assert Client().get("/api/v1/spans/", headers=headers).json()["results"] == []


def test_what_belongs_to_nothing_is_listed_by_service_for_seven_days(worker: Agent) -> None:
    loose(worker)
    reader = make_holder(VIEW)
    (line,) = caller(reader).get("/api/v1/spans/unlinked/").json()
    assert (line["agent"], line["service"], line["spans"], line["traces"]) == (worker.slug, "buyer", 3, 2)
    assert "Belong to nothing" in signed_in(reader).get("/spans/").content.decode()
    Span.objects.update(created_at=ClockTimestamp() - timedelta(days=7, seconds=1))
    assert caller(reader).get("/api/v1/spans/unlinked/").json() == []


def test_what_was_not_taken_is_counted_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent()
    monkeypatch.setattr(taking, "MOST_IN_TRACE", 2)
    body = body_of(
        *[span(number, {}, trace=OTHER) for number in (1, 2, 3)],
        span(4, {}, trace="7" * 32, ended_ns=now_ns() - 40 * 24 * 3600 * SECOND),
        span(5, {"acp.run.id": str(uuid4())}, trace="8" * 32),
        span(6, {}, trace="9" * 32),
        {"name": "nothing"},
    )
    assert rejected(send(agent, body)) == 5
    SpanCount.objects.update(rejected=16, of_others=1)  # ten from before reasons were told apart
    reader = make_holder(VIEW)
    assert caller(reader).get("/api/v1/spans/rejected/").json() == [
        {
            "agent": agent.slug,
            "kept": 2,
            "rejected": 16,
            "why": {"unreadable": 1, "out_of_time": 1, "of_others": 1, "overfull": 3, "blocked": 0},
            "misnamed": 1,
        }
    ]
    text = signed_in(reader).get("/spans/").content.decode()
    assert "Kept, but named work that is not the agent&#x27;s own: 1" in text
    assert "not told apart yet: 10" in text


def test_what_is_linked_by_hand_to_an_erased_run_loses_its_words(run: Run, worker: Agent) -> None:
    found = loose(worker)
    Run.objects.filter(pk=run.pk).update(erased_at=ClockTimestamp())
    assert link(operator(run), found, run).status_code == 200
    found.refresh_from_db()
    assert (found.run_id, found.name, found.attributes) == (run.pk, "", {})


def test_a_trace_is_linked_by_hand_and_what_it_used_counts_for_the_run_once(run: Run, worker: Agent) -> None:
    found, client = loose(worker), caller(operator(run))
    Span.objects.filter(span_id__endswith="2").update(tool_call="ungoverned")
    body = {"run": str(run.pk), "reason": "Its trace was lost."}
    with only("+1 entry run.spans_linked", "+1 entry usage.recorded", "+1 usagerecord"):
        answer = post(client, f"/api/v1/spans/{found.pk}/link/", body)
    assert answer.json() == {"run": str(run.pk), "spans": 2}
    assert Span.objects.filter(run_id=run.pk, linked_by="hand").count() == 2
    usage = UsageRecord.objects.get()
    assert (usage.run_id, usage.agent, usage.input_tokens) == (run.pk, worker, 100)
    assert Span.objects.get(span_id__endswith="2").tool_call == "open"
    entry = Entry.objects.get(name="run.spans_linked")
    assert (entry.trail_id, entry.payload["reason"], entry.payload["spans"]) == (run.pk, "Its trace was lost.", 2)
    with nothing_but_a_note():
        assert link(operator(run), found, run).status_code == 409


def test_nobody_links_without_the_right_a_reason_or_to_what_was_not_the_agents(run: Run, worker: Agent) -> None:
    found = loose(worker)
    foreign = make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=run.unit.slug))
    able = make_holder(VIEW, SEE_RUN, OPERATE)
    with nothing_but_a_note():
        assert link(make_holder(VIEW, SEE_RUN), found, run).status_code == 403
        assert list(link(able, found, run, reason=" ").json()["errors"]) == ["reason"]
        assert list(link(able, found, foreign).json()["errors"]) == ["run"]
        assert link(make_holder(VIEW, OPERATE), found, run).status_code == 404
    Span.objects.update(created_at=ClockTimestamp() - timedelta(days=7, seconds=1))
    with nothing_but_a_note():
        assert link(able, found, run).status_code == 409
    assert not UsageRecord.objects.exists()


def test_the_form_on_the_page_keeps_what_was_typed_and_links(run: Run, worker: Agent) -> None:
    found = loose(worker)
    client = signed_in(operator(run))
    address = f"/spans/{found.pk}/link/"
    for wrong, said in (("x", "Not the id of a run"), (str(uuid4()), "There is no such run")):
        answer = client.post(address, {"run": wrong, "reason": "Lost."})
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert f'value="{wrong}"' in answer.content.decode()
    assert client.post(address, {"run": str(run.pk), "reason": "Lost."}).status_code == 302
    text = client.get(f"/spans/{found.pk}/").content.decode()
    assert "by hand" in text
    assert "Link it to a run" not in text
    assert client.post(address, {"run": str(run.pk), "reason": "Lost."}).status_code == 409


@pytest.mark.parametrize("query", ["agent=x&linked=yes", "run=nonsense", "errors=yes&since=7d", "since=never&after=x"])
def test_odd_filters_on_the_page_are_answered(query: str) -> None:
    assert signed_in(make_holder(VIEW)).get(f"/spans/?{query}").status_code == 200
