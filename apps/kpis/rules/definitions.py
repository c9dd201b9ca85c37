"""Every KPI as one object: what a tile, a chart, a table, a drill-down, the CSV and the API all use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a figure counts."""

    RUNS = "runs"
    DECISIONS = "decisions"
    SECONDS = "s"
    RATIO = "ratio"
    MINOR = "minor"


class Direction(StrEnum):
    """Which way is better."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class Kind(StrEnum):
    """How a figure is computed from the measures."""

    COUNT = "count"
    SHARE = "share"
    PERCENTILE = "percentile"
    QUOTIENT = "quotient"
    MONEY = "money"
    STOCK = "stock"


class Behind(StrEnum):
    """Which rows lie behind a figure."""

    FINISHED = "finished"
    STARTED = "started"
    DECISIONS = "decisions"
    COSTS = "costs"
    OPEN = "open"


def gettext_noop(text: str) -> str:
    """Mark English text for the catalogue; whoever shows it translates it."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One KPI.

    ``numerator`` and ``denominator`` name measures; a percentile's ``numerator`` is the duration measured and its
    ``denominator`` the count of what was measured; ``members`` says which rows a drill-down lists.
    """

    key: str
    label: str
    formula: str
    unit: Unit
    direction: Direction
    kind: Kind
    numerator: str
    denominator: str
    behind: Behind = Behind.FINISHED
    members: str = "finished"
    fraction: float | None = None
    sampled: bool = True
    per_day: bool = False


def _share(key: str, label: str, formula: str, direction: Direction, top: str, bottom: str, **more: str) -> Definition:
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=Unit.RATIO,
        direction=direction,
        kind=Kind.SHARE,
        numerator=top,
        denominator=bottom,
        members=more.get("members", top),
        behind=Behind(more.get("behind", Behind.FINISHED)),
    )


def _percentile(key: str, label: str, formula: str, fraction: float, of: str, count: str) -> Definition:
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=Unit.SECONDS,
        direction=Direction.DOWN,
        kind=Kind.PERCENTILE,
        numerator=of,
        denominator=count,
        members=count,
        behind=Behind.DECISIONS if of == "latency" else Behind.FINISHED,
        fraction=fraction,
    )


def _count(key: str, label: str, formula: str, direction: Direction, of: str, behind: Behind) -> Definition:
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=Unit.RUNS,
        direction=direction,
        kind=Kind.COUNT,
        numerator=of,
        denominator=of,
        members=of,
        behind=behind,
        sampled=False,
        per_day=True,
    )


_CYCLE = gettext_noop(
    "finished at minus started at, of the runs that succeeded; calendar time; exact percentile, type 7"
)
_LEAD = gettext_noop("finished at minus accepted at, of the runs that succeeded; the queue before the start included")
_LATENCY = gettext_noop("decided at minus requested at, of every decision in the period; expiries are counted apart")

_ALL = (
    _count(
        "throughput",
        gettext_noop("Throughput"),
        gettext_noop("runs that succeeded, by the time at which they finished"),
        Direction.UP,
        "succeeded",
        Behind.FINISHED,
    ),
    _count(
        "arrivals",
        gettext_noop("Arrivals"),
        gettext_noop("runs by the time at which their first step started"),
        Direction.NONE,
        "arrivals",
        Behind.STARTED,
    ),
    _count(
        "failed",
        gettext_noop("Failed runs"),
        gettext_noop("runs that failed for good, by the time at which they finished"),
        Direction.DOWN,
        "failed",
        Behind.FINISHED,
    ),
    _count(
        "cancelled",
        gettext_noop("Cancelled runs"),
        gettext_noop("runs that were cancelled; they are in the cost and in no rate"),
        Direction.NONE,
        "cancelled",
        Behind.FINISHED,
    ),
    _percentile("cycle_time_p50_s", gettext_noop("Cycle time, median"), _CYCLE, 0.5, "cycle", "succeeded"),
    _percentile("cycle_time_p90_s", gettext_noop("Cycle time, 90th percentile"), _CYCLE, 0.9, "cycle", "succeeded"),
    _percentile("cycle_time_p95_s", gettext_noop("Cycle time, 95th percentile"), _CYCLE, 0.95, "cycle", "succeeded"),
    _percentile("lead_time_p50_s", gettext_noop("Lead time, median"), _LEAD, 0.5, "lead", "succeeded"),
    _percentile("lead_time_p90_s", gettext_noop("Lead time, 90th percentile"), _LEAD, 0.9, "lead", "succeeded"),
    _share(
        "error_rate",
        gettext_noop("Error rate"),
        gettext_noop(
            "runs that failed, or of which a system of record shows something else than was done "
            "/ runs that succeeded or failed; what a retry mended is no failure"
        ),
        Direction.DOWN,
        "wrong",
        "finished",
    ),
    _share(
        "sla_adherence",
        gettext_noop("SLA adherence"),
        gettext_noop(
            "runs that succeeded within their target / finished runs that have one; a failed run does not meet it, "
            "paused time does not count"
        ),
        Direction.UP,
        "sla_met",
        "sla_due",
    ),
    Definition(
        key="cost_per_success_minor",
        label=gettext_noop("Cost per workflow"),
        formula=gettext_noop(
            "cost of all finished and cancelled runs / runs that succeeded: successes pay for failures"
        ),
        unit=Unit.MINOR,
        direction=Direction.DOWN,
        kind=Kind.QUOTIENT,
        numerator="cost_micro",
        denominator="succeeded",
        members="closed",
    ),
    Definition(
        key="spend_minor",
        label=gettext_noop("Spend"),
        formula=gettext_noop("every cost by the time at which it was incurred, running runs included"),
        unit=Unit.MINOR,
        direction=Direction.DOWN,
        kind=Kind.MONEY,
        numerator="spend_micro",
        denominator="cost_items",
        members="cost_items",
        behind=Behind.COSTS,
        sampled=False,
        per_day=True,
    ),
    Definition(
        key="savings_minor",
        label=gettext_noop("Savings"),
        formula=gettext_noop(
            "baseline cost × runs that succeeded − cost of all finished and cancelled runs, where a baseline was in "
            "force when the run started; negative is shown as negative"
        ),
        unit=Unit.MINOR,
        direction=Direction.UP,
        kind=Kind.MONEY,
        numerator="saved_micro",
        denominator="compared",
        members="closed",
        sampled=False,
        per_day=True,
    ),
    _share(
        "escalation_rate",
        gettext_noop("Escalation rate"),
        gettext_noop(
            "runs with an action, a question or an exception that went to people, or a person's step past its due date "
            "/ runs that succeeded or failed; planned approvals and forms are touches"
        ),
        Direction.DOWN,
        "escalated",
        "finished",
    ),
    _share(
        "no_touch_rate",
        gettext_noop("Autonomy rate"),
        gettext_noop("runs that succeeded without any person's hand / runs that succeeded or failed"),
        Direction.UP,
        "no_touch",
        "finished",
    ),
    _share(
        "rework_rate",
        gettext_noop("Rework rate"),
        gettext_noop(
            "runs with a step done again for its content / runs that succeeded or failed; retries are no rework"
        ),
        Direction.DOWN,
        "reworked",
        "finished",
    ),
    _percentile(
        "approval_latency_p50_s", gettext_noop("Approval latency, median"), _LATENCY, 0.5, "latency", "decided"
    ),
    _percentile(
        "approval_latency_p90_s", gettext_noop("Approval latency, 90th percentile"), _LATENCY, 0.9, "latency", "decided"
    ),
    _share(
        "approval_rate",
        gettext_noop("Approval rate"),
        gettext_noop("decisions that approved, as proposed or edited / decisions"),
        Direction.NONE,
        "approved",
        "decided",
        behind=Behind.DECISIONS,
    ),
    _share(
        "override_rate",
        gettext_noop("Override rate"),
        gettext_noop("decisions that edited or rejected what was proposed / decisions"),
        Direction.NONE,
        "overridden",
        "decided",
        behind=Behind.DECISIONS,
    ),
    _share(
        "first_pass_yield",
        gettext_noop("First-pass yield"),
        gettext_noop("runs without any failed attempt / runs that succeeded or failed"),
        Direction.UP,
        "first_pass",
        "finished",
    ),
    Definition(
        key="human_time_s",
        label=gettext_noop("Human time per run"),
        formula=gettext_noop(
            "people's active time, at most 15 minutes a decision where it is estimated / finished runs"
        ),
        unit=Unit.SECONDS,
        direction=Direction.DOWN,
        kind=Kind.QUOTIENT,
        numerator="human_ms",
        denominator="finished",
        members="finished",
    ),
    Definition(
        key="backlog",
        label=gettext_noop("Backlog"),
        formula=gettext_noop("runs started and not finished at the end of the period, or now"),
        unit=Unit.RUNS,
        direction=Direction.DOWN,
        kind=Kind.STOCK,
        numerator="backlog",
        denominator="backlog",
        members="backlog",
        behind=Behind.OPEN,
        sampled=False,
    ),
)

DEFINITIONS: Mapping[str, Definition] = {definition.key: definition for definition in _ALL}

CARDS = (
    "cycle_time_p50_s",
    "error_rate",
    "throughput",
    "sla_adherence",
    "cost_per_success_minor",
    "escalation_rate",
    "no_touch_rate",
)
"""The seven cards, in the order in which an executive asks."""

RUN_COUNTS = (
    "succeeded",
    "failed",
    "wrong",
    "cancelled",
    "sla_due",
    "sla_met",
    "no_touch",
    "escalated",
    "reworked",
    "first_pass",
)
"""Counts over finished runs; ``finished`` is succeeded + failed, ``closed`` with the cancelled."""
RUN_SUMS = ("cost_micro", "human_ms", "llm_micro", "human_micro", "connector_micro", "agent_micro", "unpriced")
DECISION_COUNTS = ("decided", "approved", "edited", "overridden", "expired")
COST_SUMS = ("spend_micro", "cost_items")
ADDITIVE = (*RUN_COUNTS, *RUN_SUMS, "arrivals", *DECISION_COUNTS, *COST_SUMS)
"""What a rollup keeps: measures that may be added over days, units and versions."""
PERCENTILES: Mapping[str, tuple[float, ...]] = {"cycle": (0.5, 0.9, 0.95), "lead": (0.5, 0.9), "latency": (0.5, 0.9)}
"""What must be computed from facts: a percentile of percentiles is none."""

type Measures = Mapping[str, float | None]


def percentile_name(of: str, fraction: float) -> str:
    """``cycle_p90``: the measure that holds a percentile, in milliseconds."""
    return f"{of}_p{round(fraction * 100)}"


def with_totals(measures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Add what follows from the counts: ``finished`` and ``closed``."""
    finished = (measures.get("succeeded") or 0) + (measures.get("failed") or 0)
    return {**measures, "finished": finished, "closed": finished + (measures.get("cancelled") or 0)}


