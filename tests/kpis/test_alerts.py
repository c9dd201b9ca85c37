"""Missed targets, open runs past their SLA and growing backlogs: found by the page's figures, told once, muted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.audit.models import Entry
from apps.core.models import User
from apps.kpis import tasks
from apps.kpis.models import Anomaly, Kpi, RunFact, Target
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.buckets import day_period, local_midnight
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.facts import Facts, RunSeen
from apps.kpis.rules.figures import Status
from apps.kpis.rules.weeks import ended_week
from apps.kpis.selectors import kpis_for, live_for
from apps.kpis.selectors.anomalies import anomalies_for, recent_anomalies_for
from apps.kpis.selectors.misses import week_asked
from apps.kpis.services import alerts, anomalies, judge_alerts, mute_anomaly, write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.kpis import make_cost, make_decision, make_run, make_target
from tests.kpis.test_anomalies import told
from tests.kpis.test_business import Care
from tests.kpis.test_versions import text_of
from tests.kpis.test_views import signed_in
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime(2026, 11, 10, 12, 15, tzinfo=UTC)
"""A Tuesday; the week that ended last is that of the 2nd of November."""
IN_WEEK = datetime(2026, 11, 4, 12, tzinfo=UTC)


@pytest.fixture
def workflow() -> Workflow:
    """One that has been there for a year."""
    return older(Workflow.objects.create(slug="w", name="Refunds", unit=make_unit(), owner=make_user(username="olga")))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The moment of judging; the figures are never late, unless a test says so."""
    told = {"now": NOW, "lag": 0.0}
    for module in (alerts, anomalies):
        monkeypatch.setattr(module, "database_now", lambda: told["now"])
        monkeypatch.setattr(module, "lag_s_for", lambda *_: told["lag"])
    return told


def older(workflow: Workflow, days: int = 365) -> Workflow:
    Workflow.objects.filter(pk=workflow.pk).update(created_at=NOW - DAY * days)
    return workflow


def ended(workflow: Workflow, n: int, wrong: int = 0, at: datetime = IN_WEEK, **fields: Any) -> list[RunSeen]:
    """Runs that ended at a time, some of them in vain."""
    more = {"workflow": workflow.slug, "unit_id": workflow.unit_id, "finished_at": at, **fields}
    return [make_run(state="failed" if one < wrong else "succeeded", **more) for one in range(n)]


def write(*runs: list[RunSeen], **fields: Any) -> None:
    write_facts(facts=Facts(runs=[run for some in runs for run in some]), **fields)


def only() -> Anomaly:
    return Anomaly.objects.get()


def told_of() -> int:
    """How often the owner was to be told."""
    return Entry.objects.filter(name="workflow.unusual").count()


# Targets


def test_a_week_that_misses_its_target_is_told_once(workflow: Workflow) -> None:
    make_target()
    write(ended(workflow, 60, wrong=15))
    assert [judge_alerts() for _ in range(3)] == [1, 0, 0]
    row = only()
    assert (row.kind, row.figure, row.is_open, row.unit) == ("target", "error_rate", True, workflow.unit_id)
    assert (row.count, row.of, row.value, row.expected) == (15, 60, 0.25, 0.05)
    period = ended_week(NOW, reporting_zone()).period(reporting_zone())
    assert (row.began_at, row.until) == (period.start, period.end)
    assert workflow.owner is not None
    line = "Refunds: A target was missed in the week that ended: worth a look /dashboards/unusual/"
    assert told(workflow.owner) == [line]
    assert Entry.objects.get(name="workflow.unusual").payload["kpi"] == "error_rate"


@pytest.mark.parametrize(
    ("n", "wrong", "value", "tolerance", "begun"),
    [
        (60, 15, 0.05, 0, 1),
        (60, 6, 0.05, 0, 0),  # its interval holds the target
        (60, 15, 0.05, 0.11, 0),  # and so it does with the tolerance: 0.158 to 0.372
        (60, 15, 0.05, 0.10, 1),
        (4, 4, 0.05, 0, 0),  # too few to say
        (60, 1, 0.05, 0, 0),
        (0, 0, 0.05, 0, 0),
    ],
)
def test_beyond_chance_and_tolerance_alone(
    workflow: Workflow, n: int, wrong: int, value: float, tolerance: float, begun: int
) -> None:
    make_target(value=value, tolerance=tolerance)
    write(ended(workflow, n, wrong=wrong))
    assert judge_alerts() == begun


