"""Which baseline is in force, and what it says of a mix of workflows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from apps.kpis.rules.definitions import Definition, Kind, Measures

COVERED = 0.9
"""A mix has a baseline when at least this share of what it counts, or of its runs, has one."""
MEDIAN = 0.5


class BaselineState(StrEnum):
    """Whether a baseline is approved, or what waits for somebody else."""

    UNAPPROVED = "unapproved"
    APPROVED = "approved"
    CORRECTION_WAITS = "correction_waits"
    REMOVAL_WAITS = "removal_waits"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSeen:
    """A KPI before automation; an empty ``workflow`` means all of them."""

    workflow: str
    kpi: str
    value: float
    valid_from: date
    source: str = ""
    period: str = ""
    n: int | None = None
    owner: str = ""
    version: int = 1
    approved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSeen:
    """A KPI as it should be."""

    workflow: str
    kpi: str
    value: float
    direction: str
    tolerance: float = 0.0


def counting(found: Sequence[BaselineSeen]) -> tuple[BaselineSeen, ...]:
    """The baselines that count: what nobody approved waits where an approved one of its KPI applied before."""
    approved = [one for one in found if one.approved]
    return tuple(
        one
        for one in found
        if one.approved
        or not any(
            other.kpi == one.kpi and other.workflow in {one.workflow, ""} and other.valid_from <= one.valid_from
            for other in approved
        )
    )


def gives_way_on(one: BaselineSeen, found: Sequence[BaselineSeen]) -> date | None:
    """The day from which an approved baseline applies in the place of one that nobody approved; None without any."""
    if one.approved:
        return None
    rivals = [other for other in found if other.approved and other.kpi == one.kpi]
    return min((other.valid_from for other in rivals if other.workflow in {one.workflow, ""}), default=None)


def baseline_in_force(baselines: Sequence[BaselineSeen], workflow: str, kpi: str, day: date) -> BaselineSeen | None:
    """The newest baseline of this workflow and KPI on ``day``; one for all workflows where it has none of its own.

    Where an approved one applies, of either, none counts that nobody approved.
    """
    found = [one for one in baselines if one.kpi == kpi and one.workflow in {workflow, ""} and one.valid_from <= day]
    found = [one for one in found if one.approved] or found
    return max(found, key=lambda one: (one.workflow == workflow, one.valid_from), default=None)


def target_in_force(targets: Sequence[TargetSeen], workflow: str, kpi: str) -> TargetSeen | None:
    """The target of this workflow and KPI, or the one for all workflows."""
    found = [one for one in targets if one.kpi == kpi and one.workflow in {workflow, ""}]
    return max(found, key=lambda one: one.workflow == workflow, default=None)


def mixed_baseline(
    definition: Definition, values: Mapping[str, float | None], mix: Mapping[str, float]
) -> float | None:
    """The baseline of several workflows together, as if each had been at its own; ``mix``: see ``mix_of``.

    Counts add up; shares and costs are weighted; a median is the median over what was measured, each value at its
    workflow's baseline. Other percentiles cannot be mixed, and a mix that its baselines hardly cover has none.
    """
    known = {name: value for name, value in values.items() if value is not None and mix.get(name, 0) > 0}
    whole, covered = sum(mix.values()), sum(mix[name] for name in known)
    if not covered or covered < COVERED * whole:
        return None
    if definition.per_day:
        return sum(known.values())
    if definition.kind in {Kind.SHARE, Kind.QUOTIENT, Kind.PART}:
        return sum(value * mix[name] for name, value in known.items()) / covered
    return _weighted_median(known, mix, covered) if definition.fraction == MEDIAN else None


def mix_of(definition: Definition, workflows: Mapping[str, Measures]) -> dict[str, float]:
    """What each workflow weighs in a figure: by what it divides, or how many values it has.

    So of workflows that are at their baselines, the figure of all together is the mixed one. What adds up weighs by
    finished runs: a workflow of which nothing was counted had something before all the same.
    """
    weight = "finished" if definition.is_amount else definition.denominator
    return {name: measures.get(weight) or 0 for name, measures in workflows.items()}


def _weighted_median(values: Mapping[str, float], mix: Mapping[str, float], whole: float) -> float | None:
    passed = 0.0
    for name in sorted(values, key=lambda one: values[one]):
        passed += mix[name]
        if passed >= whole / 2:
            return values[name]
    return None
