"""A week looked back at: real decisions and failures, each number beside exactly what it counts."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import ApprovalFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.facts import DecisionSeen, Facts, RunSeen, StepSeen
from apps.kpis.rules.weekly import (
    NO,
    Decided,
    Failed,
    Part,
    Row,
    behind_line,
    first_day_of,
    review_of,
    week_of,
    weeks_around,
)
from apps.kpis.selectors import weekly as reading
from apps.kpis.services import fold_entries, import_history
from apps.oversight.models import Escalation
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import make_run
from tests.factories.oversight import Payment, make_payment, say
from tests.factories.workflows import make_workflow
from tests.kpis.test_views import signed_in
from tests.oversight.test_api import caller
from tests.oversight.test_feedback import another
from tests.workflows.test_retrying import DOCUMENT, failed

API = "/api/v1/kpis/weekly-review/"


def fold() -> None:
    fold_entries(entries=list(Entry.objects.order_by("id")))


def decided() -> Payment:
    """Of one workflow: one approved, one edited, two rejected for one reason, one sent back."""
    payment = make_payment(workflow="refunds")
    items = [payment.item, *(another(payment, workflow="refunds") for _ in range(4))]
    say(payment.ada, items[0])
    say(payment.ada, items[1], parameters={**payment.action.parameters, "amount_minor": 240_000})
    for item in items[2:4]:
        say(payment.ada, item, "reject", reason="Twice.", reason_code="duplicate")
    say(payment.ada, items[4], "request_changes", reason="Which?")
    fold()
    return payment


def parts_of(viewer: User, week: str = "") -> dict[str, dict[str, Any]]:
    answer = caller(viewer).get(API, {"workflow": "refunds", **({"week": week} if week else {})})
    assert answer.status_code == 200, answer.content
    return {part: {line["key"]: line for line in lines} for part, lines in answer.json()["parts"].items()}


@pytest.mark.django_db
def test_reasons_askers_fields_and_waits_of_a_week_are_counted() -> None:
    payment = decided()
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    parts = parts_of(viewer)
    assert {key: line["n"] for key, line in parts["reason"].items()} == {"duplicate": 2, "none": 1}
    (asked,) = parts["asked"].values()
    assert (asked["n"], asked["as_asked"], asked["before"], asked["few"]) == (5, 1, 0, False)
    assert asked["changed_at"]["kind"] == "rule"
    assert parts["reason"]["duplicate"]["few"] is True
    assert parts["reason"]["duplicate"]["changed_at"] == asked["changed_at"]
    assert {key: line["n"] for key, line in parts["field"].items()} == {f"{payment.operation.slug}/amount_minor": 1}
    assert parts["queue"][payment.queue.slug]["n"] == 5
    assert parts["failure"] == {}


@pytest.mark.django_db
def test_behind_each_number_lies_exactly_what_it_counts() -> None:
    payment = decided()
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    client, pages = caller(viewer), signed_in(viewer)
    seen = 0
    for part, lines in parts_of(viewer).items():
        for key, line in lines.items():
            which = {"workflow": "refunds", "part": part, "key": key}
            rows = client.get(f"{API}behind/", which).json()["results"]
            assert len({row["id"] for row in rows}) == line["n"]
            page = pages.get(f"/dashboards/refunds/weeks/{reading.this_week()}/{part}/", {"key": key}).content.decode()
            assert all(f"/inbox/{row['id']}/" in page for row in rows)
            assert f"days of {reporting_zone().key}, as of 20" in page
            seen += 1
    assert seen == 5
    rejected = {str(pk) for pk in Escalation.objects.filter(reason_code="duplicate").values_list("pk", flat=True)}
    which = {"workflow": "refunds", "part": "reason", "key": "duplicate"}
    assert {row["id"] for row in client.get(f"{API}behind/", which).json()["results"]} == rejected
    assert client.get(f"{API}behind/", {**which, "key": "too_risky"}).status_code == 404
    assert client.get(f"{API}behind/", {**which, "part": "words"}).json()["code"] == "invalid"


@pytest.mark.django_db
def test_nobody_counts_what_happened_in_units_of_others() -> None:
    payment = decided()
    stranger = make_holder("kpis.view_kpi", unit=make_unit())
    assert caller(stranger).get(API, {"workflow": "refunds"}).status_code == 404
    assert caller(make_holder("agents.view_agent")).get(API, {"workflow": "refunds"}).status_code == 403
    ApprovalFact.objects.filter(escalation_id=payment.item.pk).update(unit=make_unit().pk)
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    (asked,) = parts_of(viewer)["asked"].values()
    assert (asked["n"], asked["as_asked"]) == (4, 0)


@pytest.mark.django_db
def test_the_week_before_stands_beside_it() -> None:
    payment = decided()
    last = week_of(datetime.now(tz=UTC).date() - timedelta(days=7))
    ApprovalFact.objects.filter(outcome="rejected").update(decided_at=datetime.now(tz=UTC) - timedelta(days=7))
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    (asked,) = parts_of(viewer)["asked"].values()
    assert (asked["n"], asked["before"]) == (3, 2)
    assert parts_of(viewer, last)["reason"]["duplicate"]["n"] == 2


@pytest.mark.django_db
def test_tests_simulated_history_and_other_workflows_are_left_out() -> None:
    payment = decided()
    ApprovalFact.objects.filter(outcome="rejected").update(simulated=True)
    ApprovalFact.objects.filter(outcome="changes_requested").update(workflow="other")
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    parts = parts_of(viewer)
    assert parts["reason"] == {}
    assert sum(line["n"] for line in parts["asked"].values()) == 2


def invented(outcome: str = "approved", **limits: Any) -> RunSeen:
    """A simulated run of refunds that ended a minute ago, with its step of people and what they decided."""
    run = make_run(workflow="refunds", **limits)
    at = {"run_id": run.run_id, "workflow": run.workflow, "unit_id": run.unit_id}
    ended = run.finished_at
    assert ended is not None
    approve = StepSeen(step_id=uuid4(), name="approve", kind="approval", state="done", finished_at=ended, **at)
    last = StepSeen(step_id=uuid4(), name="pay", kind="operation", state=run.state, finished_at=ended, **at)
    decision = DecisionSeen(
        escalation_id=uuid4(),
        kind="approval",
        outcome=outcome,
        requested_at=ended - timedelta(minutes=5),
        decided_at=ended,
        edited=outcome == "approved",
        rule="order-large",
        reason_code="duplicate" if outcome == "rejected" else "",
        **at,
    )
    import_history(system_user("console"), facts=Facts(runs=[run], steps=[approve, last], decisions=[decision]))
    return run


@pytest.mark.django_db
def test_simulated_history_is_counted_where_it_is_asked_for_and_says_so(settings: Any) -> None:
    payment = decided()
    now = database_now()
    timed = {"started_at": now - timedelta(minutes=9), "finished_at": now - timedelta(minutes=1)}
    invented("rejected", unit_id=payment.unit.pk, **timed)
    invented(unit_id=payment.unit.pk, **timed)
    broken = invented(unit_id=payment.unit.pk, state="failed", error_class="no_answer", **timed)
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    client = caller(viewer)
    week = week_of(timed["finished_at"].astimezone(reporting_zone()).date())
    which = {"workflow": "refunds", "week": week}
    real = client.get(API, which).json()
    with_it = client.get(API, {**which, "simulated": "true"}).json()
    assert (real["simulated"], with_it["simulated"]) == (False, True)
    counts = {part: {one["key"]: one["n"] for one in lines} for part, lines in with_it["parts"].items()}
    before = {part: {one["key"]: one["n"] for one in lines} for part, lines in real["parts"].items()}
    assert counts["reason"]["duplicate"] == before["reason"]["duplicate"] + 1
    assert counts["asked"]["rule/order-large"] == 3
    assert counts["step"]["approve"] == 3
    assert counts["field"]["/"] == 2
    assert counts["failure"] == {"pay/no_answer": 1}
    assert counts["queue"] == before["queue"]
    assert "rule/order-large" not in before["asked"]
    levers = {one["key"]: one["changed_at"]["kind"] for one in with_it["parts"]["asked"]}
    assert levers["rule/order-large"] == ""
    behind = {**which, "simulated": "true", "part": "failure", "key": "pay/no_answer"}
    (row,) = client.get(f"{API}behind/", behind).json()["results"]
    assert (row["id"], row["simulated"]) == (str(broken.run_id), True)
    assert client.get(f"{API}behind/", {**behind, "simulated": "false"}).status_code == 404
    assert client.get(API, {**which, "simulated": "maybe"}).json()["code"] == "invalid"
    pages, address = signed_in(viewer), f"/dashboards/refunds/weeks/{week}/"
    assert "Includes simulated history" not in pages.get(address).content.decode()
    settings.ACP_DEMO = True
    page = pages.get(address).content.decode()
    assert "Includes simulated history" in page
    assert "Leave simulated history out" in page
    assert "Simulated history does not say what" in page
    assert "Simulated history is left out" not in page
    listed = pages.get(f"{address}asked/", {"key": "rule/order-large"}).content.decode()
    assert listed.count(">Simulated</span>") == 3
    assert "/inbox/" not in listed.split("<tbody>")[1]
    dashboard = pages.get("/dashboards/refunds/", {"simulated": "false"}).content.decode()
    (now,) = re.findall(r'href="(/dashboards/refunds/weeks/now/[^"]*)"', dashboard)
    assert pages.get(now)["Location"].endswith("/?simulated=false")
    assert pages.get(now.replace("false", "true"))["Location"].endswith("/")
    left_out = pages.get(address, {"simulated": "false"}).content.decode()
    assert "order-large" not in left_out
    assert "Simulated history is left out" in left_out
    assert "key=duplicate&amp;simulated=false" in left_out


@pytest.mark.django_db
def test_this_week_leads_to_the_week_before_where_nothing_has_ended_in_it() -> None:
    payment = decided()
    pages = signed_in(make_holder("kpis.view_kpi", unit=payment.unit))
    this = reading.this_week()
    first = first_day_of(this)
    assert first is not None
    assert pages.get("/dashboards/refunds/weeks/now/")["Location"].endswith(f"/weeks/{this}/")
    asked = pages.get("/dashboards/refunds/weeks/now/?simulated=true")["Location"]
    assert asked.endswith(f"/weeks/{this}/?simulated=true")
    ApprovalFact.objects.update(workflow="other")
    make_run_fact = {"workflow": "refunds", "unit_id": payment.unit.pk}
    import_history(system_user("console"), facts=Facts(runs=[make_run(**make_run_fact)]))
    assert pages.get("/dashboards/refunds/weeks/now/")["Location"].endswith(f"/weeks/{weeks_around(first)[0]}/")


@pytest.mark.django_db
def test_behind_an_edit_of_more_fields_than_the_page_lists_each_field_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment = make_payment(workflow="refunds")
    say(payment.ada, payment.item, parameters={**payment.action.parameters, "amount_minor": 240_000})
    names = [f"field{number:02}" for number in range(12)]
    monkeypatch.setattr(reading, "fields_of", lambda patch: names if patch else [])
    fold()
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    client = caller(viewer)
    assert len(parts_of(viewer)["field"]) == 10
    for name in names:
        which = {"workflow": "refunds", "part": "field", "key": f"{payment.operation.slug}/{name}"}
        answer = client.get(f"{API}behind/", which)
        assert answer.status_code == 200, name
        assert [row["id"] for row in answer.json()["results"]] == [str(payment.item.pk)]
        page = signed_in(viewer).get(f"/dashboards/refunds/weeks/{reading.this_week()}/field/", which)
        assert page.status_code == 200


@pytest.mark.django_db
def test_each_of_the_two_weeks_is_read_once_and_without_what_runs_carried(
    django_assert_max_num_queries: Any,
) -> None:
    flow = make_workflow(DOCUMENT)
    for _ in range(3):
        failed(flow)
    fold()
    viewer = make_holder("kpis.view_kpi", "workflows.view_run")
    for read in (
        lambda: reading.week_for(viewer, flow.slug, reading.this_week()),
        lambda: reading.behind_week_for(viewer, flow.slug, reading.this_week(), Part.FAILURE, "book/refused_by_system"),
    ):
        with django_assert_max_num_queries(30) as asked:
            read()
        statements = [query["sql"] for query in asked.captured_queries]
        for table in ("kpis_approvalfact", "kpis_runfact"):
            assert sum(f'FROM "{table}"' in one for one in statements) == 2, table
        of_runs = [one for one in statements if 'FROM "workflows_run"' in one]
        assert of_runs
        assert not any('"workflows_run"."input"' in one or '"workflows_run"."output"' in one for one in of_runs)


@pytest.mark.django_db
def test_failures_are_counted_by_the_step_and_its_error() -> None:
    flow = make_workflow(DOCUMENT)
    one, another_one = failed(flow), failed(flow, at="tell", code="timeout")
    fold()
    viewer = make_holder("kpis.view_kpi", "workflows.view_run")
    client = caller(viewer)
    lines = client.get(API, {"workflow": flow.slug}).json()["parts"]["failure"]
    assert {line["key"]: line["n"] for line in lines} == {"book/refused_by_system": 1, "tell/timeout": 1}
    assert {line["changed_at"]["name"] for line in lines} == {"book", "tell"}
    which = {"workflow": flow.slug, "part": "failure", "key": "tell/timeout"}
    (row,) = client.get(f"{API}behind/", which).json()["results"]
    assert (row["id"], row["kind"]) == (str(another_one.pk), "run")
    page = signed_in(viewer).get(f"/dashboards/{flow.slug}/weeks/now/", follow=True).content.decode()
    assert f"/runs/failures/?workflow={flow.slug}" in page
    assert str(one.pk) not in page


@pytest.mark.django_db
@pytest.mark.parametrize("week", ["2026-W54", "2026-W00", "2026-48", "9999-W01", "2999-W01", "x", "２０２６-W10"])
def test_what_is_no_week_that_has_begun_is_not_there(week: str) -> None:
    payment = decided()
    viewer = make_holder("kpis.view_kpi", unit=payment.unit)
    assert signed_in(viewer).get(f"/dashboards/refunds/weeks/{week}/").status_code == 404
    assert caller(viewer).get(API, {"workflow": "refunds", "week": week}).status_code == 404


@pytest.mark.django_db
def test_the_page_says_what_would_change_each_number_and_is_linked_from_the_dashboard() -> None:
    payment = decided()
    Action.objects.filter(agent=payment.agent).update(workflow="refunds")
    client: Client = signed_in(make_holder("kpis.view_kpi", unit=payment.unit))
    page = client.get("/dashboards/refunds/weeks/now/", follow=True).content.decode()
    assert "Already done, or a duplicate" in page
    assert "The policy: another amount, or a sample" in page
    assert f"/agents/{payment.agent.slug}/feedback/" in page
    assert "Not over yet" in page
    assert "few" in page
    assert "/dashboards/refunds/weeks/now/" in client.get("/dashboards/refunds/").content.decode()
    empty = client.get("/dashboards/refunds/weeks/2020-W10/").content.decode()
    assert "Nobody rejected anything or sent it back." in empty


@pytest.mark.parametrize("given_week", ["2020-W53", "2026-W01", "2026-W53"])
def test_weeks_follow_each_other_over_the_end_of_a_year(given_week: str) -> None:
    monday = first_day_of(given_week)
    assert monday is not None
    assert week_of(monday) == given_week
    before, after = weeks_around(monday)
    assert first_day_of(before) == monday - timedelta(days=7)
    assert first_day_of(after) == monday + timedelta(days=7)
    assert first_day_of("2021-W53") is None


NAMES = st.sampled_from(["", "a", "b"])
WHEN = datetime(2026, 11, 10, 12, tzinfo=UTC)
DECIDED = st.builds(
    Decided,
    id=st.builds(uuid4),
    at=st.just(WHEN),
    outcome=st.sampled_from(["approved", "rejected", "changes_requested", "answered", "expired"]),
    by_person=st.booleans(),
    edited=st.booleans(),
    latency_s=st.floats(0, 1e6),
    rule=st.sampled_from(["", "p/r", "confidential"]),
    step=NAMES,
    agent=NAMES,
    operation=NAMES,
    queue=NAMES,
    reason_code=NAMES,
    fields=st.lists(st.sampled_from(["x", "y", "x"]), max_size=3).map(tuple),
    simulated=st.booleans(),
)
FAILED = st.builds(Failed, id=st.builds(uuid4), at=st.just(WHEN), step=NAMES, code=NAMES)
ROWS: st.SearchStrategy[list[Row]] = st.lists(st.one_of(DECIDED, FAILED), max_size=12)


@given(now=ROWS, before=ROWS)
def test_every_line_counts_each_of_its_rows_once(now: list[Row], before: list[Row]) -> None:
    review = review_of(now, before)
    for part, lines in review.lines.items():
        for line in lines:
            ids: list[UUID] = [row.id for row in behind_line(now, part, line.key)]
            assert line.n == len(ids) == len(set(ids)) > 0
            assert line.before == len(behind_line(before, part, line.key))
            assert line.as_asked + line.expired <= line.n
            waited = [row for row in behind_line(now, part, line.key) if isinstance(row, Decided) and row.by_person]
            assert (line.median_s is None) == (not waited)
            assert line.source[1] != "confidential"
    nos = sum(isinstance(row, Decided) and row.by_person and row.outcome in NO for row in now)
    assert sum(line.n for line in review.lines[Part.REASON]) == nos
    assert date(2026, 11, 9) == first_day_of("2026-W46")