@pytest.mark.parametrize("reached", [True, False, None])
def test_it_is_red_exactly_where_the_page_is(workflow: Workflow, reached: bool | None) -> None:
    """For every figure that can have a target: where it is met, missed, or just what was reached.

    Runs of other weeks, units and tests are around it.
    """
    other = older(Workflow.objects.create(slug="other", name="Other", unit=make_unit()))
    runs = [*ended(workflow, 40, wrong=9, sla_ms=60_000), *ended(workflow, 30, sla_ms=10**9)]
    decisions = [make_decision(run, decided_at=IN_WEEK) for run in runs[:40]]
    costs = [make_cost(run, incurred_at=IN_WEEK) for run in runs]
    write_facts(facts=Facts(runs=runs, decisions=decisions, costs=costs))
    write(ended(workflow, 50, wrong=50, at=IN_WEEK - 7 * DAY), ended(other, 20, wrong=1))
    write(ended(workflow, 50, wrong=50), simulated=True)
    still_open = [
        make_run(workflow="w", unit_id=workflow.unit_id, started_at=IN_WEEK, finished_at=None) for _ in range(3)
    ]
    write(still_open)
    asked = week_asked(ended_week(NOW, reporting_zone())).of_workflow("w")
    before = kpis_for(make_admin(), asked).totals
    for kpi, definition in DEFINITIONS.items():
        up = definition.direction == "up"
        far = 10**9 if up != reached else -(10**9)
        value = round(before[kpi].daily or 0, 4) if reached is None else far
        make_target(slug=kpi.replace("_", "-"), kpi=kpi, value=value, direction="up" if up else "down")
    totals = kpis_for(make_admin(), asked).totals
    red = {kpi: total for kpi, total in totals.items() if total.status == Status.BAD}
    judge_alerts()
    found = {row.figure: row for row in Anomaly.objects.filter(kind="target")}
    assert set(found) == set(red)
    if reached is False:
        surely = {"error_rate", "cycle_time_p90_s", "lead_time_p50_s", "backlog", "throughput", "spend_minor"}
        assert surely <= set(red)
    if reached:
        assert not red
        assert {kpi for kpi, total in totals.items() if total.status == Status.GOOD} >= {"error_rate", "backlog"}
    assert {kpi: row.value for kpi, row in found.items()} == {kpi: total.daily for kpi, total in red.items()}
    assert {kpi: row.of for kpi, row in found.items()} == {kpi: total.figure.n for kpi, total in red.items()}


def test_a_target_for_all_holds_for_each_but_not_what_is_wanted_of_all_together(workflow: Workflow) -> None:
    make_target(workflow="")
    make_target(workflow="", kpi="throughput", value=1000, direction="up")
    write(ended(workflow, 60, wrong=15))
    judge_alerts()
    assert [row.figure for row in Anomaly.objects.all()] == ["error_rate"]
    make_target(kpi="throughput", value=1000, direction="up")
    judge_alerts()
    assert {row.figure for row in Anomaly.objects.all()} == {"error_rate", "throughput"}


def test_what_lasts_is_told_once_and_anew_when_it_began_anew(workflow: Workflow, clock: Any) -> None:
    make_target()
    write(*(ended(workflow, 60, wrong=15, at=IN_WEEK + 7 * DAY * week) for week in (0, 1, 3)))
    write(ended(workflow, 60, at=IN_WEEK + 14 * DAY))
    judge_alerts()
    clock["now"] += 7 * DAY
    assert judge_alerts() == 0
    assert (only().until - only().began_at, only().is_open) == (14 * DAY, True)
    clock["now"] += 7 * DAY
    assert judge_alerts() == 0
    assert (only().until - only().began_at, only().is_open) == (14 * DAY, False)
    assert Entry.objects.filter(name="workflow.unusual_over").count() == 1
    clock["now"] += 7 * DAY
    assert judge_alerts() == 1
    assert told_of() == Anomaly.objects.count() == 2


