"""A world made by chance, and every figure of it counted the slow way: by loops over what happened, in plain Python.

Nothing here calls the code that answers. Moments are compared as what a clock on the wall shows.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from apps.access.models import BusinessUnit
from apps.audit.services import record
from apps.connectors.models import Effect
from apps.core.services import system_user
from apps.kpis.models import ActionFact, IncidentFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.facts import CostSeen, DecisionSeen, Facts, RunSeen, StepSeen
from apps.kpis.services import write_facts
from apps.kpis.services.rollups import recompute_rollups
from tests.factories.access import make_calendar, make_unit
from tests.factories.agents import make_action
from tests.factories.connectors import make_operation
from tests.factories.kpis import make_cost, make_decision, make_fixed, make_run, make_step

BERLIN = ZoneInfo("Europe/Berlin")
OPEN = {"mon": (9, 17), "tue": (9, 17), "wed": (9, 17), "thu": (9, 17), "fri": (9, 17), "sun": (0, 5)}
"""Open through the hour that one Sunday lacks and another has twice."""
KINDS = (("agent", "agent"), ("connector", "operation"))
MACHINES = {"agent", "operation"}
DAYS_IN = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Of the months of a year that is no leap year."""
UNITS_BELOW = {"above": ("above", "below"), "below": ("below",), "other": ("other",)}
"""By what units are called before their number."""
PERSONS_WORD = {"approved", "rejected", "changes_requested", "answered"}


@dataclass(slots=True)
class World:
    """What happened; ``mismatched``: runs of which a system showed something else, taken back or not."""

    facts: Facts
    units: dict[str, list[UUID]]
    calendar: set[UUID]
    mismatched: set[UUID] = field(default_factory=set)
    actions: list[ActionFact] = field(default_factory=list)
    incidents: list[IncidentFact] = field(default_factory=list)
    fixed: list[tuple[str, str, str, datetime, float]] = field(default_factory=list)


def make_world(first: date, days: int, *, seed: int, runs: int = 220, everywhere: bool = True) -> World:
    """Runs, steps, decisions, costs, actions and incidents around midnights of ``days`` days, written as facts.

    ``everywhere``: some belong to no unit.
    """
    random = Random(seed)
    above, other = make_unit(slug=f"above{seed}"), make_unit(slug=f"other{seed}")
    below = make_unit(slug=f"below{seed}", parent=above)
    hours = {day: [f"{start:02}:00-{end:02}:00"] for day, (start, end) in OPEN.items()}
    BusinessUnit.objects.filter(pk=above.pk).update(calendar=make_calendar(hours=hours))
    world = World(
        Facts(),
        {above.slug: [above.pk, below.pk], below.slug: [below.pk], other.slug: [other.pk]},
        {above.pk, below.pk},
    )
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    places = [above.pk, below.pk, other.pk, *([None] if everywhere else [])]
    for number in range(runs):
        _happen(world, random, start, days, random.choice(places), number)
    _go_wrong(world, random)
    write_facts(facts=world.facts)
    ActionFact.objects.bulk_create(world.actions)
    IncidentFact.objects.bulk_create(world.incidents)
    _roll(world)
    return world


