"""The fact writer: facts in, touched buckets recomputed, in one transaction. The only door to the tables of facts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from apps.kpis.models import ApprovalFact, CostItem, RunFact, StepFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.costs import MOST
from apps.kpis.rules.facts import (
    BY_MACHINES,
    BY_PEOPLE,
    DECIDED,
    ESCALATING_KINDS,
    PEOPLE,
    WORKED,
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
from apps.kpis.services.opening import open_time_of, open_wait_of
from apps.kpis.services.rollups import Touched, recompute_rollups

BATCH = 2000

type Row = dict[str, Any]

DERIVE = """
UPDATE kpis_runfact AS run SET
  touches = coalesce(decision.touches, 0) + coalesce(step.touches, 0),
  escalated = coalesce(decision.escalated, false) OR coalesce(step.overdue, false),
  amended = coalesce(decision.amended, false), turned_down = coalesce(decision.turned_down, false),
  reworked = coalesce(step.reworked, false),
  failed_attempts = coalesce(step.failed_attempts, 0),
  handovers = coalesce(handed.n, 0),
  tries = coalesce(step.tries, 0), failed_tries = coalesce(step.failed_tries, 0),
  worked_steps = coalesce(step.worked, 0), automated_steps = coalesce(step.automated, 0),
  agents = (SELECT coalesce(array_agg(DISTINCT agent ORDER BY agent), '{}')
            FROM unnest(coalesce(decision.agents, '{}') || coalesce(step.agents, '{}') || coalesce(cost.agents, '{}'))
            AS agent WHERE agent <> ''),
  llm_micro = least(coalesce(cost.llm, 0), %(most)s), human_micro = least(coalesce(cost.human, 0), %(most)s),
  connector_micro = least(coalesce(cost.connector, 0), %(most)s),
  agent_micro = least(coalesce(cost.agent, 0), %(most)s),
  cost_micro = least(coalesce(cost.total, 0), %(most)s), human_ms = least(coalesce(cost.human_ms, 0), %(most)s),
  unpriced = coalesce(cost.unpriced, 0),
  mismatches = (SELECT count(*) FROM agents_action AS action
                JOIN connectors_effect AS effect ON effect.action_id = action.id
                LEFT JOIN LATERAL (
                  SELECT entry.name AS read FROM audit_entry AS entry
                  WHERE effect.state = 'compensated' AND entry.subject_id = effect.id
                    AND entry.name IN ('effect.verified', 'effect.mismatch')
                  ORDER BY entry.id DESC LIMIT 1) AS was ON true
                WHERE action.run_id = run.run_id AND coalesce(was.read, 'effect.' || effect.state) = 'effect.mismatch'),
  (touch_ms, agent_ms, connector_ms, queue_ms, wait_ms) = (
    SELECT touch, agent, connector, queue, coalesce(run.cycle_ms, 0) - touch - agent - connector
    FROM (SELECT coalesce(trunc(sum(ms) FILTER (WHERE part = 'touch')), 0) AS touch,
                 coalesce(trunc(sum(ms) FILTER (WHERE part = 'agent')), 0) AS agent,
                 coalesce(trunc(sum(ms) FILTER (WHERE part = 'connector')), 0) AS connector,
                 coalesce(trunc(sum(ms) FILTER (WHERE part = 'queue')), 0) AS queue
          FROM (SELECT coalesce(cost.hands, '{}') AS people, coalesce(step.by_agents, '{}') AS agent,
                       coalesce(step.by_connectors, '{}') AS connector, coalesce(step.queued, '{}') AS queue) AS work,
               LATERAL (VALUES ('touch', people), ('agent', agent - people), ('connector', connector - agent - people),
                               ('queue', queue - connector - agent - people)) AS parts (part, pieces),
               LATERAL (SELECT tstzmultirange(tstzrange(run.started_at, greatest(run.started_at, run.finished_at)))
                       ) AS whole (run),
               LATERAL unnest(pieces * whole.run) AS piece,
               LATERAL (SELECT extract(epoch FROM upper(piece) - lower(piece)) * 1000 AS ms) AS measured) AS spent)
FROM unnest(%(ids)s::uuid[]) AS wanted (run_id)
LEFT JOIN (
  SELECT run_id, count(*) FILTER (WHERE by_person) AS touches, bool_or(kind = ANY(%(kinds)s) OR overdue) AS escalated,
         bool_or(by_person AND (edited OR outcome = 'changes_requested')) AS amended,
         bool_or(outcome = 'rejected') AS turned_down, array_agg(DISTINCT agent) AS agents
  FROM kpis_approvalfact WHERE run_id = ANY(%(ids)s::uuid[]) GROUP BY run_id) AS decision USING (run_id)