def test_late_corrections_end_it_and_begin_it_again_untold(workflow: Workflow) -> None:
    make_target()
    write(ended(workflow, 60, wrong=15))
    judge_alerts()
    better = ended(workflow, 900)
    write(better)
    judge_alerts()
    assert not only().is_open
    RunFact.objects.filter(run_id__in=[run.run_id for run in better]).delete()
    write(ended(workflow, 60, wrong=40))
    judge_alerts()
    tasks.reconcile_rollups()
    judge_alerts()
    assert (only().is_open, only().count, only().of) == (True, 55, 120)
    assert told_of() == 1


@pytest.mark.parametrize("change", ["removed", "loosened", "retired", "moved"])
def test_it_ends_with_what_it_rests_on(workflow: Workflow, change: str) -> None:
    target = make_target()
    write(ended(workflow, 60, wrong=15))
    judge_alerts()
    match change:
        case "removed":
            target.delete()
        case "loosened":
            Target.objects.update(value=0.5)
        case "retired":
            Workflow.objects.update(retired_at=NOW)
        case "moved":
            Workflow.objects.update(unit=make_unit())
    judge_alerts()
    assert not only().is_open
    assert told_of() == 1


def test_a_changed_target_that_is_missed_all_the_same_goes_on(workflow: Workflow) -> None:
    make_target()
    write(ended(workflow, 60, wrong=15))
    judge_alerts()
    Target.objects.update(value=0.1)
    assert judge_alerts() == 0
    assert (only().expected, only().is_open, told_of()) == (0.1, True, 1)


def test_a_workflow_that_came_or_moved_within_the_week_is_not_judged(workflow: Workflow) -> None:
    make_target(kpi="throughput", value=100, direction="up")
    write(ended(workflow, 60))
    older(workflow, days=5)
    assert judge_alerts() == 0
    older(workflow)
    write(ended(workflow, 1, unit_id=make_unit().pk))
    assert judge_alerts() == 0
    write(ended(workflow, 1, unit_id=make_unit().pk, at=IN_WEEK - 7 * DAY))
    assert Anomaly.objects.count() == 0


def test_a_workflow_that_moves_without_a_run_is_told_of_the_week_once(workflow: Workflow, clock: Any) -> None:
    make_target(kpi="throughput", value=5, direction="up")
    assert judge_alerts() == 1
    new = make_unit()
    Workflow.objects.update(unit=new)
    assert [judge_alerts(), judge_alerts()] == [0, 0]
    assert not only().is_open
    clock["now"] += 7 * DAY
    assert judge_alerts() == 1
    assert Anomaly.objects.get(is_open=True).unit == new.pk


def test_a_figure_of_ones_own_is_held_against_its_target(clock: Any) -> None:
    care = Care()
    older(care.flow)
    kpi = care.kpi()
    make_target(workflow=care.flow.slug, kpi="stars", value=4.5, direction="up")
    for _ in range(30):
        care.gave(stars=1)
    clock["now"] = database_now() + 7 * DAY  # the week in which they ended is over
    assert judge_alerts() == 1
    assert (only().figure, only().value, only().of, only().expected) == ("stars", 1.0, 30, 4.5)
    (seen,) = anomalies_for(care.viewer)
    assert "Stars was 1 stars (n = 30); the target is 4.5 stars." in seen.sentence
    Target.objects.all().delete()
    Kpi.objects.filter(pk=kpi.pk).delete()
    (seen,) = anomalies_for(care.viewer)
    assert "stars was 1 (n = 30); the target is 4.5." in seen.sentence
    assert judge_alerts() == 0
    assert not only().is_open


@pytest.mark.parametrize(
    ("kpi", "value", "direction", "said"),
    [
        ("throughput", 20, "up", "Throughput was 6.4 a day (n = 45); the target is 20 a day."),
        ("cycle_time_p50_s", 600, "down", "Cycle time, median was 1 h (n = 45); the target is 10 min."),
        ("cost_per_success_minor", 10, "down", "Cost per workflow was 0.67 EUR (n = 45); the target is 0.10 EUR."),
    ],
)
def test_it_says_both_in_the_figures_own_words(
    workflow: Workflow, kpi: str, value: float, direction: str, said: str
) -> None:
    make_target(kpi=kpi, value=value, direction=direction)
    runs = ended(workflow, 60, wrong=15)
    write_facts(facts=Facts(runs=runs, costs=[make_cost(run, incurred_at=IN_WEEK) for run in runs]))
    assert judge_alerts() == 1
    (seen,) = anomalies_for(make_admin())
    assert seen.sentence == f"Target missed in 2026-W45: {said}"