def _happen(world: World, random: Random, start: datetime, days: int, unit: UUID | None, number: int) -> None:
    ended = start + timedelta(days=random.randint(-1, days), minutes=random.choice([0, random.randint(-240, 240)]))
    begun = ended - timedelta(minutes=random.choice([0, 7, random.randint(1, 3000)]))
    state = random.choice(["succeeded"] * 5 + ["failed", "cancelled", "running"])
    run = make_run(
        workflow=random.choice("ab"),
        version=random.randint(1, 2),
        unit_id=unit,
        created_at=begun - timedelta(minutes=random.randint(0, 90)),
        started_at=begun,
        finished_at=None if state == "running" else ended,
        state=state,
        sla_ms=random.choice([None, 60_000_000, 7 * 60_000]),
        paused_ms=random.choice([0, 0, 3_600_000]),
        key=str(number),
    )
    facts, agent = world.facts, random.choice(["x", "y", ""])
    facts.runs.append(run)
    for _ in range(random.randint(0, 3)):
        taken = begun + timedelta(minutes=random.randint(-30, 400))
        facts.steps.append(
            make_step(
                run,
                queued_at=taken - timedelta(minutes=random.choice([0, 0, 3, 55])),
                started_at=taken,
                kind=random.choice(["agent", "operation", "approval", "form"]),
                state=random.choice(["done", "done", "failed", "superseded", "skipped", "cancelled"]),
                agent=random.choice(["x", "y", ""]),
                finished_at=taken + timedelta(minutes=random.choice([0, 1, 20, 300])),
                attempts=random.randint(1, 3),
                failed_attempts=random.choice([0, 0, 0, 1]),
                rework=random.random() < 0.1,
                by_hand=random.random() < 0.1,
                overdue=random.random() < 0.1,
            )
        )
    for _ in range(random.choice([0, 0, 1, 2])):
        decided = ended - timedelta(minutes=random.randint(0, 400))
        facts.decisions.append(
            make_decision(
                run,
                kind=random.choice(["action", "approval", "form", "question", "review"]),
                outcome=random.choice([*PERSONS_WORD, "approved", "expired", "cancelled"]),
                decided_at=decided,
                requested_at=decided - timedelta(seconds=random.choice([3, 4, 5, *[60 * random.randint(0, 1500)] * 9])),
                edited=random.random() < 0.2,
                overdue=random.random() < 0.1,
                agent=agent,
                rule=random.choice(["", "p/r"]),
            )
        )
    for kind in random.sample(["llm", "human", "connector", "agent"], random.randint(0, 4)):
        priced = random.random() < 0.9
        facts.costs.append(
            make_cost(
                run,
                kind=kind,
                incurred_at=ended - timedelta(minutes=random.randint(-300, 300)),
                amount_micro=random.randint(0, 9_000_000) if priced else 0,
                priced_by="book" if priced else "unpriced",
                model="large" if kind == "llm" else "",
                quantity=random.randint(1, 900_000),
                agent=random.choice(["x", "y", ""]),
            )
        )


def _go_wrong(world: World, random: Random) -> None:
    """Mismatches of runs, judged actions and incidents."""
    operation = make_operation()
    for run in world.facts.runs:
        own = {"run_id": run.run_id, "version": run.version, "workflow": run.workflow, "unit": run.unit_id}
        at = run.finished_at or run.started_at
        if random.random() < 0.12:
            state, taken_back = random.choice(["mismatch", "mismatch", "verified"]), random.random() < 0.3
            action = make_action(run_id=run.run_id, operation=operation.slug)
            effect = Effect.objects.create(
                action=action,
                operation=operation,
                connector=operation.connector,
                state="compensated" if taken_back else state,
                idempotency_key=str(uuid4()),
            )
            if taken_back:  # the ledger alone says then what was read
                record(system_user("plane"), effect, f"effect.{state}", payload={"action": action.pk})
            if state == "mismatch":
                world.mismatched.add(run.run_id)
        if random.random() < 0.5:
            verdicts = {name: random.choice([None, True, True, False]) for name in ("decided", "reviewed", "read_back")}
            world.actions.append(
                ActionFact(
                    action_id=uuid4(),
                    agent=random.choice("xy"),
                    agent_version=random.randint(1, 2),
                    operation="o.p",
                    state=random.choice(["succeeded"] * 5 + ["denied"]),
                    ended_at=at,
                    alone=verdicts["decided"] is None,
                    taken_back=random.random() < 0.2,
                    **verdicts,
                    **own,
                )
            )
        if random.random() < 0.1:
            world.incidents.append(
                IncidentFact(kind="mismatch", source_id=uuid4(), began_at=at, agent=random.choice(["x", ""]), **own)
            )