def definition_or_none(key: str) -> Definition | None:
    """The KPI of this name, if there is one."""
    return DEFINITIONS.get(key)


MEMBER: Mapping[str, Callable[[Mapping[str, object]], bool]] = {
    "succeeded": lambda run: run["state"] == "succeeded",
    "failed": lambda run: run["state"] == "failed",
    "wrong": lambda run: MEMBER["finished"](run) and (run["state"] == "failed" or int(str(run["mismatches"])) > 0),
    "cancelled": lambda run: run["state"] == "cancelled",
    "finished": lambda run: run["state"] in ("succeeded", "failed"),
    "closed": lambda run: run["state"] in ("succeeded", "failed", "cancelled"),
    "sla_due": lambda run: MEMBER["finished"](run) and run["sla_met"] is not None,
    "sla_met": lambda run: MEMBER["finished"](run) and run["sla_met"] is True,
    "no_touch": lambda run: run["state"] == "succeeded" and run["touches"] == 0,
    "escalated": lambda run: MEMBER["finished"](run) and run["escalated"] is True,
    "reworked": lambda run: MEMBER["finished"](run) and run["reworked"] is True,
    "first_pass": lambda run: MEMBER["finished"](run) and run["failed_attempts"] == 0,
}
"""Which finished runs a count counts: the same words in Python that selectors say in SQL; a test holds them equal."""
