"""An invented history tells of agents' acts, of what went wrong and of what changed; marked, never as real."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.access.models import BusinessUnit as Unit
from apps.core.services import system_user
from apps.kpis.models import ActionFact, HistoryMark, IncidentFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.arrivals import halt_of, outage_of
from apps.kpis.rules.buckets import BucketSize, Period
from apps.kpis.rules.changes import ChangeKind
from apps.kpis.rules.facts import Facts, MarkSeen
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.history import HistoryPlan, parts_of, scale_of
from apps.kpis.rules.incidents import IncidentKind
from apps.kpis.rules.invented_acts import acts_of, marks_of_history
from apps.kpis.rules.traits import sample_acts, sample_traits
from apps.kpis.selectors.changes import changes_for
from apps.kpis.selectors.kpis import kpis_for
from apps.kpis.services import import_history, reconcile_rollups
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.kpis import make_run

DAYS = 56
VIEW = "kpis.view_kpi"


def whole(plan: HistoryPlan) -> Facts:
    zone, traits = reporting_zone(), sample_traits(None, None)
    acts = acts_of(sample_acts(None, None, None), plan, zone, scale_of(plan, traits, zone))
    facts = Facts()
    for part, is_last in parts_of(plan, traits, zone, [acts]):
        facts.extend(part)
        if is_last:
            facts.extend(marks_of_history(traits, plan, zone))
    return facts


def plan_of(runs: int = 900, until: datetime | None = None) -> HistoryPlan:
    return HistoryPlan(seed=3, runs=runs, days=DAYS, until=until or database_now())


def test_the_same_plan_is_the_same_history_and_as_judged_as_its_traits_say() -> None:
    plan = plan_of(until=datetime(2026, 11, 2, 12, tzinfo=UTC))
    facts, again = whole(plan), whole(plan)
    assert facts.acts == again.acts
    assert facts.incidents == again.incidents
    assert len({act.action_id for act in facts.acts}) == len(facts.acts) > 500
    clerk = [act for act in facts.acts if act.agent == "records-clerk"]
    assert 0.06 < sum(act.state == "denied" for act in clerk) / len(clerk) < 0.3
    assert not [act for act in facts.acts if act.alone and act.decided is not None]
    assert not [act for act in facts.acts if act.state != "succeeded" and (act.reviewed, act.read_back) != (None, None)]
    wrong = {act.action_id for act in facts.acts if act.read_back is False}
    assert {one.action_id for one in facts.incidents if one.kind == IncidentKind.MISMATCH} == wrong
    assert all(one.ended_at and one.began_at < one.ended_at <= plan.until for one in facts.incidents)


def test_what_would_end_later_ends_with_the_history_and_stays_open_in_none() -> None:
    zone, until = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 30, 23, 5, tzinfo=UTC)  # after a Friday
    days = acts_of(sample_acts(None, None, None), replace(plan_of(until=until), days=3), zone, scale=50)
    ends = [one.ended_at for facts in days for one in facts.incidents]
    assert until in ends
    assert None not in ends


def test_versions_are_marked_where_their_runs_begin_and_the_outage_where_it_was() -> None:
    plan, zone = plan_of(until=datetime(2026, 11, 2, 12, tzinfo=UTC)), ZoneInfo("Europe/Berlin")
    traits = sample_traits(None, None)
    marks = marks_of_history(traits, plan, zone).marks
    starts = defaultdict(list)
    for part, _ in parts_of(plan, traits, zone):
        for run in part.runs:
            starts[run.workflow, run.version].append(run.started_at)
    told = {(mark.workflow, mark.number): mark.at for mark in marks if mark.kind == ChangeKind.VERSION}
    assert len(told) == 5
    for (workflow, number), at in told.items():
        assert at <= min(starts[workflow, number])
        assert not [moment for moment in starts[workflow, number - 1] if moment >= at]
    (outage,) = [mark for mark in marks if mark.kind == ChangeKind.OUTAGE]
    assert (outage.at, outage.until) == outage_of(date(2026, 11, 2), DAYS, zone)


def test_rules_change_with_versions_and_an_agent_that_people_stopped_did_nothing_meanwhile() -> None:
    plan, zone = plan_of(until=datetime(2026, 11, 2, 12, tzinfo=UTC)), ZoneInfo("Europe/Berlin")
    marks = marks_of_history(sample_traits(None, None), plan, zone)
    began = {mark.at for mark in marks.marks if mark.kind == ChangeKind.VERSION}
    rules = [mark for mark in marks.marks if mark.kind == ChangeKind.POLICY]
    assert [mark.name for mark in rules] == ["Purchasing", "Payments"]
    assert {mark.at for mark in rules} <= began
    (halt,) = [mark for mark in marks.marks if mark.kind == ChangeKind.HALT]
    (incident,) = [one for one in marks.incidents if one.kind == IncidentKind.HALT]
    at, until = halt_of(date(2026, 11, 2), DAYS, zone)
    assert at.weekday() < 5
    assert (halt.at, halt.until) == (incident.began_at, incident.ended_at) == (at, until)
    acts = [act for facts in acts_of(sample_acts(None, None, None), plan, zone, 40.0) for act in facts.acts]
    meanwhile = {act.agent for act in acts if at <= act.ended_at < until}
    assert meanwhile == {act.agent for act in acts} - {"records-clerk"}


@pytest.mark.django_db
def test_they_come_in_once_and_are_in_simulated_figures_alone() -> None:
    facts, actor = whole(plan_of()), make_admin()
    assert import_history(system_user("console"), facts=facts) == len(facts.runs)
    import_history(system_user("console"), facts=facts)
    assert ActionFact.objects.count() == len(facts.acts)
    assert IncidentFact.objects.count() == len(facts.incidents)
    assert HistoryMark.objects.count() == len(facts.marks)
    for model in (ActionFact, IncidentFact, HistoryMark):
        assert not model.objects.filter(simulated=False).exists()
    assert reconcile_rollups() == 0
    whole_year = asked(simulated=True)
    figures = kpis_for(actor, whole_year).totals
    assert figures["denied"].figure.value == sum(act.state == "denied" for act in facts.acts)
    assert figures["incidents"].figure.value == len(facts.incidents)
    judged = [act for act in facts.acts if {act.decided, act.reviewed, act.read_back} != {None}]
    assert figures["accuracy"].figure.n == len(judged)
    real = kpis_for(actor, asked(simulated=False)).totals
    assert (real["denied"].figure.value, real["incidents"].figure.value, real["accuracy"].figure.n) == (0, 0, 0)


@pytest.mark.django_db
def test_what_changed_is_told_where_simulated_runs_are_counted_and_to_whom_they_are_shown() -> None:
    unit, other = make_unit(), make_unit()
    at = database_now() - timedelta(days=2)
    marks = [
        MarkSeen(kind=ChangeKind.VERSION, at=at, workflow="order", unit_id=unit.pk, number=2),
        MarkSeen(kind=ChangeKind.OUTAGE, at=at, until=at + timedelta(hours=6), name="ERP"),
        MarkSeen(kind=ChangeKind.PRICE, at=at, name="demo-large"),
        MarkSeen(kind=ChangeKind.POLICY, at=at, name="Payments", number=2),
        MarkSeen(kind=ChangeKind.HALT, at=at, until=at + timedelta(hours=3), name="records-clerk"),
    ]
    import_history(system_user("console"), facts=Facts(runs=[make_run()], marks=marks))
    everybody_s = {
        "ERP: most calls failed (simulated)",
        "Another price for the model demo-large (simulated)",
        "Rules of Payments: version 2 in force (simulated)",
        "Stopped: agent records-clerk (simulated)",
    }
    own = everybody_s | {"order: version 2 in force (simulated)"}

    def told(of: Unit, **limits: Any) -> set[str]:
        return {one.text for one in changes_for(make_holder(VIEW, unit=of), asked(**{"simulated": True, **limits}))}

    assert told(unit) == own == told(unit, workflow="order", unit=unit.slug)
    assert told(other) == everybody_s == told(unit, workflow="another") == told(unit, agent="payables")
    assert told(unit, simulated=False) == set()


def asked(**limits: Any) -> KpiFilter:
    now = database_now()
    period = Period(now - timedelta(days=DAYS + 2), now)
    return KpiFilter(period=period, zone=reporting_zone(), size=BucketSize.WEEK, **limits)