LEFT JOIN (
  SELECT run_id, count(*) FILTER (WHERE by_hand) AS touches, bool_or(overdue) AS overdue, bool_or(rework) AS reworked,
         sum(failed_attempts) AS failed_attempts, array_agg(DISTINCT agent) AS agents,
         sum(attempts) FILTER (WHERE is_worked AND by_machine) AS tries,
         sum(failed_attempts) FILTER (WHERE is_worked AND by_machine) AS failed_tries,
         count(*) FILTER (WHERE is_worked AND (by_machine OR kind = ANY(%(by_people)s))) AS worked,
         count(*) FILTER (WHERE is_worked AND by_machine AND NOT by_hand) AS automated,
         range_agg(tstzrange(started_at, greatest(started_at, finished_at)))
           FILTER (WHERE is_worked AND kind = 'agent' AND started_at IS NOT NULL) AS by_agents,
         range_agg(tstzrange(started_at, greatest(started_at, finished_at)))
           FILTER (WHERE is_worked AND kind = 'operation' AND started_at IS NOT NULL) AS by_connectors,
         range_agg(tstzrange(queued_at, greatest(queued_at, started_at)))
           FILTER (WHERE is_worked AND kind = 'agent' AND queued_at IS NOT NULL AND started_at IS NOT NULL) AS queued
  FROM (SELECT *, state = ANY(%(worked)s) AS is_worked, kind = ANY(%(by_machines)s) AS by_machine
        FROM kpis_stepfact WHERE run_id = ANY(%(ids)s::uuid[])) AS told GROUP BY run_id) AS step USING (run_id)
LEFT JOIN (
  SELECT run_id, count(*) FILTER (WHERE who <> '' AND before <> '' AND who <> before) AS n
  FROM (SELECT run_id, who, lag(who) OVER (PARTITION BY run_id ORDER BY finished_at, step_id) AS before
        FROM (SELECT run_id, finished_at, step_id,
                     CASE WHEN kind = ANY(%(by_people)s) THEN %(people)s ELSE agent END AS who
              FROM kpis_stepfact WHERE run_id = ANY(%(ids)s::uuid[]) AND state = ANY(%(worked)s)) AS done) AS row
  GROUP BY run_id) AS handed USING (run_id)
LEFT JOIN (
  SELECT run_id, sum(amount_micro) AS total, sum(amount_micro) FILTER (WHERE kind = 'llm') AS llm,
         sum(amount_micro) FILTER (WHERE kind = 'human') AS human,
         sum(quantity) FILTER (WHERE kind = 'human') AS human_ms,
         range_agg(tstzrange(incurred_at - quantity * interval '1 ms', incurred_at))
           FILTER (WHERE kind = 'human') AS hands,
         sum(amount_micro) FILTER (WHERE kind = 'connector') AS connector,
         sum(amount_micro) FILTER (WHERE kind = 'agent') AS agent,
         count(*) FILTER (WHERE priced_by = 'unpriced') AS unpriced, array_agg(DISTINCT agent) AS agents
  FROM kpis_costitem WHERE run_id = ANY(%(ids)s::uuid[]) GROUP BY run_id) AS cost USING (run_id)
WHERE run.run_id = wanted.run_id
"""
"""What a run's fact says of the facts below it. Recomputed whole, so that a late cost or correction mends it.

The time of a run that is over is divided: each moment is people's, else an agent's, else a connector's, else waiting.
People are at it for as long as their time costs, up to their vote; of the waiting, some is in a queue for an agent.
A mismatch that was taken back stays one: the ledger says it, the effect's own state no more.
"""


WORDS: Row = {
    "kinds": list(ESCALATING_KINDS),
    "worked": list(WORKED),
    "by_people": sorted(BY_PEOPLE),
    "by_machines": sorted(BY_MACHINES),
    "people": PEOPLE,
    "most": MOST,
}

DAYS = """
SELECT workflow, (started_at AT TIME ZONE %(zone)s)::date FROM kpis_runfact WHERE run_id = ANY(%(runs)s::uuid[])
UNION SELECT workflow, (finished_at AT TIME ZONE %(zone)s)::date FROM kpis_runfact
  WHERE run_id = ANY(%(runs)s::uuid[]) AND finished_at IS NOT NULL
UNION SELECT workflow, (decided_at AT TIME ZONE %(zone)s)::date FROM kpis_approvalfact
  WHERE escalation_id = ANY(%(decisions)s::uuid[])
