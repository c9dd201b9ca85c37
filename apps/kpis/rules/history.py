"""Invented history: a quarter of runs as facts, calibrated on real logs of office work. Pure and seeded.

Arrivals: weekday × month-end × growth × an AR(1) log-intensity (φ 0.6, σ 0.18), thinned by hour, so that weekday counts
vary more than Poisson's. Agents' time is lognormal. Runs that need a person join a queue with few people in office
hours; the long tail of waiting comes from that queue alone. Versions improve; a connector is down for six hours once.
"""

# ruff: noqa: PLR2004 - calibrated numbers stand where they are used
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from apps.kpis.rules.buckets import DAY, local_midnight
from apps.kpis.rules.costs import CostKind, PricedBy, human_cost_micro, human_time_ms
from apps.kpis.rules.facts import CostSeen, DecisionSeen, Facts, RunSeen, StepSeen, duration_ms

WEEKDAYS = (0.21, 0.205, 0.20, 0.195, 0.165, 0.015, 0.01)
HOURS = (1, 1, 1, 1, 1, 2, 6, 22, 58, 92, 100, 96, 62, 78, 96, 90, 76, 46, 20, 10, 7, 5, 3, 2)
"""Arrivals by local hour: 77-90 % between 9 and 17."""
OPEN_H, CLOSE_H = 9, 17
OUTAGE_H, OUTAGE_ERROR = 6, 0.38


@dataclass(frozen=True, slots=True)
class VersionTraits:
    """How one version of a workflow behaves, from ``since`` (share of the whole history, 0..1) on."""

    number: int
    since: float
    touch: float
    error: float
    agent_s: float
    llm_micro: int


@dataclass(frozen=True, slots=True)
class StepTraits:
    """One step of the invented runs: its kind, who does it, its part of the agents' time, a fee."""

    name: str
    kind: str
    agent: str = ""
    weight: float = 1.0
    fee_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """One workflow's history. ``people`` decide in office hours of ``zone``, each decision taking minutes."""

    workflow: str
    unit_id: UUID | None
    versions: tuple[VersionTraits, ...]
    steps: tuple[StepTraits, ...]
    weekly: float
    people: int
    rule: str
    sla_s: int
    hourly_micro: int
    approval_kind: str = "approval"
    look_s: float = 1500.0


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


PURCHASE_ORDER_STEPS = (
    StepTraits("validate_vendor", "agent", "vendor-validator", 0.2),
    StepTraits("quotes", "agent", "quote-gatherer", 0.6),
    StepTraits("select_vendor", "form", weight=0.0),
    StepTraits("reserve_budget", "operation", weight=0.05, fee_micro=20_000),
    StepTraits("approve", "approval", weight=0.0),
    StepTraits("create_order", "operation", weight=0.1, fee_micro=50_000),
    StepTraits("notify", "operation", weight=0.05, fee_micro=1_000),
)
EXPENSE_STEPS = (
    StepTraits("check", "agent", "expense-checker", 0.85),
    StepTraits("approve", "approval", weight=0.0),
    StepTraits("pay", "operation", weight=0.15, fee_micro=30_000),
)


def sample_traits(procurement: UUID | None, finance: UUID | None) -> tuple[Traits, Traits]:
    """The two sample workflows as kpis.md calibrates them: v1 to v3 touch fewer runs, fail less and are faster."""
    purchase = Traits(
        workflow="purchase-order",
        unit_id=procurement,
        versions=(
            VersionTraits(1, 0.0, 0.90, 0.048, 5400.0, 310_000),
            VersionTraits(2, 0.42, 0.72, 0.035, 3000.0, 240_000),
            VersionTraits(3, 0.74, 0.52, 0.020, 1500.0, 150_000),
        ),
        steps=PURCHASE_ORDER_STEPS,
        weekly=70.0,
        people=2,
        rule="order-large",
        sla_s=2 * 86_400,
        hourly_micro=52_000_000,
        look_s=4200.0,
    )
    expense = Traits(
        workflow="expense-declaration",
        unit_id=finance,
        versions=(
            VersionTraits(1, 0.0, 0.57, 0.045, 384.0, 62_000),
            VersionTraits(2, 0.36, 0.41, 0.035, 162.0, 48_000),
            VersionTraits(3, 0.71, 0.24, 0.020, 60.0, 27_000),
        ),
        steps=EXPENSE_STEPS,
        weekly=330.0,
        people=3,
        rule="declaration-large",
        sla_s=86_400,
        hourly_micro=46_000_000,
    )
    return purchase, expense


def history_of(traits: Traits, *, seed: int, until: datetime, days: int, zone: ZoneInfo, scale: float = 1.0) -> Facts:
    """Facts of every run that started in the ``days`` days before ``until`` and ended; same arguments, same facts."""
    random = Random(f"{seed}:{traits.workflow}")  # noqa: S311 - an invention, not a secret
    today = until.astimezone(zone).date()
    outage = local_midnight(today - DAY * round(days * 0.55), zone) + timedelta(hours=10)
    drafts = list(_arrivals(traits, random, today, days, zone, scale))
    for draft in drafts:
        if outage <= draft.started < outage + timedelta(hours=OUTAGE_H):
            draft.fails = draft.fails or random.random() < OUTAGE_ERROR
    decided = _decisions(traits, drafts, random, zone)
    facts = Facts()
    for draft in drafts:
        _tell(facts, traits, draft, decided.get(draft.run_id), random, until)
    return facts


