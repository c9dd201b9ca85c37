"""Invented history: runs as facts, calibrated on real logs of office work. Pure and seeded.

Arrivals: weekday × month-end × holidays × growth × an AR(1) log-intensity (φ 0.6, σ 0.18), thinned by hour, so that
weekday counts vary more than Poisson's. Agents' time is lognormal. Runs that need a person join a queue with few people
in office hours; the long tail of waiting comes from that queue alone. Versions improve; a connector is down for six
hours once; models get cheaper on one day. It is told day by day: as much is in memory as waits for people, and a day.
"""

# ruff: noqa: PLR2004 - calibrated numbers stand where they are used
import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from apps.kpis.rules.arrivals import HOLIDAYS, MOOD, MOOD_SIGMA, moment_of, outage_of, poisson, seeded, usual
from apps.kpis.rules.buckets import DAY, local_midnight
from apps.kpis.rules.costs import CostKind, PricedBy, human_cost_micro
from apps.kpis.rules.facts import CostSeen, DecisionSeen, Facts, RunSeen, StepSeen, duration_ms
from apps.kpis.rules.traits import Traits, VersionTraits

OPEN_H, CLOSE_H = 9, 17
OUTAGE_ERROR = 0.38
LOOKED_S = 75
"""What a person looked at before they decided, in the median."""
CHEAPER_AT, CHEAPER = 0.6, 0.7
DRIFTS_FROM, DRIFT_ERROR = 0.75, 0.05
ERRORS = (*["operation_failed"] * 6, *["no_answer"] * 4, *["busy"] * 3, *["refused_by_system"] * 2, "broken_answer")
"""The classes of errors, each as often as it is seen. By the run's number, so that all else stays as it was."""
REASONS = ("wrong_amount", "missing_evidence", "wrong_amount", "duplicate", "against_policy", "missing_evidence", "")
"""Why people rejected, as often as each is seen."""
PART = 5_000
"""So many runs, and what is left of a day, are one part of a long history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPlan:
    """About ``runs`` runs that started in the ``days`` days before ``until``. The same plan is the same history."""

    seed: int
    runs: int
    days: int
    until: datetime


@dataclass(slots=True)
class _Draft:
    """A run on its way through the queue."""

    run_id: UUID
    started: datetime
    version: VersionTraits
    asked: datetime
    touched: bool
    kind: str
    fails: bool
    rework: bool
    agent_s: float
    paused_s: float
    cheaper: bool


def history_of(traits: Traits, *, seed: int, until: datetime, days: int, zone: ZoneInfo, scale: float = 1.0) -> Facts:
    """Facts of every run that started in the ``days`` days before ``until`` and ended; same arguments, same facts."""
    facts = Facts()
    for told in days_of(traits, seed=seed, until=until, days=days, zone=zone, scale=scale):
        facts.extend(told)
    return facts


def parts_of(
    plan: HistoryPlan, all_traits: Sequence[Traits], zone: ZoneInfo, beside: Iterable[Iterator[Facts]] = ()
) -> Iterator[tuple[Facts, bool]]:
    """The history of several workflows in parts of a few days each, and whether it is the last one.

    ``beside``: what else happened, told day by day like ``days_of``.
    """
    scale = scale_of(plan, all_traits, zone)
    streams = [
        days_of(traits, seed=plan.seed, until=plan.until, days=plan.days, zone=zone, scale=scale)
        for traits in all_traits
    ]
    part, next_part = Facts(), Facts()
    for told in zip(*streams, *beside, strict=True):
        for facts in told:
            next_part.extend(facts)
        if len(next_part.runs) >= PART:
            if part.runs:
                yield part, False
            part, next_part = next_part, Facts()
    if part.runs and next_part.runs:
        yield part, False
        part = Facts()
    part.extend(next_part)
    yield part, True


def scale_of(plan: HistoryPlan, all_traits: Sequence[Traits], zone: ZoneInfo) -> float:
    """How many times as much happens in this history as these workflows do by themselves."""
    return plan.runs / sum(expected_runs(traits, plan.until, plan.days, zone) for traits in all_traits)


def expected_runs(traits: Traits, until: datetime, days: int, zone: ZoneInfo) -> float:
    """How many runs start in the history of this workflow at scale 1, at the mean."""
    today = until.astimezone(zone).date()
    usual = sum(_usual(traits, today - DAY * (days - index), index, days) for index in range(days))
    return usual * math.exp(MOOD_SIGMA**2 / (1 - MOOD**2) / 2)


def days_of(traits: Traits, *, seed: int, until: datetime, days: int, zone: ZoneInfo, scale: float) -> Iterator[Facts]:
    """What ended, told on the day on which it started or came to people; one more for what still waits at the end."""
    random, people, telling = (seeded(f"{seed}:{traits.workflow}{part}") for part in ("", ":people", ":telling"))
    today = until.astimezone(zone).date()
    queue: list[tuple[datetime, UUID, _Draft]] = []
    free = [datetime.min.replace(tzinfo=UTC)] * max(1, round(traits.people * scale))

    def decide(before: datetime | None, facts: Facts) -> None:
        while queue and (before is None or queue[0][0] < before):
            _asked, _id, draft = heapq.heappop(queue)
            _tell(facts, traits, draft, _decided(traits, draft, free, people, zone), telling, until)

    for midnight, drafts in _arrivals(traits, random, today, days, zone, scale):
        facts = Facts()
        for draft in drafts:
            if draft.touched:
                heapq.heappush(queue, (draft.asked, draft.run_id, draft))
            else:
                _tell(facts, traits, draft, None, telling, until)
        decide(midnight, facts)
        yield facts
    facts = Facts()
    decide(None, facts)
    yield facts


def _usual(traits: Traits, day: date, index: int, days: int) -> float:
    """How many runs start on a day at the mean; none before the workflow begins."""
    return usual(traits.weekly, day, index) if index >= traits.begins * days else 0.0


def _arrivals(
    traits: Traits, random: Random, today: date, days: int, zone: ZoneInfo, scale: float
) -> Iterator[tuple[datetime, list[_Draft]]]:
    """Day by day the runs that start on it, with the midnight that ends it."""
    mood, serial = 0.0, 0
    outage, mended = outage_of(today, days, zone)
    for index in range(days):
        day = today - DAY * (days - index)
        mood = MOOD * mood + random.gauss(0, MOOD_SIGMA)
        mean = _usual(traits, day, index, days) * scale * math.exp(mood)
        start, share = local_midnight(day, zone), index / days
        drafts = []
        for moment in sorted(moment_of(random, start) for _ in range(poisson(random, mean))):
            serial += 1
            draft = _draft(traits, random, f"{today}:{serial}", moment, share)
            if outage <= moment < mended:
                draft.fails = draft.fails or random.random() < OUTAGE_ERROR
            drafts.append(draft)
        yield local_midnight(day + DAY, zone), drafts


def _draft(traits: Traits, random: Random, serial: str, moment: datetime, share: float) -> _Draft:
    version = next(one for one in reversed(traits.versions) if one.since <= share)
    drift = traits.drift * max(0.0, (share - DRIFTS_FROM) / (1 - DRIFTS_FROM))
    agent_s = random.lognormvariate(math.log(version.agent_s), 0.8) * (1 + drift)
    touched = random.random() < version.touch
    paused_s = random.lognormvariate(math.log(86_400), 0.6) if random.random() < traits.waits else 0.0
    return _Draft(
        run_id=uuid5(NAMESPACE_URL, f"simulated:{traits.workflow}:{serial}:{random.random()}"),
        started=moment,
        version=version,
        asked=moment + timedelta(seconds=agent_s * 0.8 + paused_s),
        touched=touched,
        kind=random.choices(("exception", "question", traits.approval_kind), (0.04, 0.03, 0.93))[0],
        fails=random.random() < version.error + drift * DRIFT_ERROR,
        rework=touched and random.random() < 0.12,
        agent_s=agent_s,
        paused_s=paused_s,
        cheaper=share >= CHEAPER_AT,
    )


def _decided(traits: Traits, draft: _Draft, free: list[datetime], random: Random, zone: ZoneInfo) -> datetime:
    """When the queue's people come to it: first come, first served, in office hours, after they look up."""
    seen = draft.asked + timedelta(seconds=random.lognormvariate(math.log(traits.look_s), 1.1))
    start = _open(max(seen, heapq.heappop(free)), zone)
    done = start + timedelta(seconds=random.lognormvariate(math.log(traits.decide_s), 0.7))
    heapq.heappush(free, done)
    return done