UNION SELECT workflow, (incurred_at AT TIME ZONE %(zone)s)::date FROM kpis_costitem
  WHERE source_id = ANY(%(sources)s::uuid[])
"""
"""The buckets, (workflow, local day), in which facts lie."""


CARRYING = (("kpis_approvalfact", "decided_at"), ("kpis_costitem", "incurred_at"), ("kpis_actionfact", "ended_at"))
CARRY = """
UPDATE {table} AS fact SET version = run.version FROM kpis_runfact AS run
WHERE run.run_id = ANY(%(runs)s::uuid[]) AND fact.run_id = run.run_id AND fact.version <> run.version
RETURNING fact.workflow, ({moment} AT TIME ZONE %(zone)s)::date
"""
"""Mostly nothing: a run is known before what it decides and costs."""


@transaction.atomic
def write_facts(*, facts: Facts, simulated: bool = False) -> int:
    """Write a batch of facts and recompute every bucket that it touches, before and after; how many facts came in.

    A fact that is already there with the same content changes nothing; an older entry never overwrites a newer one.
    Callers hold the projection's lock: there is one writer at a time.
    """
    touched = _days_of(facts)
    runs = _news(newest_by_id(facts.runs))
    open_ms = open_time_of(runs)
    _upsert(RunFact, [_run_row(run, open_ms.get(run.run_id), simulated) for run in runs], "run_id")
    _upsert(StepFact, [_step_row(step, simulated) for step in _last(facts.steps, "step_id")], "step_id")
    touched |= _carry_versions(runs)
    versions = _versions_of(facts)
    open_ms = open_wait_of(facts.decisions)
    approvals = [_approval_row(one, versions, open_ms, simulated) for one in _last(facts.decisions, "escalation_id")]
    _upsert(ApprovalFact, approvals, "escalation_id")
    _upsert(CostItem, [_cost_row(cost, versions, simulated) for cost in _last_costs(facts.costs)], "source_id, kind")
    with connection.cursor() as cursor:
        cursor.execute(DERIVE, {"ids": _array(run_ids_of(facts)), **WORDS})
    touched |= _days_of(facts)
    recompute_rollups(touched=touched)
    return len(facts)


def _news(runs: list[RunSeen]) -> list[RunSeen]:
    """Without what the table knows from a newer entry."""
    with connection.cursor() as cursor:
        ids = _array(run.run_id for run in runs)
        cursor.execute("SELECT run_id, entry_id FROM kpis_runfact WHERE run_id = ANY(%s::uuid[])", [ids])
        known = dict(cursor.fetchall())
    return [run for run in runs if known.get(run.run_id, -1) <= run.entry_id]


def _days_of(facts: Facts) -> Touched:
    """The buckets in which these facts lie now."""
    ids = {
        "zone": reporting_zone().key,
        "runs": _array(run_ids_of(facts)),
        "decisions": _array(one.escalation_id for one in facts.decisions),
        "sources": _array(one.source_id for one in facts.costs),
    }
    with connection.cursor() as cursor:
        cursor.execute(DAYS, ids)
        return set(cursor.fetchall())


def _versions_of(facts: Facts) -> dict[UUID | None, int]:
    """The version of each run of which a decision or a cost came in, as far as it is known."""
    named = {one.run_id for one in facts.decisions} | {one.run_id for one in facts.costs}
    ids = _array(run_id for run_id in named if run_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT run_id, version FROM kpis_runfact WHERE run_id = ANY(%s::uuid[])", [ids])
        return dict(cursor.fetchall())


def _carry_versions(runs: Sequence[RunSeen]) -> Touched:
    """Tell what was known of these runs before they were; the buckets in which that lies."""
    touched: Touched = set()
    words = {"runs": _array(run.run_id for run in runs), "zone": reporting_zone().key}
    with connection.cursor() as cursor:
        for table, moment in CARRYING:
            cursor.execute(CARRY.format(table=table, moment=moment), words)
            touched |= set(cursor.fetchall())
    return touched


def _array(ids: Iterable[UUID]) -> str:
    """The ids as PostgreSQL writes an array: one parameter instead of thousands."""
    return "{" + ",".join(map(str, ids)) + "}"


def _upsert(model: type[Model], rows: list[Row], unique: str) -> None:
    """Insert or overwrite rows by ``unique`` columns, as one JSON document per statement: a tenth of the ORM's time."""
    if not rows:
        return
    columns = [field for field in model._meta.concrete_fields if field.column in rows[0]]
    names = ", ".join(str(field.column) for field in columns)
    typed = ", ".join(f"{field.column} {field.db_type(connection)}" for field in columns)
    kept = {*unique.split(", "), *(DERIVED if model is RunFact else ())}
    changed = ", ".join(f"{one.column} = EXCLUDED.{one.column}" for one in columns if one.column not in kept)
    statement = (
        f"INSERT INTO {model._meta.db_table} ({names})"  # noqa: S608 - names of our own tables and columns
        f" SELECT {names} FROM jsonb_to_recordset(%s::jsonb) AS seen ({typed})"
        f" ON CONFLICT ({unique}) DO UPDATE SET {changed}"
    )
    with connection.cursor() as cursor:
        for chunk in _chunks(rows, BATCH):
            cursor.execute(statement, [json.dumps(chunk, default=str)])