def pay_monthly(world: World, first: date) -> None:
    """Fixed cost of everything, of workflows and units; one changes amidst the days, one is in another currency."""
    begun, amidst = datetime(2024, 1, 1, tzinfo=UTC), datetime(first.year, first.month, first.day, tzinfo=BERLIN)
    above, below, other = world.units
    for workflow, unit, currency, since, minor in (
        ("", "", "EUR", begun, 31_000.5),
        ("a", "", "EUR", begun, 7_000.0),
        ("a", "", "EUR", amidst + timedelta(days=3), 9_000.0),
        ("", above, "EUR", amidst + timedelta(days=1), 5_000.0),
        ("", below, "EUR", begun, 900.0),
        ("", other, "USD", begun, 4_000.0),
    ):
        make_fixed(minor, workflow=workflow, unit=unit, currency=currency, valid_from=since)
        world.fixed.append((workflow, unit.rstrip("0123456789"), currency, since, minor))


def _roll(world: World) -> None:
    zone = reporting_zone()
    moments = [(one.workflow, one.ended_at) for one in world.actions]
    moments += [(one.workflow, one.began_at) for one in world.incidents]
    recompute_rollups(touched={(workflow, at.astimezone(zone).date()) for workflow, at in moments})


@dataclass(frozen=True, slots=True)
class Told:
    """A figure as counted: its value, and out of what where it is a share."""

    value: float | None
    top: float | None = None
    bottom: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Whole days of a wall clock, first to last, and what is limited; "" and None limit nothing."""

    first: date
    last: date
    zone: ZoneInfo
    workflow: str = ""
    unit: str = ""
    version: int | None = None
    agent: str = ""

    def holds(self, moment: datetime | None) -> bool:
        """Whether the wall shows one of these days at that moment."""
        return moment is not None and self.first <= moment.astimezone(self.zone).date() <= self.last


class Oracle:
    """All that a question may count."""

    def __init__(self, world: World, asked: Question, *, per_success_minor: int, before_s: float = 0) -> None:
        self.world, self.asked, self.baseline = world, asked, per_success_minor
        self.before_s = before_s
        facts = world.facts
        self.version_of = {run.run_id: run.version for run in facts.runs}
        self.steps = _by_run(facts.steps)
        self.said = _by_run(facts.decisions)
        self.paid = _by_run(facts.costs)
        self.runs = [run for run in facts.runs if self._counts(run, run.version) and self._worked_by(run)]
        self.ended = [run for run in self.runs if asked.holds(run.finished_at)]
        self.good = [run for run in self.ended if run.state == "succeeded"]
        self.finished = [run for run in self.ended if run.state in {"succeeded", "failed"}]
        self.decisions = [
            one for one in facts.decisions if self._ours(one) and asked.holds(one.decided_at) and self._agent(one)
        ]
        self.decided = [one for one in self.decisions if one.outcome in PERSONS_WORD]
        self.by_rule = [one for one in self.decided if one.rule]
        self.costs = [
            one for one in facts.costs if self._ours(one) and asked.holds(one.incurred_at) and self._agent(one)
        ]
        self.actions = [
            one
            for one in world.actions
            if self._counts(one, one.version) and asked.holds(one.ended_at) and self._agent(one)
        ]
        self.incidents = [
            one
            for one in world.incidents
            if self._counts(one, one.version) and asked.holds(one.began_at) and self._agent(one)
        ]

    def _ours(self, one: DecisionSeen | CostSeen) -> bool:
        return self._counts(one, self.version_of[one.run_id] if one.run_id else 0)

    def _counts(self, one: Any, version: int) -> bool:
        asked = self.asked
        unit = one.unit_id if hasattr(one, "unit_id") else one.unit
        return (
            (not asked.workflow or one.workflow == asked.workflow)
            and (not asked.unit or unit in self.world.units[asked.unit])
            and (asked.version is None or version == asked.version)
        )

    def _agent(self, one: Any) -> bool:
        return not self.asked.agent or one.agent == self.asked.agent

    def _worked_by(self, run: RunSeen) -> bool:
        rows: list[Any] = [*self.steps[run.run_id], *self.said[run.run_id], *self.paid[run.run_id]]
        return not self.asked.agent or any(row.agent == self.asked.agent for row in rows)

    def touches(self, run: RunSeen) -> int:
        """How often a person had a hand in it."""
        spoke = sum(one.outcome in PERSONS_WORD for one in self.said[run.run_id])
        return spoke + sum(step.by_hand for step in self.steps[run.run_id])

    def corrected(self, run: RunSeen) -> bool:
        """Whether a person changed something, or sent it back to be changed."""
        said = [one for one in self.said[run.run_id] if one.outcome in PERSONS_WORD]
        return any(one.edited or one.outcome == "changes_requested" for one in said)

    def refused(self, run: RunSeen) -> bool:
        """Whether a person said no to something."""
        return any(one.outcome == "rejected" for one in self.said[run.run_id])

    def asked_people(self, run: RunSeen) -> bool:
        """Whether something unplanned went to people, or was late with them."""
        unplanned = {"action", "question", "exception", "unknown"}
        return any(one.kind in unplanned or one.overdue for one in self.said[run.run_id]) or any(
            step.overdue for step in self.steps[run.run_id]
        )

    def in_time(self, run: RunSeen) -> bool:
        """Whether a run with a target succeeded within it, its pauses left out."""
        took = run.finished_at - run.started_at if run.finished_at else timedelta.max
        return run.state == "succeeded" and took - timedelta(milliseconds=run.paused_ms) <= timedelta(
            milliseconds=run.sla_ms or 0
        )

    def handed_over(self, run: RunSeen) -> int:
        """Neighbouring steps that different ones did."""
        found, before = 0, ""
        for step in sorted(self.steps[run.run_id], key=lambda one: (one.finished_at, one.step_id.hex)):
            if step.state in {"skipped", "cancelled"}:
                continue
            who = "people" if step.kind in {"approval", "form"} else step.agent
            found += bool(who and before and who != before)
            before = who
        return found

    def spent(self, run: RunSeen) -> Mapping[str, float]:
        """Seconds of a run by who worked: at each piece of it between two changes, the first of them who did."""
        assert run.finished_at is not None
        steps = [one for one in self.steps[run.run_id] if one.state in {"done", "failed", "superseded"}]
        spans = {name: [(one.started_at, one.finished_at) for one in steps if one.kind == kind] for name, kind in KINDS}
        hands = [one for one in self.paid[run.run_id] if one.kind == "human"]
        spans["touch"] = [(one.incurred_at - timedelta(milliseconds=one.quantity), one.incurred_at) for one in hands]
        spans["queue"] = [(one.queued_at, one.started_at) for one in steps if one.kind == "agent"]
        changes = {run.started_at, run.finished_at, *(at for found in spans.values() for span in found for at in span)}
        found: dict[str, float] = dict.fromkeys(("touch", "agent", "connector", "wait", "queue"), 0)
        for start, end in pairwise(sorted(at for at in changes if run.started_at <= at <= run.finished_at)):
            busy = {name for name, some in spans.items() if any(first <= start and end <= last for first, last in some)}
            who = next((name for name in ("touch", "agent", "connector") if name in busy), "wait")
            found[who] += (end - start).total_seconds()
            if who == "wait" and "queue" in busy:
                found["queue"] += (end - start).total_seconds()
        return found

    def stepped(self, kinds: set[str]) -> list[StepSeen]:
        """The steps of these kinds in finished runs in which something was done."""
        rows = [step for run in self.finished for step in self.steps[run.run_id]]
        return [step for step in rows if step.kind in kinds and step.state in {"done", "failed", "superseded"}]

    def cost(self, run: RunSeen) -> float:
        """Everything that a run cost, in minor units."""
        return sum(one.amount_micro for one in self.paid[run.run_id]) / 10_000

    def open_s(self, run: RunSeen) -> float:
        """Minute by minute: whether the wall of the office shows an open hour."""
        assert run.finished_at is not None
        return self.open_between(run.started_at, run.finished_at)

    def open_between(self, at: datetime, until: datetime) -> float:
        """The same of any two whole minutes, or of seconds within one."""
        found = 0.0
        while at < until:
            wall = at.astimezone(BERLIN)
            hours = OPEN.get(("mon", "tue", "wed", "thu", "fri", "sat", "sun")[wall.weekday()])
            step = min(timedelta(minutes=1), until - at)
            if hours is not None and hours[0] <= wall.hour < hours[1]:
                found += step.total_seconds()
            at += step
        return found

    def left_open(self) -> int:
        """Runs that had begun and not ended when the last day was over."""
        return sum(
            self._by_then(run.started_at) and not (run.finished_at and self._by_then(run.finished_at))
            for run in self.runs
        )

    def _by_then(self, moment: datetime) -> bool:
        return moment.astimezone(self.asked.zone).date() <= self.asked.last

    def fixed(self) -> float:
        """What is paid each month, day by day, in minor units: of each subject the newest that has begun."""
        asked, found, day = self.asked, 0.0, self.asked.first
        while day <= asked.last:
            newest: dict[tuple[str, str], tuple[date, float]] = {}
            for workflow, unit, currency, since, minor in self.world.fixed:
                begins, about = since.astimezone(asked.zone).date(), (workflow, unit)
                if currency == "EUR" and begins <= day and begins >= newest.get(about, (begins, 0.0))[0]:
                    newest[about] = (begins, minor)
            for (workflow, unit), (_begins, minor) in newest.items():
                if not (asked.workflow and workflow != asked.workflow) and not (
                    asked.unit and unit not in UNITS_BELOW[asked.unit.rstrip("0123456789")]
                ):
                    found += minor / DAYS_IN[day.month - 1]
            day += timedelta(days=1)
        return 0.0 if asked.agent or asked.version else found

    def returned(self) -> Told:
        """What was saved beyond what was paid, of what was paid."""
        saved, fixed = self.saved().value, self.fixed()
        if saved is None or not fixed:
            return Told(None)
        return Told((saved - fixed) / fixed)

    def saved(self) -> Told:
        if not self.ended:
            return Told(None)
        return Told(self.baseline * len(self.good) - sum(map(self.cost, self.ended)))

    def time_saved(self) -> Told:
        """Against so many seconds of people's hands that each success took before."""
        if not self.ended or not self.before_s:
            return Told(None)
        return Told(self.before_s * len(self.good) - sum(_human_s(self, run) for run in self.ended))