# SLAs


def late(of: Workflow, n: int = 1, **fields: Any) -> list[RunSeen]:
    """Open runs past their SLA by the real clock."""
    start = database_now() - 2 * HOUR
    more = {"workflow": of.slug, "unit_id": of.unit_id, "started_at": start, "finished_at": None}
    return [make_run(**{**more, "sla_ms": 3_600_000, **fields}) for _ in range(n)]


def test_open_runs_past_their_sla_are_told_once_while_there_are_any(workflow: Workflow, clock: Any) -> None:
    clock["now"] = database_now()
    runs = late(workflow, 3)
    write(runs, late(workflow, 4, sla_ms=86_400_000), late(workflow, 2, sla_ms=None))
    assert [judge_alerts(), judge_alerts()] == [1, 0]
    assert (only().kind, only().count, only().of, only().is_open) == ("sla", 3, 9, True)
    assert only().began_at == clock["now"]
    asked = week_asked(ended_week(NOW, reporting_zone())).of_workflow("w")
    assert live_for(make_admin(), asked).figures["breached_open"].value == 3
    clock["now"] += HOUR
    write([make_run(run_id=run.run_id, unit_id=workflow.unit_id, finished_at=database_now()) for run in runs[:2]])
    judge_alerts()
    assert (only().count, only().until) == (1, clock["now"])
    clock["now"] += HOUR
    write([make_run(run_id=runs[2].run_id, unit_id=workflow.unit_id, finished_at=database_now())])
    assert judge_alerts() == 0
    assert (only().is_open, only().until) == (False, clock["now"] - HOUR)
    again = late(workflow)
    write(again)
    assert judge_alerts() == 0, "within a day it is the same"
    assert only().is_open
    write([make_run(run_id=again[0].run_id, unit_id=workflow.unit_id, finished_at=database_now())])
    judge_alerts()
    clock["now"] += 25 * HOUR
    write(late(workflow))
    assert judge_alerts() == 1
    assert told_of() == Anomaly.objects.count() == 2


def test_simulated_runs_other_units_and_what_nobody_keeps_any_more_are_no_breach(workflow: Workflow) -> None:
    write(late(workflow), simulated=True)
    write(late(workflow, unit_id=make_unit().pk), late(workflow, workflow="gone"))
    Workflow.objects.create(slug="old", name="Old", unit=workflow.unit, retired_at=NOW)
    write(late(workflow, workflow="old"))
    assert judge_alerts() == 0


# Backlogs


def days_of(workflow: Workflow, last: datetime, *days: tuple[int, int]) -> None:
    """Runs of a workflow, day by day until ``last``: so many started, so many of the oldest open ones ended."""
    waiting: list[RunSeen] = []
    over: list[RunSeen] = []
    for back, (started, done) in zip(range(len(days) - 1, -1, -1), days, strict=True):
        at = last - DAY * back
        more = {"workflow": workflow.slug, "unit_id": workflow.unit_id, "finished_at": None}
        waiting += [make_run(started_at=at - HOUR, **more) for _ in range(started)]
        over += [
            make_run(**{**more, "run_id": run.run_id, "started_at": run.started_at, "finished_at": at})
            for run in waiting[:done]
        ]
        waiting = waiting[done:]
    write(over, waiting)


YESTERDAY = datetime(2026, 11, 9, 12, tzinfo=UTC)


def test_a_growing_backlog_is_told_once_until_it_grows_no_more(workflow: Workflow, clock: Any) -> None:
    days_of(workflow, YESTERDAY + 9 * DAY, *[(5, 4)] + [(5, 5)] * 50, *[(9, 2)] * 7, *[(5, 5)] * 9)
    assert [judge_alerts(), judge_alerts()] == [1, 0]
    row = only()
    assert (row.kind, row.count, row.of, row.expected) == ("backlog", 50, 49, 43.0)
    zone = reporting_zone()
    assert (row.began_at, row.until) == (
        day_period(YESTERDAY.date(), YESTERDAY.date(), zone).start,
        day_period(YESTERDAY.date(), YESTERDAY.date(), zone).end,
    )
    assert row.chance is not None
    assert row.chance < 1e-3
    clock["now"] += DAY  # no new height, and more than a week ago
    assert judge_alerts() == 0
    assert (only().is_open, only().until) == (True, row.until + DAY)
    assert only().expected == 43.0
    clock["now"] += 6 * DAY
    judge_alerts()
    assert not only().is_open
    assert told_of() == 1


