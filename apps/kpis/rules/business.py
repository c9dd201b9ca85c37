"""KPIs of one's own: a value for each run, in CEL over what the run gave, and how the values are put together. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from typing import Any

from apps.core.expressions import (
    ContextError,
    Declarations,
    EvaluationError,
    ExpressionError,
    Kind,
    Limits,
    Program,
    compile_expression,
    meaning_of,
)
from apps.kpis.rules.definitions import Behind, Definition, Direction, Unit, gettext_noop
from apps.kpis.rules.definitions import Kind as FigureKind

SEEN = Limits(context_bytes=256 * 1024, string_bytes=64 * 1024, list_items=10_000)
"""As what the expressions of steps see."""
OF_RUN = Declarations({"run.output": Kind.DYN, "run.context": Kind.MAP}, limits=SEEN)
LARGEST = 1e15


class Aggregate(StrEnum):
    """How the values of a period become one figure."""

    MEAN = "mean"
    SUM = "sum"
    SHARE = "share"
    P50 = "p50"


class Fault(StrEnum):
    """Why a run has no value where it should have one. No word of the run's own."""

    FAILED = "failed"
    WRONG_TYPE = "wrong_type"
    TOO_LARGE = "too_large"


GAVE_A_VALUE = gettext_noop("runs that succeeded gave a value")
"""Of what a figure of one's own counts a part."""
FORMULAS = {
    Aggregate.MEAN: "the mean over succeeded runs of {value}",
    Aggregate.SUM: "the sum over succeeded runs of {value}",
    Aggregate.SHARE: "succeeded runs where {value} / succeeded runs where it says yes or no",
    Aggregate.P50: "the median over succeeded runs of {value}",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave: a value, a fault, or neither where the expression says null (nobody rated it)."""

    value: float | None = None
    fault: str = ""


@lru_cache(maxsize=512)
def program_of(source: str, aggregate: Aggregate) -> Program:
    """The compiled value of a KPI. Raises ExpressionError. A share's is a condition."""
    return compile_expression(source, OF_RUN, returns=Kind.BOOL if aggregate == Aggregate.SHARE else None)


def say_the_same(one: str, other: str, aggregate: Aggregate) -> bool:
    """Whether two values of a KPI give the same for every run, as far as their form shows it.

    False for one that does not compile (any more).
    """
    if one == other:
        return True
    try:
        first, second = program_of(one, aggregate), program_of(other, aggregate)
    except ExpressionError:
        return False
    return meaning_of(first.tree) == meaning_of(second.tree)


def outcome_of(source: str, aggregate: Aggregate, *, output: Any, context: Mapping[str, Any]) -> Outcome:
    """The value of one run: a finite number, of a share 1 or 0; anything else is a fault, never a silent 0."""
    try:
        activation = OF_RUN.activation({"run.output": output, "run.context": dict(context)})
    except ContextError:
        return Outcome(fault=Fault.TOO_LARGE)
    found = program_of(source, aggregate).evaluate(activation)
    if isinstance(found, EvaluationError):
        return Outcome(fault=Fault.FAILED)
    if found is None:
        return Outcome()
    is_yes_or_no = isinstance(found, bool)
    if is_yes_or_no != (aggregate == Aggregate.SHARE) or not isinstance(found, bool | int | float):
        return Outcome(fault=Fault.WRONG_TYPE)
    value = float(found)
    return Outcome(value) if isfinite(value) and abs(value) < LARGEST else Outcome(fault=Fault.WRONG_TYPE)


def left_of(value: Any, veiled: Any) -> Any:
    """What is left of ``value`` where ``veiled`` says the same: what carries a class of data is not there at all.

    A mark in its place would be compared and counted; what is missing is a fault that is counted as one.
    """
    if isinstance(value, Mapping) and isinstance(veiled, Mapping):
        return {
            name: left_of(each, veiled[name])
            for name, each in value.items()
            if name in veiled and _is_left(each, veiled[name])
        }
    if isinstance(value, list) and isinstance(veiled, list):
        pairs = zip(value, veiled, strict=True)
        return [left_of(each, seen) for each, seen in pairs if _is_left(each, seen)]
    return value if value == veiled else None


def _is_left(value: Any, veiled: Any) -> bool:
    return value == veiled or isinstance(veiled, Mapping | list)


def definition_of(
    *, slug: str, name: str, value: str, aggregate: Aggregate, unit: str, direction: Direction
) -> Definition:
    """The KPI as every other one: the object that tile, drill-down, target and API use."""
    kinds = {Aggregate.SHARE: FigureKind.SHARE, Aggregate.SUM: FigureKind.SUM}
    return Definition(
        key=slug,
        label=name,
        formula=FORMULAS[aggregate].format(value=value),
        unit=Unit.RATIO if aggregate == Aggregate.SHARE else Unit.NUMBER,
        direction=direction,
        kind=kinds.get(aggregate, FigureKind.QUOTIENT),
        numerator=str(aggregate),
        denominator="n",
        behind=Behind.VALUES,
        members="succeeded",
        per_day=aggregate == Aggregate.SUM,
        suffix=unit,
    )
