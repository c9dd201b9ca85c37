"""The fact writer: facts in, touched buckets recomputed, in one transaction. The only door to the tables of facts."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from apps.kpis.models import ApprovalFact, CostItem, RunFact, StepFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.facts import (
    DECIDED,
    ESCALATING_KINDS,
    CostSeen,
    DecisionSeen,
    Facts,
    RunSeen,
    StepSeen,
    duration_ms,
    is_overridden,
    newest_by_id,
    run_ids_of,
    runs_backwards,
    sla_met_of,
)
from apps.kpis.services.rollups import Touched, recompute_rollups

BATCH = 2000

DERIVE = """
UPDATE kpis_runfact AS run SET
  touches = coalesce(decision.touches, 0) + coalesce(step.touches, 0),
  escalated = coalesce(decision.escalated, false) OR coalesce(step.overdue, false),
  reworked = coalesce(step.reworked, false),
  failed_attempts = coalesce(step.failed_attempts, 0),
  agents = (SELECT coalesce(array_agg(DISTINCT agent ORDER BY agent), '{}')
            FROM unnest(coalesce(decision.agents, '{}') || coalesce(step.agents, '{}') || coalesce(cost.agents, '{}'))
            AS agent WHERE agent <> ''),
  llm_micro = coalesce(cost.llm, 0), human_micro = coalesce(cost.human, 0),
  connector_micro = coalesce(cost.connector, 0), agent_micro = coalesce(cost.agent, 0),
  cost_micro = coalesce(cost.total, 0), human_ms = coalesce(cost.human_ms, 0), unpriced = coalesce(cost.unpriced, 0)
FROM unnest(%(ids)s::uuid[]) AS wanted (run_id)
LEFT JOIN (
  SELECT run_id, count(*) FILTER (WHERE by_person) AS touches, bool_or(kind = ANY(%(kinds)s) OR overdue) AS escalated,
         array_agg(DISTINCT agent) AS agents
  FROM kpis_approvalfact WHERE run_id = ANY(%(ids)s) GROUP BY run_id) AS decision USING (run_id)
LEFT JOIN (
  SELECT run_id, count(*) FILTER (WHERE by_hand) AS touches, bool_or(overdue) AS overdue, bool_or(rework) AS reworked,
         sum(failed_attempts) AS failed_attempts, array_agg(DISTINCT agent) AS agents
  FROM kpis_stepfact WHERE run_id = ANY(%(ids)s) GROUP BY run_id) AS step USING (run_id)
LEFT JOIN (
  SELECT run_id, sum(amount_micro) AS total, sum(amount_micro) FILTER (WHERE kind = 'llm') AS llm,
         sum(amount_micro) FILTER (WHERE kind = 'human') AS human,
         sum(quantity) FILTER (WHERE kind = 'human') AS human_ms,
         sum(amount_micro) FILTER (WHERE kind = 'connector') AS connector,
         sum(amount_micro) FILTER (WHERE kind = 'agent') AS agent,
         count(*) FILTER (WHERE priced_by = 'unpriced') AS unpriced, array_agg(DISTINCT agent) AS agents
  FROM kpis_costitem WHERE run_id = ANY(%(ids)s) GROUP BY run_id) AS cost USING (run_id)
WHERE run.run_id = wanted.run_id
"""
"""What a run's fact says of the facts below it. Recomputed whole, so that a late cost or correction mends it."""


@transaction.atomic
def write_facts(*, facts: Facts, simulated: bool = False) -> int:
    """Write a batch of facts and recompute every bucket that it touches, before and after; how many facts came in.

    A fact that is already there with the same content changes nothing; an older entry never overwrites a newer one.
    Callers hold the projection's lock: there is one writer at a time.
    """
    touched: Touched = set()
    runs = _news(newest_by_id(facts.runs))
    run_ids = run_ids_of(facts)
    sources = [cost.source_id for cost in facts.costs]
    decisions = [decision.escalation_id for decision in facts.decisions]
    touched |= _days_of(run_ids, decisions, sources)
    _upsert(RunFact, [_run_row(run, simulated) for run in runs], ["run_id"])
    _upsert(StepFact, [_step_row(step, simulated) for step in _last(facts.steps, "step_id")], ["step_id"])
    approvals = [_approval_row(one, simulated) for one in _last(facts.decisions, "escalation_id")]
    _upsert(ApprovalFact, approvals, ["escalation_id"])
    _upsert(CostItem, [_cost_row(cost, simulated) for cost in _last_costs(facts.costs)], ["kind", "source_id"])
    for chunk in _chunks(run_ids, BATCH):
        with connection.cursor() as cursor:
            cursor.execute(DERIVE, {"ids": list(chunk), "kinds": list(ESCALATING_KINDS)})
    touched |= _days_of(run_ids, decisions, sources)
    recompute_rollups(touched=touched)
    return len(facts)


def _news(runs: list[RunSeen]) -> list[RunSeen]:
    """Without what the table knows from a newer entry."""
    known = dict(RunFact.objects.filter(run_id__in=[run.run_id for run in runs]).values_list("run_id", "entry_id"))
    return [run for run in runs if known.get(run.run_id, -1) <= run.entry_id]