def _open(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment itself in office hours, else the next opening with a little spread."""
    local = moment.astimezone(zone)
    if _works(local.date()) and OPEN_H <= local.hour < CLOSE_H:
        return moment
    day = local.date() if local.hour < OPEN_H else local.date() + DAY
    while not _works(day):
        day += DAY
    return local_midnight(day, zone) + timedelta(hours=OPEN_H, seconds=(moment.microsecond % 3600))


def _works(day: date) -> bool:
    return day.weekday() < 5 and (day.month, day.day) not in HOLIDAYS


def _tell(
    facts: Facts, traits: Traits, draft: _Draft, decided: datetime | None, random: Random, until: datetime
) -> None:
    rejected = decided is not None and draft.kind == traits.approval_kind and random.random() < 0.06
    edited = decided is not None and not rejected and random.random() < 0.09
    tail_s = draft.agent_s * 0.2 + (random.lognormvariate(math.log(900), 0.8) if draft.rework else 0)
    finished = (decided or draft.asked) + timedelta(seconds=tail_s)
    if finished >= until:
        return
    failed = draft.fails and not rejected
    facts.runs.append(
        RunSeen(
            run_id=draft.run_id,
            workflow=traits.workflow,
            unit_id=traits.unit_id,
            version=draft.version.number,
            key=f"simulated:{draft.run_id.hex[-8:]}",
            state="failed" if failed else "succeeded",
            outcome="" if failed else "rejected" if rejected else "completed",
            error_class=ERRORS[draft.run_id.int % len(ERRORS)] if failed else "",
            created_at=draft.started - timedelta(seconds=random.uniform(0.05, 2)),
            started_at=draft.started,
            finished_at=finished,
            sla_ms=traits.sla_s * 1000,
            paused_ms=round(draft.paused_s * 1000),
        )
    )
    _tell_steps(facts, traits, draft, decided, finished, failed)
    if decided is not None:
        _tell_decision(facts, traits, draft, decided, "rejected" if rejected else "approved", edited)
    _tell_costs(facts, traits, draft, finished, failed, random)


def _tell_steps(
    facts: Facts, traits: Traits, draft: _Draft, decided: datetime | None, finished: datetime, failed: bool
) -> None:
    clock, last = draft.started, len(traits.steps) - 1
    for index, step in enumerate(traits.steps):
        person = step.kind in ("approval", "form")
        if person and (decided is None or step.kind != traits.approval_kind):
            continue
        end = max(clock, decided) if person and decided else clock + timedelta(seconds=draft.agent_s * step.weight)
        end = min(end, finished)
        broken = failed and index == last
        rounds = [(clock, end)]
        if draft.rework and index == 0:  # what people found wrong is done again once they said so
            again = max(end, decided or end)
            rounds.append((again, min(again + (end - clock), finished)))
        for number, (begun, done) in enumerate(rounds, start=1):
            facts.steps.append(
                StepSeen(
                    step_id=uuid5(draft.run_id, f"{step.name}:{number}"),
                    run_id=draft.run_id,
                    workflow=traits.workflow,
                    unit_id=traits.unit_id,
                    name=step.name,
                    round=number,
                    kind=step.kind,
                    state="failed" if broken else "done",
                    agent=step.agent,
                    queued_at=begun,
                    started_at=begun,
                    finished_at=done,
                    attempts=3 if broken else 1,
                    failed_attempts=3 if broken else 0,
                    rework=number > 1,
                )
            )
        clock = end


def _tell_decision(facts: Facts, traits: Traits, draft: _Draft, decided: datetime, outcome: str, edited: bool) -> None:
    escalation = uuid5(draft.run_id, "escalation")
    facts.decisions.append(
        DecisionSeen(
            escalation_id=escalation,
            run_id=draft.run_id,
            workflow=traits.workflow,
            unit_id=traits.unit_id,
            kind=draft.kind,
            outcome=outcome,
            requested_at=draft.asked,
            decided_at=decided,
            edited=edited,
            agent=traits.steps[0].agent,
            rule=traits.rule,
            reason_code=REASONS[draft.run_id.int % len(REASONS)] if outcome == "rejected" else "",
        )
    )
    looked_s = seeded(str(escalation)).lognormvariate(math.log(LOOKED_S), 0.7)
    active_ms = min(duration_ms(draft.asked, decided), round(looked_s * 1000))
    facts.costs.append(
        CostSeen(
            kind=CostKind.HUMAN,
            source_id=escalation,
            run_id=draft.run_id,
            workflow=traits.workflow,
            unit_id=traits.unit_id,
            incurred_at=decided,
            amount_micro=human_cost_micro(active_ms, traits.hourly_micro),
            quantity=active_ms,
            priced_by=PricedBy.HOURLY_RATE,
        )
    )


def _tell_costs(facts: Facts, traits: Traits, draft: _Draft, finished: datetime, failed: bool, random: Random) -> None:
    spread = random.lognormvariate(0, 0.35)
    agents = [step for step in traits.steps if step.agent]
    amount = draft.version.llm_micro * spread / sum(step.weight for step in agents)
    for step in agents:
        facts.costs.append(
            CostSeen(
                kind=CostKind.LLM,
                source_id=uuid5(draft.run_id, f"{step.name}:llm"),
                run_id=draft.run_id,
                workflow=traits.workflow,
                unit_id=traits.unit_id,
                incurred_at=draft.asked,
                amount_micro=round(amount * step.weight * (CHEAPER if draft.cheaper else 1)),
                quantity=round(amount * step.weight / 12),
                model="model-large" if draft.version.number < 3 else "model-small",
                agent=step.agent,
            )
        )
    for step in traits.steps[: -1 if failed else None]:
        if step.fee_micro:
            facts.costs.append(
                CostSeen(
                    kind=CostKind.CONNECTOR,
                    source_id=uuid5(draft.run_id, f"{step.name}:fee"),
                    run_id=draft.run_id,
                    workflow=traits.workflow,
                    unit_id=traits.unit_id,
                    incurred_at=min(finished, draft.asked),
                    amount_micro=step.fee_micro,
                    priced_by=PricedBy.FEE,
                )
            )