def _arrivals(traits: Traits, random: Random, today: date, days: int, zone: ZoneInfo, scale: float) -> Iterator[_Draft]:
    mood, serial = 0.0, 0
    for index in range(days):
        day = today - DAY * (days - index)
        mood = 0.6 * mood + random.gauss(0, 0.18)
        mean = traits.weekly * scale * WEEKDAYS[day.weekday()] * math.exp(mood) * (1 + 0.0012 * index)
        mean *= 1.35 if (day + DAY * 4).month != day.month else 1.0
        start = local_midnight(day, zone)
        version = next(one for one in reversed(traits.versions) if one.since <= index / days)
        for moment in sorted(_moment(random, start) for _ in range(_poisson(random, mean))):
            serial += 1
            yield _draft(traits, random, f"{today}:{serial}", moment, version)


def _moment(random: Random, midnight: datetime) -> datetime:
    hour = random.choices(range(24), HOURS)[0]
    return midnight + timedelta(hours=hour, seconds=random.uniform(0, 3600))


def _poisson(random: Random, mean: float) -> int:
    """Knuth's method; for large means a rounded normal."""
    if mean > 60:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def _draft(traits: Traits, random: Random, serial: str, moment: datetime, version: VersionTraits) -> _Draft:
    agent_s = random.lognormvariate(math.log(version.agent_s), 0.8)
    touched = random.random() < version.touch
    return _Draft(
        run_id=uuid5(NAMESPACE_URL, f"simulated:{traits.workflow}:{serial}:{random.random()}"),
        started=moment,
        version=version,
        asked=moment + timedelta(seconds=agent_s * 0.8),
        touched=touched,
        kind=random.choices(("exception", "question", traits.approval_kind), (0.04, 0.03, 0.93))[0],
        fails=random.random() < version.error,
        rework=touched and random.random() < 0.12,
        agent_s=agent_s,
    )


def _decisions(traits: Traits, drafts: list[_Draft], random: Random, zone: ZoneInfo) -> dict[UUID, datetime]:
    """When the queue's people come to each item: first come, first served, in office hours, after they look up."""
    free = [datetime.min.replace(tzinfo=UTC)] * traits.people
    heapq.heapify(free)
    decided: dict[UUID, datetime] = {}
    for draft in sorted((one for one in drafts if one.touched), key=lambda one: (one.asked, one.run_id)):
        seen = draft.asked + timedelta(seconds=random.lognormvariate(math.log(traits.look_s), 1.1))
        start = _open(max(seen, heapq.heappop(free)), zone)
        done = start + timedelta(seconds=random.lognormvariate(math.log(240), 0.7))
        heapq.heappush(free, done)
        decided[draft.run_id] = done
    return decided


def _open(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment itself in office hours, else the next opening with a little spread."""
    local = moment.astimezone(zone)
    if local.weekday() < 5 and OPEN_H <= local.hour < CLOSE_H:
        return moment
    day = local.date() if local.hour < OPEN_H else local.date() + DAY
    while day.weekday() >= 5:
        day += DAY
    return local_midnight(day, zone) + timedelta(hours=OPEN_H, seconds=(moment.microsecond % 3600))


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
            error_class="operation_failed" if failed else "",
            created_at=draft.started - timedelta(seconds=random.uniform(0.05, 2)),
            started_at=draft.started,
            finished_at=finished,
            sla_ms=traits.sla_s * 1000,
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
        for number in (1, 2) if draft.rework and index == 0 else (1,):
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
                    queued_at=clock,
                    started_at=clock,
                    finished_at=end,
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
        )
    )
    active_ms = human_time_ms(duration_ms(draft.asked, decided))
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
            priced_by=PricedBy.ESTIMATED,
        )
    )


def _tell_costs(facts: Facts, traits: Traits, draft: _Draft, finished: datetime, failed: bool, random: Random) -> None:
    spread = random.lognormvariate(0, 0.35)
    models = [(f"{step.name}:llm", step.agent, draft.version.llm_micro * spread) for step in traits.steps if step.agent]
    weights = [step.weight for step in traits.steps if step.agent]
    for (name, agent, amount), weight in zip(models, weights, strict=True):
        facts.costs.append(
            CostSeen(
                kind=CostKind.LLM,
                source_id=uuid5(draft.run_id, name),
                run_id=draft.run_id,
                workflow=traits.workflow,
                unit_id=traits.unit_id,
                incurred_at=draft.asked,
                amount_micro=round(amount * weight / sum(weights)),
                quantity=round(amount * weight / 12),
                model="model-large" if draft.version.number < 3 else "model-small",
                agent=agent,
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
