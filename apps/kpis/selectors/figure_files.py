"""All figures of a period as a file: the plane's, and those of one's own."""

from collections.abc import Iterator, Mapping, Sequence

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.rules.buckets import Bucket, Period
from apps.kpis.rules.definitions import DEFINITIONS, Definition, Kind
from apps.kpis.rules.figures import Figures
from apps.kpis.selectors.courses import Course
from apps.kpis.selectors.drawings import csv_head_of
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.totals import Total


def csv_rows_for(actor: User, answer: Answer, own: Sequence[Course] = ()) -> list[list[str | float | None]]:
    """Every KPI by bucket, as raw numbers below lines that say what they are."""
    if not actor.is_active:
        return []
    named = {one.column: one for one in own}
    known = {**DEFINITIONS, **{name: one.definition for name, one in named.items()}}
    totals: dict[str, Total] = {**answer.totals, **{name: one.own.total for name, one in named.items()}}
    series: list[Figures] = [
        {**point.figures, **{name: one.figures[at] for name, one in named.items()}}
        for at, point in enumerate(answer.series)
    ]
    head: list[list[str | float | None]] = [[f"# {key}: {_(one.formula)}"] for key, one in known.items()]
    head += [[f"# unit of {key}", one.suffix] for key, one in known.items() if one.suffix]
    covered = [(key, one.coverage) for key, one in totals.items() if one.coverage and one.coverage.whole]
    head += [[f"# coverage of {key}: {one.counted} of {one.whole} {_(one.words)}"] for key, one in covered]
    total = _row("total", answer.asked.period, known, {key: one.figure for key, one in totals.items()})
    points = [
        _row(point.bucket.label, point.bucket, known, found) for point, found in zip(answer.series, series, strict=True)
    ]
    return [*csv_head_of(answer), *head, ["bucket", "start", "end", *known, *_more(known)], total, *points]


def _row(
    name: str, period: Period | Bucket, known: Mapping[str, Definition], figures: Figures
) -> list[str | float | None]:
    """Every value, then how many each rests on, then 95 % intervals; that of a median of one's own is of the whole."""
    return [
        name,
        period.start.isoformat(),
        period.end.isoformat(),
        *(figures[key].value for key in known),
        *(figures[key].n for key in _sampled(known)),
        *(edge for key in _bounded(known) for edge in (figures[key].low, figures[key].high)),
    ]


def _more(known: Mapping[str, Definition]) -> Iterator[str]:
    yield from (f"{key}_n" for key in _sampled(known))
    yield from (f"{key}_{end}" for key in _bounded(known) for end in ("low", "high"))


def _sampled(known: Mapping[str, Definition]) -> list[str]:
    return [key for key, one in known.items() if one.sampled]


def _bounded(known: Mapping[str, Definition]) -> list[str]:
    """Shares, and of one's own all that do not add up."""
    own = known.keys() - DEFINITIONS.keys()
    return [key for key, one in known.items() if one.kind == Kind.SHARE or (key in own and not one.is_amount)]
