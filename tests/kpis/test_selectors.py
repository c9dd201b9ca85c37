"""Answers: rollups agree with facts, SQL with pure formulas, drill-downs with their numbers, and permissions hold."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.audit.models import Cursor, Entry
from apps.audit.services import record
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import ApprovalFact, RunFact
from apps.kpis.models.clock import database_now
from apps.kpis.models.measures import MEMBERS
from apps.kpis.rules import DEFINITIONS, BucketSize, Kind
from apps.kpis.rules.buckets import buckets_of, day_period
from apps.kpis.rules.definitions import ADDITIVE, MEMBER
from apps.kpis.rules.facts import Facts, duration_ms
from apps.kpis.rules.filters import Compare, KpiFilter, answered_by_rollups, filter_of
from apps.kpis.rules.history import history_of
from apps.kpis.rules.statistics import percentile
from apps.kpis.rules.traits import sample_traits
from apps.kpis.selectors import behind_for, definition_for, kpis_for, reading
from apps.kpis.selectors.kpis import OF_BASELINES, lag_s_for
from apps.kpis.services import write_facts
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.kpis import NOON, make_approved, make_baseline, make_cost, make_decision, make_run, make_target
from tests.kpis.test_services import batch

pytestmark = pytest.mark.django_db
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def ask(first: date = date(2026, 10, 28), last: date = date(2026, 11, 24), **more: Any) -> KpiFilter:
    zone = more.pop("zone", UTC_ZONE)
    return KpiFilter(period=day_period(first, last, zone), zone=zone, **{"size": BucketSize.DAY, **more})


@pytest.mark.parametrize("size", [BucketSize.DAY, BucketSize.WEEK, BucketSize.MONTH])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_rollups_say_what_the_facts_say(
    viewer: User, settings: Any, monkeypatch: pytest.MonkeyPatch, size: BucketSize, zone: str
) -> None:
    settings.ACP_REPORTING_TZ = zone
    write_facts(facts=batch(120, seed=5))
    asked = ask(zone=ZoneInfo(zone), size=size)
    periods = buckets_of(asked.period, size, asked.zone)
    assert answered_by_rollups(asked, periods, asked.zone)
    rolled = reading.measures_for(viewer, asked, periods, [])
    monkeypatch.setattr(reading, "answered_by_rollups", lambda *_: False)
    assert rolled == reading.measures_for(viewer, asked, periods, [])
    assert sum(row["closed"] or 0 for row in rolled) > 50


def test_another_zone_or_an_agent_is_answered_from_facts(viewer: User) -> None:
    asked = ask()
    assert answered_by_rollups(asked, [asked.period], UTC_ZONE)
    assert answered_by_rollups(replace(asked, version=2), [asked.period], UTC_ZONE)
    for other in (replace(asked, agent="x"), ask(zone=ZoneInfo("Asia/Kathmandu"))):
        assert not answered_by_rollups(other, [other.period], UTC_ZONE)


def test_percentiles_in_postgresql_are_those_of_the_pure_function(viewer: User) -> None:
    facts = batch(90, seed=3)
    write_facts(facts=facts)
    answer = kpis_for(viewer, ask())
    cycles = [duration_ms(run.started_at, run.finished_at or NOON) for run in facts.runs if run.state == "succeeded"]
    waits = [duration_ms(one.requested_at, one.decided_at) for one in facts.decisions if one.outcome != "expired"]
    for key, values, fraction in (
        ("cycle_time_p50_s", cycles, 0.5),
        ("cycle_time_p90_s", cycles, 0.9),
        ("cycle_time_p95_s", cycles, 0.95),
        ("approval_latency_p50_s", waits, 0.5),
    ):
        wanted = percentile(values, fraction)
        assert wanted is not None
        assert answer.totals[key].figure.value == pytest.approx(wanted / 1000, abs=0.001), key


def test_the_words_of_a_count_mean_the_same_in_sql_and_in_python(viewer: User) -> None:
    write_facts(facts=batch(80, seed=9))
    RunFact.objects.filter(state="succeeded", touches=0).update(mismatches=1)
    RunFact.objects.filter(workflow="a").update(business_ms=0)
    rows = list(RunFact.objects.values())
    for name, is_member in MEMBER.items():
        assert RunFact.objects.filter(MEMBERS[name]).count() == sum(map(is_member, rows)), name


def test_a_drill_down_lists_exactly_the_rows_behind_its_number(viewer: User) -> None:
    make_baseline(kpi="cost_per_success_minor", workflow="", value=100)
    write_facts(facts=batch(80, seed=2))
    asked = ask()
    answer = kpis_for(viewer, asked)
    for key, definition in DEFINITIONS.items():
        figure = answer.totals[key].figure
        rows, order = behind_for(viewer, definition, asked)
        wanted = figure.n
        if definition.kind == Kind.STOCK:
            wanted = int(figure.value or 0)
        elif definition.kind == Kind.SHARE:
            wanted = int(figure.numerator or 0)
        elif definition.members == "closed" and definition.denominator not in OF_BASELINES:
            wanted = int(answer.measures["closed"] or 0)
        assert rows.order_by(*order).count() == wanted, key


def test_a_known_small_case_comes_out_as_by_hand(viewer: User) -> None:
    ok = [make_run(sla_ms=7_200_000, finished_at=NOON + timedelta(hours=hour)) for hour in range(3)]
    bad = make_run(state="failed", sla_ms=7_200_000)
    gone = make_run(state="cancelled")
    open_ = make_run(finished_at=None, started_at=NOON)
    facts = Facts(
        runs=[*ok, bad, gone, open_],
        decisions=[make_decision(ok[0]), make_decision(ok[0], outcome="expired"), make_decision(ok[1], edited=True)],
        costs=[make_cost(ok[0]), make_cost(bad), make_cost(gone), make_cost(open_, amount_micro=1_000_000)],
    )
    write_facts(facts=facts)
    make_baseline(kpi="cost_per_success_minor", value=200)
    answer = kpis_for(viewer, ask())
    values = {key: total.figure.value for key, total in answer.totals.items()}
    assert values["throughput"] == 3
    assert values["arrivals"] == 6
    assert values["error_rate"] == 0.25
    assert values["sla_adherence"] == 0.75
    assert values["no_touch_rate"] == 0.25
    assert values["cost_per_success_minor"] == 50
    assert values["spend_minor"] == 250
    assert values["savings_minor"] == 3 * 200 - 150
    assert values["cycle_time_p50_s"] == 3600
    assert values["cycle_time_p90_s"] is None
    assert values["override_rate"] == 0.5
    assert values["backlog"] == 1
    assert answer.totals["savings_minor"].figure.n == 5


def test_over_nothing_rates_are_none(viewer: User) -> None:
    answer = kpis_for(viewer, ask())
    assert answer.totals["error_rate"].figure.value is None
    assert answer.totals["savings_minor"].figure.value is None
    assert answer.totals["throughput"].figure.value == 0


def test_savings_may_be_negative_and_count_only_runs_since_the_baseline(viewer: User) -> None:
    make_baseline(kpi="cost_per_success_minor", value=10, valid_from=date(2026, 11, 10))
    old = make_run(finished_at=NOON - timedelta(days=2))
    new = make_run(state="failed")
    write_facts(facts=Facts(runs=[old, new], costs=[make_cost(old), make_cost(new)]))
    assert kpis_for(viewer, ask()).totals["savings_minor"].figure.value == -50


def test_a_newer_baseline_takes_over_from_its_day(viewer: User) -> None:
    make_baseline(kpi="cost_per_success_minor", value=10, valid_from=date(2026, 1, 1))
    make_baseline(kpi="cost_per_success_minor", value=70, valid_from=date(2026, 11, 10))
    make_baseline(kpi="cost_per_success_minor", value=1000, workflow="", valid_from=date(2026, 1, 1))
    runs = [make_run(finished_at=NOON - timedelta(days=2)), make_run(), make_run(workflow="other")]
    write_facts(facts=Facts(runs=runs))
    assert kpis_for(viewer, ask(workflow="w")).totals["savings_minor"].figure.value == 80
    assert kpis_for(viewer, ask()).totals["savings_minor"].figure.value == 1080


def test_an_approved_one_for_all_ends_an_unapproved_one_of_a_workflow_on_every_page(viewer: User) -> None:
    make_baseline(kpi="cost_per_success_minor", value=1000, valid_from=date(2026, 1, 1))
    make_approved(kpi="cost_per_success_minor", value=10, workflow="", valid_from=date(2026, 11, 1))
    write_facts(facts=Facts(runs=[make_run(), make_run()]))
    for asked in (ask(workflow="w"), ask()):
        assert kpis_for(viewer, asked).totals["savings_minor"].figure.value == 20


def test_the_backlog_of_each_day_is_what_was_open_at_its_end(viewer: User) -> None:
    runs = [
        make_run(started_at=datetime(2026, 10, 1, tzinfo=UTC), finished_at=datetime(2026, 10, 30, 5, tzinfo=UTC)),
        make_run(started_at=datetime(2026, 10, 29, 5, tzinfo=UTC), finished_at=None),
        make_run(started_at=datetime(2026, 10, 29, 5, tzinfo=UTC), finished_at=datetime(2026, 10, 29, 9, tzinfo=UTC)),
    ]
    write_facts(facts=Facts(runs=runs))
    answer = kpis_for(viewer, ask(date(2026, 10, 28), date(2026, 10, 31)))
    assert [point.figures["backlog"].value for point in answer.series] == [1, 2, 1, 1]


def test_invented_runs_count_only_when_asked_for(viewer: User) -> None:
    write_facts(facts=Facts(runs=[make_run()]))
    write_facts(facts=Facts(runs=[make_run(), make_run()]), simulated=True)
    assert kpis_for(viewer, ask()).totals["throughput"].figure.value == 1
    assert kpis_for(viewer, ask(simulated=True)).totals["throughput"].figure.value == 3


def test_a_stranger_is_refused_and_a_unit_sees_its_own() -> None:
    mine, other = make_unit(), make_unit()
    below = make_unit(parent=mine)
    runs = [make_run(unit_id=mine.id), make_run(unit_id=below.id), make_run(unit_id=other.id), make_run()]
    write_facts(facts=Facts(runs=runs))
    for stranger in (make_user(), make_holder("oversight.view_escalation")):
        with pytest.raises(NotAllowedError):
            kpis_for(stranger, ask())
    holder = make_holder("kpis.view_kpi", unit=mine)
    assert kpis_for(holder, ask()).totals["throughput"].figure.value == 2
    assert kpis_for(holder, ask(unit=other.slug)).totals["throughput"].figure.value == 0
    assert kpis_for(make_holder("kpis.view_kpi"), ask(unit=mine.slug)).totals["throughput"].figure.value == 2
    rows, _ = behind_for(holder, definition_for(holder, "throughput"), ask())
    assert rows.count() == 2
    with pytest.raises(NotFoundError):
        definition_for(holder, "happiness")


def test_agents_and_versions_limit_the_runs_and_their_decisions_and_costs(viewer: User) -> None:
    one, two = make_run(version=1), make_run(version=2)
    facts = Facts(
        runs=[one, two],
        decisions=[make_decision(one, agent="payer"), make_decision(two)],
        costs=[make_cost(one, agent="payer"), make_cost(two, agent="other")],
    )
    write_facts(facts=facts)
    for asked in (ask(agent="payer"), ask(version=1)):
        answer = kpis_for(viewer, asked)
        assert answer.totals["throughput"].figure.value == 1
        assert answer.totals["spend_minor"].figure.value == 50
        assert answer.totals["override_rate"].figure.n == 1


def test_what_was_and_what_should_be_come_with_the_total(viewer: User) -> None:
    make_baseline(value=7200)
    make_target(value="0.3")
    facts = Facts(runs=[make_run(state="failed" if n < 1 else "succeeded") for n in range(60)])
    write_facts(facts=facts)
    before = kpis_for(viewer, ask(date(2026, 11, 10), date(2026, 11, 10), compare=Compare.PREVIOUS))
    assert before.totals["error_rate"].previous is not None
    assert before.totals["error_rate"].previous.value is None
    totals = kpis_for(viewer, ask(workflow="w")).totals
    assert totals["cycle_time_p50_s"].baseline is not None
    assert totals["cycle_time_p50_s"].baseline.value == 7200
    assert totals["error_rate"].status == "good"


def test_the_baseline_of_several_workflows_names_the_source_of_each(viewer: User) -> None:
    make_baseline(kpi="cost_per_success_minor", workflow="a", value=100, source="Clock of May.")
    make_baseline(kpi="cost_per_success_minor", workflow="b", value=300, source="Guess of June.")
    runs = [*(make_run(workflow=name) for name in "aaab"), *(make_run(workflow="b", state="failed") for _ in range(4))]
    write_facts(facts=Facts(runs=runs))
    mixed = kpis_for(viewer, ask()).totals["cost_per_success_minor"].baseline
    assert mixed is not None
    assert mixed.value == 150, "what failed is no success that cost something before"
    assert mixed.source == "Mixed by what each counts. a: Clock of May. b: Guess of June."


def test_an_imported_quarter_can_be_asked_about_in_one_answer(viewer: User) -> None:
    until = datetime(2026, 11, 21, 3, tzinfo=UTC)
    for traits in sample_traits(None, None):
        write_facts(facts=history_of(traits, seed=7, until=until, days=30, zone=UTC_ZONE), simulated=True)
    asked = filter_of({"range": "30d", "simulated": "true"}, now=until, zone=UTC_ZONE)
    answer = kpis_for(viewer, asked)
    assert (
        sum(point.figures["throughput"].value or 0 for point in answer.series)
        == answer.totals["throughput"].figure.value
    )
    whole = {name: sum(point.measures[name] or 0 for point in answer.series) for name in ADDITIVE}
    assert whole == {name: answer.measures[name] for name in ADDITIVE}
    assert ApprovalFact.objects.filter(simulated=False).count() == 0


def test_the_lag_is_the_age_of_the_oldest_entry_not_yet_folded(viewer: User) -> None:
    first, second = (record(system_user("plane"), make_unit(), "created") for _ in range(2))
    now = database_now() + timedelta(seconds=30)
    assert lag_s_for(viewer, now) >= 30
    cursor = Cursor.objects.create(projection="kpis", xid=Entry.objects.get(pk=first.pk).xid, entry_id=first.pk)
    assert 29 < lag_s_for(viewer, now) < 40
    Cursor.objects.filter(pk=cursor.pk).update(entry_id=second.pk)
    assert lag_s_for(viewer, now) == 0
