"""Facts are written once; a repeat changes nothing, a correction moves its bucket, rollups equal facts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.forms.models import model_to_dict
from django.test import Client

from apps.console.selectors.home import health_for
from apps.kpis.models import ApprovalFact, CostItem, RollupDay, RunFact, StepFact
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors.data_quality import data_quality_for
from apps.kpis.services import reconcile_rollups, write_facts
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import NOON, make_cost, make_decision, make_run, make_step

pytestmark = pytest.mark.django_db


def state() -> list[Any]:
    """Everything that the writer wrote, but the serial keys of rollups and costs."""
    rows = [
        model_to_dict(row) | {"pk": str(row.pk)}
        for model in (RunFact, StepFact, ApprovalFact)
        for row in model.objects.all()
    ]
    rows += [model_to_dict(row, exclude=["id"]) for model in (CostItem, RollupDay) for row in model.objects.all()]
    return sorted(map(str, rows))


def batch(n: int = 40, seed: int = 1) -> Facts:
    """Runs of several days, workflows, versions and ends, with steps, decisions and costs."""
    random, facts = Random(seed), Facts()
    for _ in range(n):
        end = NOON + timedelta(hours=random.randint(-200, 200))
        state_ = random.choice(["succeeded", "succeeded", "succeeded", "failed", "cancelled"])
        run = make_run(
            workflow=random.choice("ab"),
            version=random.randint(1, 3),
            state=state_,
            finished_at=end,
            started_at=end - timedelta(minutes=random.randint(1, 5000)),
            sla_ms=random.choice([None, 36 * 3_600_000]),
        )
        facts.runs.append(run)
        facts.steps.append(make_step(run, agent=random.choice(["x", "y"]), failed_attempts=random.randint(0, 1)))
        if random.random() < 0.4:
            facts.decisions.append(
                make_decision(run, decided_at=end, outcome=random.choice(["approved", "rejected", "expired"]))
            )
        facts.costs.append(make_cost(run, incurred_at=end - timedelta(hours=random.randint(0, 40))))
    return facts


def test_a_repeat_changes_nothing() -> None:
    facts = batch()
    write_facts(facts=facts)
    before = state()
    write_facts(facts=facts)
    write_facts(facts=Facts(runs=facts.runs[:5], costs=facts.costs[7:9]))
    assert state() == before


def test_facts_told_in_any_order_and_in_pieces_come_to_the_same() -> None:
    facts = batch()
    write_facts(facts=facts)
    whole = state()
    for model in (RunFact, StepFact, ApprovalFact, CostItem, RollupDay):
        model.objects.all().delete()
    write_facts(facts=Facts(costs=facts.costs[::-1]))
    write_facts(facts=Facts(decisions=facts.decisions, steps=facts.steps[20:]))
    for run in facts.runs:
        write_facts(facts=Facts(runs=[run]))
    write_facts(facts=Facts(steps=facts.steps[:20]))
    assert state() == whole


def test_a_correction_moves_its_run_to_the_other_bucket() -> None:
    run = make_run(entry_id=1)
    write_facts(facts=Facts(runs=[run]))
    assert list(RollupDay.objects.values_list("day", "succeeded", "failed")) == [(date(2026, 11, 10), 1, 0)]
    later = NOON + timedelta(days=9)
    write_facts(facts=Facts(runs=[replace(run, state="failed", finished_at=later, started_at=later, entry_id=2)]))
    assert list(RollupDay.objects.values_list("day", "succeeded", "failed")) == [(date(2026, 11, 19), 0, 1)]


def test_an_older_entry_never_overwrites_a_newer_one() -> None:
    run = make_run(entry_id=5)
    write_facts(facts=Facts(runs=[run]))
    before = state()
    write_facts(facts=Facts(runs=[replace(run, state="running", outcome="", finished_at=None, entry_id=4)]))
    assert state() == before


def test_an_open_run_arrives_and_finishes_later() -> None:
    run = make_run(finished_at=None, started_at=NOON - timedelta(days=2), entry_id=1)
    write_facts(facts=Facts(runs=[run]))
    assert list(RollupDay.objects.values_list("day", "arrivals", "succeeded")) == [(date(2026, 11, 8), 1, 0)]
    write_facts(facts=Facts(runs=[replace(run, state="succeeded", finished_at=NOON, entry_id=2)]))
    days = RollupDay.objects.order_by("day").values_list("day", "arrivals", "succeeded")
    assert list(days) == [(date(2026, 11, 8), 1, 0), (date(2026, 11, 10), 0, 1)]


def test_a_late_cost_is_added_to_its_run_and_to_the_day_on_which_the_run_finished() -> None:
    run = make_run()
    write_facts(facts=Facts(runs=[run]))
    cost = make_cost(run, incurred_at=NOON + timedelta(days=3), amount_micro=7)
    write_facts(facts=Facts(costs=[cost]))
    fact = RunFact.objects.get()
    assert (fact.cost_micro, fact.llm_micro) == (7, 7)
    days = RollupDay.objects.order_by("day", "version").values_list("day", "cost_micro", "spend_micro")
    assert list(days) == [(date(2026, 11, 10), 7, 0), (date(2026, 11, 13), 0, 7)]
    write_facts(facts=Facts(costs=[replace(cost, amount_micro=9)]))
    assert RunFact.objects.get().cost_micro == 9
    assert CostItem.objects.count() == 1


def test_a_runs_counts_come_from_its_steps_and_decisions() -> None:
    run = make_run()
    facts = Facts(
        runs=[run],
        steps=[make_step(run, agent="checker", failed_attempts=2), make_step(run, rework=True, round=2)],
        decisions=[make_decision(run), make_decision(run, kind="action", outcome="expired", agent="payer")],
    )
    write_facts(facts=facts)
    fact = RunFact.objects.get()
    assert (fact.touches, fact.failed_attempts) == (1, 2)
    assert fact.escalated
    assert fact.reworked
    assert fact.agents == ["checker", "payer"]


def test_a_planned_approval_is_a_touch_and_no_escalation_unless_it_was_overdue() -> None:
    planned, late = make_run(), make_run()
    decisions = [make_decision(planned), make_decision(late, overdue=True)]
    write_facts(facts=Facts(runs=[planned, late], decisions=decisions))
    assert not RunFact.objects.get(pk=planned.run_id).escalated
    assert RunFact.objects.get(pk=late.run_id).escalated


def test_days_are_days_of_the_reporting_zone(settings: Any) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    spring = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # 00:30 on the 29th, a day of 23 hours
    last = datetime(2026, 3, 29, 21, 59, tzinfo=UTC)
    next_ = datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
    runs = [make_run(finished_at=end, started_at=end) for end in (spring, last, next_)]
    write_facts(facts=Facts(runs=runs))
    days = RollupDay.objects.order_by("day").values_list("day", "succeeded")
    assert list(days) == [(date(2026, 3, 29), 2), (date(2026, 3, 30), 1)]


def test_units_simulated_and_versions_have_buckets_of_their_own() -> None:
    unit = make_unit()
    write_facts(facts=Facts(runs=[make_run(), make_run(unit_id=unit.id), make_run(version=2), make_run(version=2)]))
    write_facts(facts=Facts(runs=[make_run()]), simulated=True)
    rows = RollupDay.objects.values_list("version", "unit", "simulated", "succeeded")
    assert sorted(map(str, rows)) == sorted(
        map(str, [(1, None, False, 1), (1, unit.id, False, 1), (2, None, False, 2), (1, None, True, 1)])
    )


def test_reconcile_finds_and_mends_what_differs_from_the_facts() -> None:
    write_facts(facts=batch())
    before = state()
    now = NOON + timedelta(days=10)
    assert reconcile_rollups(now=now) == 0
    RollupDay.objects.filter(workflow="a").update(succeeded=99)
    RollupDay.objects.filter(workflow="b").first().delete()  # type: ignore[union-attr]
    RollupDay.objects.create(day=NOON.date(), workflow="ghost", failed=3)
    assert reconcile_rollups(now=now) > 2
    assert state() == before
    viewer = make_holder("kpis.view_kpi")
    found = data_quality_for(viewer).reconciled
    assert found is not None
    assert (found.days, found.mended > 2) == (35, True)
    assert f"{found.mended} kept figures differed from the facts" in [one.title for one in health_for(viewer)]
    assert not any("kept figures" in one.title for one in health_for(make_holder("agents.view_agent")))
    client = Client()
    client.force_login(viewer)
    assert "of 35 days, found and mended" in client.get("/dashboards/data-quality/").content.decode()
    assert client.get("/api/v1/data-quality/").json()["mended"] == found.mended
    assert reconcile_rollups(now=now) == 0
    assert not any("kept figures" in one.title for one in health_for(viewer)), "the newest found nothing"


def test_a_clock_that_runs_backwards_is_clamped_and_counted() -> None:
    write_facts(facts=Facts(runs=[make_run(started_at=NOON + timedelta(minutes=1))]))
    fact = RunFact.objects.get()
    assert (fact.cycle_ms, fact.clock_clamped) == (0, True)


def test_costs_that_somebody_made_up_stop_no_figures() -> None:
    """Sums beyond what a column holds: they stay as high as it goes, and what comes later is still folded."""
    run, other = make_run(), make_run(workflow="v")
    kinds = ("llm", "agent", "llm", "agent")
    write_facts(facts=Facts(runs=[run, other], costs=[make_cost(run, kind=kind, amount_micro=2**62) for kind in kinds]))
    write_facts(facts=Facts(costs=[make_cost(run, amount_micro=2**70, quantity=2**70), make_cost(other)]))
    fact = RunFact.objects.get(run_id=run.run_id)
    assert (fact.cost_micro, fact.llm_micro, fact.agent_micro) == (2**63 - 1, 2**63 - 1, 2**63 - 1)
    assert RunFact.objects.get(run_id=other.run_id).cost_micro == 500_000
    assert RollupDay.objects.get(workflow="w").spend_micro == 2**63 - 1
    assert reconcile_rollups(now=NOON) == 0
    client = Client()
    client.force_login(make_holder("kpis.view_kpi"))
    assert client.get("/dashboards/w/?from=2026-11-01&to=2026-11-30&tz=UTC").status_code == 200