DERIVED: Row = {
    "touches": 0,
    "escalated": False,
    "amended": False,
    "turned_down": False,
    "reworked": False,
    "failed_attempts": 0,
    "handovers": 0,
    "touch_ms": 0,
    "agent_ms": 0,
    "connector_ms": 0,
    "wait_ms": 0,
    "queue_ms": 0,
    "tries": 0,
    "failed_tries": 0,
    "worked_steps": 0,
    "automated_steps": 0,
    "agents": [],
    "llm_micro": 0,
    "human_micro": 0,
    "connector_micro": 0,
    "agent_micro": 0,
    "cost_micro": 0,
    "human_ms": 0,
    "unpriced": 0,
    "mismatches": 0,
    "superseded": False,
}
"""Columns of a run's fact that are sums of other facts, as they begin; no entry writes them."""


def _run_row(run: RunSeen, business_ms: int | None, simulated: bool) -> Row:
    end = run.finished_at
    return dict(
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
        business_ms=business_ms,
        paused_ms=run.paused_ms,
        paused_since=run.paused_since,
        clock_clamped=end is not None and runs_backwards(run.created_at, run.started_at, end),
        sla_ms=run.sla_ms,
        sla_met=sla_met_of(run),
        rerun_of=run.rerun_of,
        entry_id=run.entry_id,
        **DERIVED,
    )


def _step_row(step: StepSeen, simulated: bool) -> Row:
    return dict(  # noqa: C408 - columns read better without quotes
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


def _approval_row(
    decision: DecisionSeen, versions: Mapping[UUID | None, int], open_ms: Mapping[UUID, int], simulated: bool
) -> Row:
    return dict(  # noqa: C408 - columns read better without quotes
        escalation_id=decision.escalation_id,
        run_id=decision.run_id,
        version=versions.get(decision.run_id, 0),
        workflow=decision.workflow,
        unit=decision.unit_id,
        simulated=simulated,
        kind=decision.kind,
        outcome=decision.outcome,
        requested_at=decision.requested_at,
        decided_at=decision.decided_at,
        latency_ms=duration_ms(decision.requested_at, decision.decided_at),
        open_ms=open_ms.get(decision.escalation_id),
        by_person=decision.outcome in DECIDED,
        overridden=is_overridden(decision),
        edited=decision.edited,
        overdue=decision.overdue,
        decided_by=decision.decided_by[:160],
        agent=decision.agent,
        rule=decision.rule[:120],
        policy_version=decision.policy_version,
        reason_code=decision.reason_code[:40],
        action_id=decision.action_id,
    )


def _cost_row(cost: CostSeen, versions: Mapping[UUID | None, int], simulated: bool) -> Row:
    return dict(  # noqa: C408 - columns read better without quotes
        kind=cost.kind,
        source_id=cost.source_id,
        run_id=cost.run_id,
        version=versions.get(cost.run_id, 0),
        workflow=cost.workflow,
        unit=cost.unit_id,
        simulated=simulated,
        agent=cost.agent,
        model=cost.model,
        quantity=min(cost.quantity, MOST),
        amount_micro=min(cost.amount_micro, MOST),
        incurred_at=cost.incurred_at,
        priced_by=cost.priced_by,
        reasoning=cost.reasoning,
        reported_micro=None if cost.reported_micro is None else min(cost.reported_micro, MOST),
        reported_currency=cost.reported_currency,
        is_estimated=cost.is_estimated,
    )


def _last[T](rows: Sequence[T], key: str) -> list[T]:
    return list({getattr(row, key): row for row in rows}.values())


def _last_costs(rows: Sequence[CostSeen]) -> list[CostSeen]:
    return list({(row.kind, row.source_id): row for row in rows}.values())


def _chunks[T](rows: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