@pytest.mark.parametrize(
    ("days", "begun"),
    [
        ([(5, 5)] * 57, 0),
        ([(5, 5)] * 50 + [(6, 5)] * 7, 0),  # a new height by chance
        ([(5, 5)] * 50 + [(3, 2)] * 7, 0),  # tiny
        ([(60, 0)] + [(4, 6)] * 28 + [(5, 5)] * 21 + [(9, 2)] * 7, 0),  # as much as there was seven weeks ago
        ([(5, 5)] * 50 + [(9, 2)] * 7, 1),
        ([(5, 5)] * 28 + [(8, 5)] * 29, 1),  # slowly, in four weeks
    ],
)
def test_backlogs_that_grow_beyond_chance_to_a_new_height(
    workflow: Workflow, days: list[tuple[int, int]], begun: int
) -> None:
    days_of(workflow, YESTERDAY, *days)
    assert judge_alerts() == begun


def test_young_workflows_and_simulated_runs_pile_up_untold(workflow: Workflow) -> None:
    days_of(workflow, YESTERDAY, *[(5, 5)] * 50, *[(9, 2)] * 7)
    older(workflow, days=20)
    assert judge_alerts() == 0
    older(workflow, days=40)
    RunFact.objects.update(simulated=True)
    tasks.reconcile_rollups()
    assert judge_alerts() == 0


def test_a_day_is_judged_ten_minutes_after_its_end(workflow: Workflow, clock: Any) -> None:
    days_of(workflow, YESTERDAY, *[(5, 5)] * 50, *[(9, 2)] * 7)
    midnight = local_midnight((YESTERDAY + DAY).date(), reporting_zone())
    clock["now"] = midnight + timedelta(minutes=9)
    judge_alerts()
    assert only().until == midnight - DAY  # the day before, which had grown, too
    clock["now"] = midnight + timedelta(minutes=11)
    judge_alerts()
    assert only().until == midnight


# All of it


def test_nothing_is_judged_while_figures_are_late_and_nothing_ends(workflow: Workflow, clock: Any) -> None:
    target = make_target()
    write(ended(workflow, 60, wrong=15))
    clock["lag"] = 601.0
    assert judge_alerts() == 0
    clock["lag"] = 0.0
    judge_alerts()
    target.delete()
    clock["lag"] = 601.0
    judge_alerts()
    assert only().is_open


def test_of_one_thing_one_alone_goes_on(workflow: Workflow) -> None:
    make_target()
    write(ended(workflow, 60, wrong=15))
    judge_alerts()
    row = only()
    row.pk, row.began_at, row._state.adding = None, row.began_at - DAY, True
    with pytest.raises(IntegrityError, match="anomaly_open_once"), transaction.atomic():
        Anomaly.objects.create(
            workflow=workflow,
            kind="target",
            figure="error_rate",
            began_at=row.began_at,
            until=row.until,
            is_open=True,
            count=1,
            of=1,
            expected=0,
        )