def _by_run(rows: Iterable[Any]) -> Any:
    found: dict[UUID | None, list[Any]] = {}
    for row in rows:
        found.setdefault(row.run_id, []).append(row)
    return _Lists(found)


class _Lists(dict[UUID | None, list[Any]]):
    def __missing__(self, key: UUID | None) -> list[Any]:
        return []


def _count(rows: Sequence[Any]) -> Told:
    return Told(len(rows))


def _share(rows: Sequence[Any], is_one: Callable[[Any], bool]) -> Told:
    top = sum(map(is_one, rows))
    return Told(top / len(rows) if rows else None, top, len(rows))


def _mean(rows: Sequence[Any], value: Callable[[Any], float]) -> Told:
    return Told(sum(map(value, rows)) / len(rows) if rows else None)


def _at(fraction: float, seconds: Iterable[float], least: int = 1) -> Told:
    """Hyndman and Fan's type 7: the straight line between the neighbours of place 1 + (n - 1) p."""
    ranked = sorted(seconds)
    if len(ranked) < least:
        return Told(None)
    place = (len(ranked) - 1) * fraction
    under, over = ranked[math.floor(place)], ranked[math.ceil(place)]
    return Told(under + (over - under) * (place - math.floor(place)))


def _cycles(of: Oracle) -> list[float]:
    return [(run.finished_at - run.started_at).total_seconds() for run in of.good if run.finished_at]