def _days_of(run_ids: Sequence[UUID], decisions: Sequence[UUID], sources: Sequence[UUID]) -> Touched:
    """The buckets in which these facts lie now."""
    zone, days = reporting_zone(), set[tuple[str, date]]()
    for chunk in _chunks(run_ids, BATCH):
        for workflow, *moments in RunFact.objects.filter(run_id__in=chunk).values_list(
            "workflow", "started_at", "finished_at"
        ):
            days |= {(workflow, local_day(moment, zone)) for moment in moments if moment is not None}
    moments_of: Iterable[tuple[str, datetime]] = [
        *_moments(ApprovalFact, "escalation_id", decisions, "decided_at"),
        *_moments(CostItem, "source_id", sources, "incurred_at"),
    ]
    return days | {(workflow, local_day(moment, zone)) for workflow, moment in moments_of}


def _moments(model: type[Model], key: str, ids: Sequence[UUID], field: str) -> Iterable[tuple[str, datetime]]:
    for chunk in _chunks(ids, BATCH):
        yield from model._default_manager.filter(**{f"{key}__in": chunk}).values_list("workflow", field)


def _upsert(model: type[Model], rows: list[Any], unique: list[str]) -> None:
    if not rows:
        return
    derived = DERIVED if model is RunFact else set()
    fields = [
        field.name
        for field in model._meta.concrete_fields
        if not field.primary_key and field.name not in derived and field.name not in unique
    ]
    model._default_manager.bulk_create(
        rows, batch_size=BATCH, update_conflicts=True, unique_fields=unique, update_fields=fields
    )


DERIVED = {
    "touches",
    "escalated",
    "reworked",
    "failed_attempts",
    "agents",
    "llm_micro",
    "human_micro",
    "connector_micro",
    "agent_micro",
    "cost_micro",
    "human_ms",
    "unpriced",
    "superseded",
}
"""Columns of a run's fact that are sums of other facts; no entry writes them."""


def _run_row(run: RunSeen, simulated: bool) -> RunFact:
    end = run.finished_at
    return RunFact(
        run_id=run.run_id,
        workflow=run.workflow,
        unit=run.unit_id,
        simulated=simulated,
        version=run.version,
        key=run.key[:200],
        state=run.state,
        outcome=run.outcome[:63],
        error_class=run.error_class[:80],
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=end,
        cycle_ms=None if end is None else duration_ms(run.started_at, end),
        lead_ms=None if end is None else duration_ms(run.created_at, end),
        paused_ms=run.paused_ms,
        clock_clamped=end is not None and runs_backwards(run.created_at, run.started_at, end),
        sla_ms=run.sla_ms,
        sla_met=sla_met_of(run),
        rerun_of=run.rerun_of,
        entry_id=run.entry_id,
    )


def _step_row(step: StepSeen, simulated: bool) -> StepFact:
    return StepFact(
        step_id=step.step_id,
        run_id=step.run_id,
        workflow=step.workflow,
        unit=step.unit_id,
        simulated=simulated,
        name=step.name,
        round=step.round,
        kind=step.kind,
        state=step.state,
        outcome=step.outcome[:63],
        agent=step.agent,
        queued_at=step.queued_at,
        started_at=step.started_at,
        finished_at=step.finished_at,
        attempts=step.attempts,
        failed_attempts=step.failed_attempts,
        rework=step.rework,
        by_hand=step.by_hand,
        overdue=step.overdue,
    )


def _approval_row(decision: DecisionSeen, simulated: bool) -> ApprovalFact:
    return ApprovalFact(
        escalation_id=decision.escalation_id,
        run_id=decision.run_id,
        workflow=decision.workflow,
        unit=decision.unit_id,
        simulated=simulated,
        kind=decision.kind,
        outcome=decision.outcome,
        requested_at=decision.requested_at,
        decided_at=decision.decided_at,
        latency_ms=duration_ms(decision.requested_at, decision.decided_at),
        by_person=decision.outcome in DECIDED,
        overridden=is_overridden(decision),
        edited=decision.edited,
        overdue=decision.overdue,
        decided_by=decision.decided_by[:160],
        agent=decision.agent,
        rule=decision.rule[:120],
    )


def _cost_row(cost: CostSeen, simulated: bool) -> CostItem:
    return CostItem(
        kind=cost.kind,
        source_id=cost.source_id,
        run_id=cost.run_id,
        workflow=cost.workflow,
        unit=cost.unit_id,
        simulated=simulated,
        agent=cost.agent,
        model=cost.model,
        quantity=cost.quantity,
        amount_micro=cost.amount_micro,
        incurred_at=cost.incurred_at,
        priced_by=cost.priced_by,
    )


def _last[T](rows: Sequence[T], key: str) -> list[T]:
    return list({getattr(row, key): row for row in rows}.values())


def _last_costs(rows: Sequence[CostSeen]) -> list[CostSeen]:
    return list({(row.kind, row.source_id): row for row in rows}.values())


def _chunks[T](rows: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