def test_a_look_that_is_killed_leaves_nothing_and_the_next_makes_up_for_it(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_target()
    make_target(kpi="throughput", value=100, direction="up")
    write(ended(workflow, 60, wrong=15))
    begin, left = alerts.begin, [1]

    def killed(found: Anomaly) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        begin(found)

    monkeypatch.setattr(alerts, "begin", killed)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        judge_alerts()
    assert (Anomaly.objects.count(), told_of()) == (0, 0)
    monkeypatch.setattr(alerts, "begin", begin)
    assert judge_alerts() == 2


def test_as_few_statements_however_many_workflows(workflow: Workflow) -> None:
    make_target(workflow="")
    make_target(workflow="", kpi="cycle_time_p90_s", value=10**9)
    write(ended(workflow, 60))
    judge_alerts()
    with CaptureQueriesContext(connection) as one:
        judge_alerts()
    for at in range(5):
        other = older(Workflow.objects.create(slug=f"w{at}", name=f"W{at}", unit=make_unit()))
        write(ended(other, 60))
    with CaptureQueriesContext(connection) as six:
        judge_alerts()
    assert len(six) == len(one) <= 20


def test_the_clock_judges_by_itself(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the scheduler does it, with the real clock and the real lag of the figures."""
    monkeypatch.undo()
    make_target()
    week = ended_week(database_now() - anomalies.SETTLED, reporting_zone()).period(reporting_zone())
    write(ended(workflow, 60, wrong=15, at=week.start + DAY))
    write(late(workflow))
    assert tasks.judge_alerts() == 2


def mute(workflow: Workflow, row: Anomaly, now: datetime) -> None:
    manager = make_holder("kpis.manage_target", "kpis.view_kpi", unit=workflow.unit)
    mute_anomaly(manager, anomaly=row, until=now + DAY * 20, reason="We hire.")


def test_muted_means_found_listed_and_not_told(workflow: Workflow, clock: Any) -> None:
    make_target()
    make_target(kpi="throughput", value=100, direction="up")
    write(ended(workflow, 60, wrong=15), ended(workflow, 1000, at=IN_WEEK + 7 * DAY))
    write(ended(workflow, 60, wrong=15, at=IN_WEEK + 14 * DAY))
    judge_alerts()
    mute(workflow, Anomaly.objects.get(figure="error_rate"), clock["now"])
    assert Entry.objects.get(name="workflow.unusual_muted").payload["kpi"] == "error_rate"
    for _ in range(2):
        clock["now"] += 7 * DAY
        judge_alerts()
    rows = Anomaly.objects.filter(is_open=True)
    assert {row.figure for row in rows} == {"error_rate", "throughput"}
    unsaid = Entry.objects.filter(name="workflow.unusual_unsaid")
    assert [entry.payload["kpi"] for entry in unsaid] == ["error_rate"]
    assert told_of() == 3  # both in the first week, the other one in the third


# Pages


@pytest.fixture
def three(workflow: Workflow, clock: Any) -> Workflow:
    """One workflow with a missed target, a late run and a backlog, as of now."""
    clock["now"] = now = database_now()
    week = ended_week(now - anomalies.SETTLED, reporting_zone()).period(reporting_zone())
    Workflow.objects.update(created_at=now - DAY * 365)
    make_target(tolerance=0.01)
    write(ended(workflow, 60, wrong=15, at=week.start + 1.5 * DAY))
    yesterday = (now - anomalies.SETTLED - DAY).replace(hour=12)
    days_of(workflow, yesterday, *[(5, 5)] * 50, *[(9, 2)] * 7)
    write(late(workflow, 2))
    assert judge_alerts() == 3
    return workflow


def links(html: str) -> dict[str, str]:
    """Where the page leads, by figure."""
    hrefs = [part.partition('"')[0].replace("&amp;", "&") for part in html.split('href="/dashboards/w/')[1:]]
    return {href.partition("/")[0]: f"/dashboards/w/{href}" for href in hrefs if "unit=" in href}


def test_each_leads_to_as_many_rows_as_it_says(three: Workflow) -> None:
    client = signed_in(make_holder("kpis.view_kpi", unit=three.unit))
    html = client.get("/dashboards/unusual/").content.decode()
    assert "Target missed in" in text_of(html)
    assert "Error rate was" in text_of(html)
    assert "2 of 51 open runs past their SLA; none should be." in text_of(html)
    rows = {row.figure or row.kind: row.count for row in Anomaly.objects.all()}
    found = links(html)
    for figure, count in (("error_rate", rows["error_rate"]), ("breached_open", rows["sla"])):
        assert client.get(found[figure]).content.decode().count('href="/runs/') == count, figure
    assert rows["backlog"] == 49
    assert client.get(found["backlog"]).content.decode().count('href="/runs/') == rows["backlog"]
    for page in ("/dashboards/overview/", "/dashboards/w/"):
        text = text_of(client.get(page).content.decode())
        assert "Work piles up: 49 runs were open" in text, page
        assert "3 things are worth a look now" in text, page
    assert "Work piles up" not in text_of(client.get("/dashboards/w/?version=1").content.decode())
    near, far = make_unit(parent=three.unit), three.unit
    reader = signed_in(make_holder("kpis.view_kpi"))
    assert "Work piles up" in text_of(reader.get(f"/dashboards/overview/?unit={far.slug}").content.decode())
    assert "Work piles up" not in text_of(reader.get(f"/dashboards/overview/?unit={near.slug}").content.decode())
    assert "Goes on" in text_of(html)


def test_others_units_are_told_nothing_and_mute_nothing(three: Workflow) -> None:
    far = make_holder("kpis.view_kpi", "kpis.manage_target", unit=make_unit())
    client = signed_in(far)
    for page in ("/dashboards/unusual/", "/dashboards/overview/"):
        assert "Refunds" not in client.get(page).content.decode()
    row = Anomaly.objects.get(kind="sla")
    assert client.post(f"/dashboards/unusual/{row.pk}/mute/", {}).status_code == 404
    assert caller(far).get("/api/v1/kpis/worth-a-look/").json()["results"] == []
    new = make_unit()
    Workflow.objects.update(unit=new)
    assert not anomalies_for(make_holder("kpis.view_kpi", unit=new)), "what it was elsewhere stays there"
    assert len(anomalies_for(make_holder("kpis.view_kpi", unit=three.unit))) == 3


def test_muted_on_the_page_it_is_listed_and_on_no_dashboard(three: Workflow, clock: Any) -> None:
    client = signed_in(make_holder("kpis.manage_target", "kpis.view_kpi", unit=three.unit))
    row, day = Anomaly.objects.get(kind="sla"), (clock["now"] + DAY * 5).date().isoformat()
    answer = client.post(f"/dashboards/unusual/{row.pk}/mute/", {"until": day, "reason": "We hire."})
    assert answer.status_code == 302
    assert "open runs past" not in client.get("/dashboards/overview/").content.decode()
    assert "We hire." in client.get("/dashboards/unusual/").content.decode()


def test_others_do_not_take_the_place_of_a_unit_s_own(three: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.kpis.selectors.anomalies.MOST", 2)
    begun = {"began_at": NOW, "until": database_now() + DAY, "count": 9, "of": 9, "expected": 1, "is_open": True}
    for number in range(3):
        unit = make_unit(slug=f"other-{number}")
        other = Workflow.objects.create(
            slug=f"o{number}", name="Other", unit=unit, owner=make_user(username=f"o{number}")
        )
        Anomaly.objects.create(workflow=other, unit=unit.pk, kind="sla", **begun)
    asked = replace(week_asked(ended_week(NOW, reporting_zone())), unit=three.unit.slug)
    assert {one.row.workflow_id for one in recent_anomalies_for(make_admin(), asked)} == {three.pk}


def test_one_that_ended_leads_to_what_ended_late(three: Workflow, clock: Any) -> None:
    runs = RunFact.objects.filter(finished_at=None, sla_ms__isnull=False).values_list("run_id", "started_at")
    more = {"unit_id": three.unit_id, "sla_ms": 3_600_000, "finished_at": database_now()}
    write([make_run(run_id=run, started_at=at, **more) for run, at in runs])
    judge_alerts()
    reader = make_holder("kpis.view_kpi", unit=three.unit)
    seen = next(one for one in anomalies_for(reader) if one.row.kind == "sla")
    assert not seen.row.is_open
    assert signed_in(reader).get(seen.href).content.decode().count('href="/runs/') == 2


def test_the_api_lists_all_and_the_old_address_hours_alone(three: Workflow) -> None:
    reader: User = make_holder("kpis.view_kpi", unit=three.unit)
    rows = {row["kind"]: row for row in caller(reader).get("/api/v1/kpis/worth-a-look/").json()["results"]}
    assert set(rows) == {"target", "sla", "backlog"}
    assert (rows["target"]["kpi"], rows["target"]["expected"], rows["target"]["open"]) == ("error_rate", 0.05, True)
    assert rows["target"]["value"] > 0.05
    assert rows["sla"]["text"] == "2 of 51 open runs past their SLA; none should be."
    assert rows["backlog"]["behind"].startswith("/dashboards/w/backlog/?")
    assert caller(reader).get("/api/v1/kpis/unusual-hours/").json()["results"] == []
    assert caller(reader).get("/api/v1/kpis/worth-a-look/", {"workflow": "v"}).json()["results"] == []
    assert caller(reader).get("/api/v1/kpis/worth-a-look/", {"kind": "sla"}).status_code == 422
    assert caller(make_user()).get("/api/v1/kpis/worth-a-look/").status_code == 403