def _leads(of: Oracle) -> list[float]:
    return [(run.finished_at - run.created_at).total_seconds() for run in of.good if run.finished_at]


def _office(of: Oracle) -> list[float]:
    return [of.open_s(run) for run in of.good if run.unit_id in of.world.calendar]


def _waits(of: Oracle) -> list[float]:
    return [(one.decided_at - one.requested_at).total_seconds() for one in of.decided]


def _runs_of(runs: Sequence[RunSeen], state: str) -> list[float]:
    return [
        (run.finished_at - run.started_at).total_seconds() for run in runs if run.finished_at and run.state == state
    ]


def _office_waits(of: Oracle) -> list[float]:
    mine = [one for one in of.decided if one.unit_id in of.world.calendar]
    return [of.open_between(one.requested_at, one.decided_at) for one in mine]


def _verdicts(action: ActionFact) -> list[bool]:
    return [one for one in (action.decided, action.reviewed, action.read_back) if one is not None]


def _by_source(of: Oracle, name: str) -> Told:
    return _share([one for one in of.actions if getattr(one, name) is not None], lambda one: getattr(one, name))


def _missed(of: Oracle) -> Told:
    looked = [
        one
        for one in of.actions
        if one.alone and (one.taken_back or one.reviewed is not None or one.read_back is not None)
    ]
    return _share(looked, lambda one: one.taken_back or one.reviewed is False or one.read_back is False)


