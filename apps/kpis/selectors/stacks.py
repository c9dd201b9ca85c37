"""Parts of a count on top of each other, bucket by bucket: as many as there are colours, and all others together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.rules.formats import count_text
from apps.kpis.selectors.drawings import Cell, Column, labels_of
from apps.kpis.selectors.kpis import Answer, Point
from apps.kpis.selectors.parts import key_beside

type Counts = Mapping[str, Mapping[int, int]]
"""How many there are of each part in each bucket, by the bucket's place."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The chart, a column for each part of it, and of all parts the most frequent: its key, how many, of how many."""

    chart: charts.Chart
    columns: list[Column]
    first: str
    most: int
    whole: int


def stack_of(
    answer: Answer, found: Counts, names: Mapping[str, str], address: Callable[[Point, str], str], *, y_title: str
) -> Stack:
    """The most frequent at the bottom. ``address``: where a part of a bucket is listed, by its key.

    Of more than there are colours the last one is for all others, under the key ``key_beside`` those that are named.
    """
    sums = {key: sum(row.values()) for key, row in found.items()}
    keys = sorted(found, key=lambda key: (-sums[key], key))
    shown, others = (keys, []) if len(keys) <= len(SERIES) else (keys[: len(SERIES) - 1], keys[len(SERIES) - 1 :])
    parts = [(key, names.get(key, key), found[key]) for key in shown]
    if others:
        parts.append((key_beside(shown), _("Others"), _together(found, others)))
    series = [
        Series(
            charts.inert(name),
            [row.get(at, 0) for at in range(len(answer.series))],
            SERIES[place],
            links=[address(point, key) for point in answer.series],
        )
        for place, (key, name, row) in enumerate(parts)
    ]
    return Stack(
        chart=charts.stacked(labels_of(answer), series, y_title=y_title),
        columns=[count_by_place(answer, name, row, _bound(address, key)) for key, name, row in parts],
        first=keys[0],
        most=sums[keys[0]],
        whole=sum(sums.values()),
    )


def count_by_place(answer: Answer, name: str, row: Mapping[int, int], address: Callable[[Point], str]) -> Column:
    """A column of these counts, by the bucket's place, each leading to what it counts."""
    counted = {point.bucket.start: row.get(at, 0) for at, point in enumerate(answer.series)}

    def cell(point: Point) -> Cell:
        n = counted[point.bucket.start]
        return Cell(count_text(n), n, address(point) if n else "")

    return Column(name, cell)


def _bound(address: Callable[[Point, str], str], key: str) -> Callable[[Point], str]:
    return lambda point: address(point, key)


def _together(found: Counts, keys: list[str]) -> dict[int, int]:
    places = sorted({at for key in keys for at in found[key]})
    return {at: sum(found[key].get(at, 0) for key in keys) for at in places}
