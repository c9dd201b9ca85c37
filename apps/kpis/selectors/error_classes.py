"""The chart of a workflow's errors: which classes they were of, bucket by bucket."""

from collections.abc import Mapping
from dataclasses import replace

from django.db.models import Count
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.models.measures import MEMBERS, grouped
from apps.kpis.rules.formats import count_text
from apps.kpis.rules.sentences import errors_finding
from apps.kpis.selectors.drawings import Cell, Column, Drawing, drawing_of, labels_of, page_of_kpi, value_column
from apps.kpis.selectors.kpis import Answer, Point
from apps.kpis.selectors.parts import ERROR, key_beside, part_names

KPI = "error_rate"
"""Behind it are the runs that failed or left something wrong: each is of one class."""

type Counts = dict[str, dict[int, int]]
"""Runs by their class and by the bucket in which they ended."""


def error_classes_for(actor: User, answer: Answer) -> Drawing | None:
    """The runs with an error by class, the most frequent first; None where there are none, and beside one workflow.

    As many classes as there are colours; of more, the last colour is for all others.
    """
    if not actor.is_active or not answer.asked.workflow or not answer.measures["wrong"]:
        return None
    found = _counts(answer)
    keys = sorted(found, key=lambda key: (-sum(found[key].values()), key))
    names = part_names()
    finding = errors_finding(
        names.get(keys[0], keys[0]),
        sum(found[keys[0]].values()),
        sum(n for row in found.values() for n in row.values()),
    )
    shown, others = (keys, []) if len(keys) <= len(SERIES) else (keys[: len(SERIES) - 1], keys[len(SERIES) - 1 :])
    parts = [(key, names.get(key, key), found[key]) for key in shown]
    if others:
        parts.append((key_beside(shown), _("Others"), _together(found, others)))
    series = [
        Series(
            charts.inert(name),
            [row.get(at, 0) for at in range(len(answer.series))],
            SERIES[place],
            links=[_address(answer, point, key) for point in answer.series],
        )
        for place, (key, name, row) in enumerate(parts)
    ]
    chart = charts.stacked(labels_of(answer), series, y_title=_("runs"))
    columns = [_column(answer, key, name, row) for key, name, row in parts]
    columns.append(value_column(answer, KPI, _("Error rate")))
    return drawing_of(answer, "error-classes", _("Classes of errors"), KPI, finding, chart=chart, columns=columns)


def _counts(answer: Answer) -> Counts:
    rows = answer.reader.runs.filter(MEMBERS["wrong"]).annotate(error_key=ERROR)
    buckets = [point.bucket for point in answer.series]
    counts: Counts = {}
    for (at, key), row in grouped(rows, "finished_at", buckets, {"n": Count("run_id")}, ("error_key",)).items():
        counts.setdefault(key, {})[at] = row["n"]
    return counts


def _together(found: Counts, keys: list[str]) -> dict[int, int]:
    places = sorted({at for key in keys for at in found[key]})
    return {at: sum(found[key].get(at, 0) for key in keys) for at in places}


def _address(answer: Answer, point: Point, key: str) -> str:
    return page_of_kpi(replace(answer.asked.within(point.bucket), part=("error", key)), KPI)


def _column(answer: Answer, key: str, name: str, row: Mapping[int, int]) -> Column:
    counted = {point.bucket.start: row.get(at, 0) for at, point in enumerate(answer.series)}

    def cell(point: Point) -> Cell:
        n = counted[point.bucket.start]
        return Cell(count_text(n), n, _address(answer, point, key) if n else "")

    return Column(name, cell)