def _per_success(of: Oracle) -> Told:
    return Told(sum(map(of.cost, of.ended)) / len(of.good) if of.good else None)


def _part(top: float, bottom: float) -> Told:
    return Told(top / bottom if bottom else None, top, bottom)


def _flow(of: Oracle) -> Told:
    took = [(run.finished_at - run.started_at).total_seconds() for run in of.good if run.finished_at]
    return _part(round(sum(took) - sum(of.spent(run)["wait"] for run in of.good), 3), round(sum(took), 3))


def _failures(of: Oracle) -> Told:
    steps = of.stepped(MACHINES)
    return _part(sum(one.failed_attempts for one in steps), sum(one.attempts for one in steps))


def _automation(of: Oracle) -> Told:
    steps = of.stepped({*MACHINES, "approval", "form"})
    return _part(sum(one.kind in MACHINES and not one.by_hand for one in steps), len(steps))


def _human_s(of: Oracle, run: RunSeen) -> float:
    return sum(one.quantity for one in of.paid[run.run_id] if one.kind == "human") / 1000


FIGURES: Mapping[str, Callable[[Oracle], Told]] = {
    "throughput": lambda of: _count(of.good),
    "arrivals": lambda of: _count([run for run in of.runs if of.asked.holds(run.started_at)]),
    "failed": lambda of: _count([run for run in of.ended if run.state == "failed"]),
    "cancelled": lambda of: _count([run for run in of.ended if run.state == "cancelled"]),
    "cycle_time_p50_s": lambda of: _at(0.5, _cycles(of)),
    "cycle_time_p90_s": lambda of: _at(0.9, _cycles(of), 10),
    "cycle_time_p95_s": lambda of: _at(0.95, _cycles(of), 20),
    "lead_time_p50_s": lambda of: _at(0.5, _leads(of)),
    "lead_time_p90_s": lambda of: _at(0.9, _leads(of), 10),
    "error_rate": lambda of: _share(
        of.finished, lambda run: run.state == "failed" or run.run_id in of.world.mismatched
    ),
    "sla_adherence": lambda of: _share([run for run in of.finished if run.sla_ms is not None], of.in_time),
    "sla_breaches": lambda of: _count([run for run in of.finished if run.sla_ms is not None and not of.in_time(run)]),
    "cost_per_success_minor": _per_success,
    "cost_per_finished_minor": lambda of: Told(sum(map(of.cost, of.ended)) / len(of.finished) if of.finished else None),
    "spend_minor": lambda of: Told(sum(one.amount_micro for one in of.costs) / 10_000),
    "savings_minor": lambda of: of.saved(),
    "escalation_rate": lambda of: _share(of.finished, of.asked_people),
    "no_touch_rate": lambda of: _share(of.finished, lambda run: run.state == "succeeded" and of.touches(run) == 0),
    "helped": lambda of: _count([run for run in of.good if of.touches(run)]),
    "helped_as_asked": lambda of: _count(
        [run for run in of.good if of.touches(run) and not (of.corrected(run) or of.refused(run))]
    ),
    "helped_edited": lambda of: _count([run for run in of.good if of.corrected(run) and not of.refused(run)]),
    "rejected_or_failed": lambda of: _count([run for run in of.finished if run.state == "failed" or of.refused(run)]),
    "rework_rate": lambda of: _share(of.finished, lambda run: any(step.rework for step in of.steps[run.run_id])),
    "approval_latency_p50_s": lambda of: _at(0.5, _waits(of)),
    "approval_latency_p90_s": lambda of: _at(0.9, _waits(of), 10),
    "approval_rate": lambda of: _share(of.decided, lambda one: one.outcome == "approved"),
    "override_rate": lambda of: _share(of.decided, lambda one: one.edited or one.outcome == "rejected"),
    "first_pass_yield": lambda of: _share(
        of.finished, lambda run: not any(step.failed_attempts for step in of.steps[run.run_id])
    ),
    "human_time_s": lambda of: _mean(of.ended, lambda run: _human_s(of, run)),
    "business_time_p50_s": lambda of: _at(0.5, _office(of)),
    "business_time_p90_s": lambda of: _at(0.9, _office(of), 10),
    "paused_time_s": lambda of: _mean(of.ended, lambda run: run.paused_ms / 1000),
    "handovers": lambda of: _mean(of.ended, of.handed_over),
    "expiries": lambda of: _count([one for one in of.decisions if one.outcome == "expired"]),
    "needless_escalations": lambda of: _share(of.by_rule, lambda one: one.outcome == "approved" and not one.edited),
    "backlog": lambda of: Told(of.left_open()),
    "touch_time_s": lambda of: _mean(of.ended, lambda run: of.spent(run)["touch"]),
    "agent_time_s": lambda of: _mean(of.ended, lambda run: of.spent(run)["agent"]),
    "connector_time_s": lambda of: _mean(of.ended, lambda run: of.spent(run)["connector"]),
    "wait_time_s": lambda of: _mean(of.ended, lambda run: of.spent(run)["wait"]),
    "queue_time_s": lambda of: _mean(of.ended, lambda run: of.spent(run)["queue"]),
    "failed_time_p50_s": lambda of: _at(0.5, _runs_of(of.ended, "failed")),
    "cancelled_time_p50_s": lambda of: _at(0.5, _runs_of(of.ended, "cancelled")),
    "business_latency_p50_s": lambda of: _at(0.5, _office_waits(of)),
    "business_latency_p90_s": lambda of: _at(0.9, _office_waits(of), 10),
    "hasty_rate": lambda of: _share(of.decided, lambda one: one.decided_at - one.requested_at < timedelta(seconds=5)),
    "time_saved_s": lambda of: of.time_saved(),
    "flow_efficiency": _flow,
    "step_failure_rate": _failures,
    "step_automation_rate": _automation,
    "actions_alone": lambda of: _share(of.actions, lambda one: one.alone),
    "accuracy": lambda of: _share([one for one in of.actions if _verdicts(one)], lambda one: all(_verdicts(one))),
    "accuracy_decided": lambda of: _by_source(of, "decided"),
    "accuracy_reviewed": lambda of: _by_source(of, "reviewed"),
    "accuracy_read_back": lambda of: _by_source(of, "read_back"),
    "missed_escalations": _missed,
    "denied": lambda of: _count([one for one in of.actions if one.state == "denied"]),
    "incidents": lambda of: _count(of.incidents),
    "roi": lambda of: of.returned(),
}
"""Each figure by its formula in docs/kpis.md."""

WHOLES: Mapping[str, Callable[[Oracle], int]] = {
    "sla_adherence": lambda of: len(of.finished),
    "savings_minor": lambda of: len(of.ended),
    "roi": lambda of: len(of.ended),
    "time_saved_s": lambda of: len(of.ended),
    "business_latency_p50_s": lambda of: len(of.decided),
    "business_latency_p90_s": lambda of: len(of.decided),
    "business_time_p50_s": lambda of: len(of.good),
    "business_time_p90_s": lambda of: len(of.good),
    "needless_escalations": lambda of: len(of.decided),
    "accuracy": lambda of: len(of.actions),
    "accuracy_decided": lambda of: len(of.actions),
    "accuracy_reviewed": lambda of: len(of.actions),
    "accuracy_read_back": lambda of: len(of.actions),
    "missed_escalations": lambda of: sum(one.alone for one in of.actions),
}
"""Of figures that speak for a part: how many there are in all."""
