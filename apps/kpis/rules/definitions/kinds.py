"""The words of a definition, and how one is written down."""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a figure counts."""

    RUNS = "runs"
    DECISIONS = "decisions"
    HANDOVERS = "handovers"
    ACTIONS = "actions"
    INCIDENTS = "incidents"
    SECONDS = "s"
    RATIO = "ratio"
    MINOR = "minor"
    NUMBER = "number"


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
    PART = "part"
    SUM = "sum"
    STOCK = "stock"
    RETURN = "return"


class Behind(StrEnum):
    """Which rows lie behind a figure."""

    FINISHED = "finished"
    STARTED = "started"
    DECISIONS = "decisions"
    COSTS = "costs"
    OPEN = "open"
    NOW = "now"
    ACTIONS = "actions"
    INCIDENTS = "incidents"
    UNRESOLVED = "unresolved"
    MINUTES = "minutes"
    CALLS = "calls"
    VALUES = "values"
    PENDING = "pending"
    RELEASES = "releases"


def gettext_noop(text: str) -> str:
    """Mark English text for the catalogue; whoever shows it translates it."""
    return text


NOTHING = {
    "succeeded": gettext_noop("No run succeeded"),
    "finished": gettext_noop("No finished runs"),
    "closed": gettext_noop("No run ended"),
    "taken_ms": gettext_noop("No run that succeeded took any time"),
    "tries": gettext_noop("No agent and no connector tried anything in a finished run"),
    "worked_steps": gettext_noop("No step of a finished run was worked on"),
    "sla_due": gettext_noop("No finished run has an SLA"),
    "in_calendar": gettext_noop("No run succeeded in a unit with a calendar"),
    "compared": gettext_noop("No run that ended has a baseline cost"),
    "weeks": gettext_noop("The period has not begun"),
    "first_activations": gettext_noop("No version was put in force for the first time"),
    "settled": gettext_noop("No version was put in force at least seven days ago"),
    "rollbacks": gettext_noop("No version was rolled back"),
    "compared_time": gettext_noop("No run that ended has a baseline of people's time"),
    "decided": gettext_noop("No decision was taken"),
    "failed": gettext_noop("No run failed"),
    "cancelled": gettext_noop("No run was cancelled"),
    "decided_in_calendar": gettext_noop("No decision was taken in a unit with a calendar"),
    "pending": gettext_noop("Nothing waits for people"),
    "asked_by_rule": gettext_noop("No decision for which a rule had asked"),
    "acted": gettext_noop("No action ended"),
    "judged": gettext_noop("No action was judged"),
    "judged_by_decision": gettext_noop("No action was decided by people"),
    "judged_by_review": gettext_noop("No action was reviewed"),
    "judged_by_reading": gettext_noop("No action was read back"),
    "judged_alone": gettext_noop("No action done without asking was judged"),
    "open": gettext_noop("No run is open"),
    "agents_seen": gettext_noop("No service minute of an agent that you may see was observed"),
    "calls_made": gettext_noop("No call to a system that you may see was made"),
    "workflows_seen": gettext_noop("No service minute of a workflow that you may see was observed"),
    "backlog": gettext_noop("The period has not begun"),
    "fixed_micro": gettext_noop("No fixed cost is entered for what is asked"),
}
"""Why a figure has no value where there is none of its denominator; counts and sums have one: nothing is 0."""
WHOLES = {
    "sla_due": ("finished", gettext_noop("finished runs have an SLA")),
    "in_calendar": ("succeeded", gettext_noop("runs that succeeded were in a unit with a calendar")),
    "compared": ("closed", gettext_noop("runs that ended have a baseline cost")),
    "fixed_micro": ("closed", gettext_noop("runs that ended have a baseline cost")),
    "compared_time": ("closed", gettext_noop("runs that ended have a baseline of people's time")),
    "decided_in_calendar": ("decided", gettext_noop("decisions were taken in a unit with a calendar")),
    "asked_by_rule": ("decided", gettext_noop("decisions were asked for by a rule")),
    "judged": ("acted", gettext_noop("actions were judged")),
    "judged_by_decision": ("acted", gettext_noop("actions were decided by people")),
    "judged_by_review": ("acted", gettext_noop("actions were reviewed")),
    "judged_by_reading": ("acted", gettext_noop("actions were read back")),
    "judged_alone": ("acted_alone", gettext_noop("actions done without asking were judged")),
}
"""Of what a denominator is only a part: how much of everything there is, a figure speaks for. All others cover it."""
COUNTED = {"fixed_micro": "compared"}
"""Where the denominator counts no rows: what does."""
NO_VALUES = gettext_noop("No run gave a value")
"""Of a figure of one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One KPI.

    ``numerator`` and ``denominator`` name measures; a percentile's ``numerator`` is the duration measured and its
    ``denominator`` the count of what was measured; ``members`` says which rows a drill-down lists;
    ``suffix``: a word behind a plain number. A part's ``members`` also names the count of the runs whose sums it holds
    against each other.
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
    suffix: str = ""

    @property
    def is_amount(self) -> bool:
        """Whether it says how much there is, and so of a part always less than of the whole: no rate and no median."""
        return self.kind in {Kind.COUNT, Kind.SUM, Kind.STOCK}

    @property
    def nothing(self) -> str:
        """Why there is no value where there is nothing to divide by, to be translated; empty where that is 0."""
        return NO_VALUES if self.behind == Behind.VALUES else NOTHING.get(self.denominator, "")


def share(key: str, label: str, formula: str, direction: Direction, top: str, bottom: str, **more: str) -> Definition:
    """``top`` out of ``bottom``, with its interval; the drill-down lists ``top``."""
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


def percentile(
    key: str, label: str, formula: str, fraction: float, of: str, count: str, behind: Behind = Behind.FINISHED
) -> Definition:
    """A percentile of the duration ``of``, over the rows that ``count`` counts."""
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
        behind=behind,
        fraction=fraction,
    )


def count(
    key: str, label: str, formula: str, direction: Direction, of: str, behind: Behind, unit: Unit = Unit.RUNS
) -> Definition:
    """So many rows; compared by the day."""
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=unit,
        direction=direction,
        kind=Kind.COUNT,
        numerator=of,
        denominator=of,
        members=of,
        behind=behind,
        sampled=False,
        per_day=True,
    )


def part(key: str, label: str, formula: str, direction: Direction, top: str, bottom: str, runs: str) -> Definition:
    """A sum over ``runs`` out of another: no count of independent things, so without an interval."""
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=Unit.RATIO,
        direction=direction,
        kind=Kind.PART,
        numerator=top,
        denominator=bottom,
        members=runs,
    )


def per_run(
    key: str, label: str, formula: str, unit: Unit, of: str, direction: Direction = Direction.DOWN
) -> Definition:
    """A sum over runs that ended, by the run."""
    return Definition(
        key=key,
        label=label,
        formula=formula,
        unit=unit,
        direction=direction,
        kind=Kind.QUOTIENT,
        numerator=of,
        denominator="closed",
        members="closed",
    )
