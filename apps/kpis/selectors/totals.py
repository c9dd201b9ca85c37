"""One figure of the whole period, with what it is held against: of the plane's and of one's own alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from apps.kpis.rules.definitions import Measures
from apps.kpis.rules.figures import Coverage, Figure, Status, comparable, status_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.goals import BaselineSeen, TargetSeen
from apps.kpis.selectors.goals import Goals


@dataclass(frozen=True, slots=True)
class Total:
    """One KPI of the whole period. ``daily``: its value as it is held against others, counts and sums by the day."""

    figure: Figure
    daily: float | None
    baseline: BaselineSeen | None
    target: TargetSeen | None
    status: Status
    previous: Figure | None = None
    coverage: Coverage | None = None


def total_of(
    figure: Figure,
    asked: KpiFilter,
    goals: Goals,
    now: datetime,
    *,
    workflows: Mapping[str, Measures] | None = None,
    previous: Figure | None = None,
    coverage: Coverage | None = None,
) -> Total:
    """A figure beside what it was, should be, and was in the period before; ``workflows``: what each of them counts."""
    definition = figure.definition
    value = None if figure.value is None else comparable(definition, figure.value, asked.period.days_until(now))
    target = goals.target_of(definition, asked)
    status = Status.UNKNOWN if target is None else status_of(figure, value, target)
    baseline = goals.baseline_of(definition, asked, workflows or {})
    return Total(figure, value, baseline, target, status, previous, coverage)
