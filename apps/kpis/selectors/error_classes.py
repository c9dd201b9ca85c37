"""The chart of a workflow's errors: which classes they were of, bucket by bucket."""

from dataclasses import replace

from django.db.models import Count
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models.measures import MEMBERS, grouped
from apps.kpis.rules.sentences import errors_finding
from apps.kpis.selectors.drawings import Drawing, drawing_of, page_of_kpi, value_column
from apps.kpis.selectors.kpis import Answer, Point
from apps.kpis.selectors.parts import ERROR, part_names
from apps.kpis.selectors.stacks import stack_of

KPI = "error_rate"
"""Behind it are the runs that failed or left something wrong: each is of one class."""


def error_classes_for(actor: User, answer: Answer) -> Drawing | None:
    """The runs with an error by class, the most frequent first; None where there are none, and beside one workflow."""
    if not actor.is_active or not answer.asked.workflow or not answer.measures["wrong"]:
        return None

    def address(point: Point, key: str) -> str:
        return page_of_kpi(replace(answer.asked.within(point.bucket), part=("error", key)), KPI)

    names = part_names()
    stack = stack_of(answer, _counts(answer), names, address, y_title=_("runs"))
    finding = errors_finding(names.get(stack.first, stack.first), stack.most, stack.whole)
    columns = [*stack.columns, value_column(answer, KPI, _("Error rate"))]
    return drawing_of(answer, "error-classes", _("Classes of errors"), KPI, finding, chart=stack.chart, columns=columns)


def _counts(answer: Answer) -> dict[str, dict[int, int]]:
    rows = answer.reader.runs.filter(MEMBERS["wrong"]).annotate(error_key=ERROR)
    buckets = [point.bucket for point in answer.series]
    counts: dict[str, dict[int, int]] = {}
    for (at, key), row in grouped(rows, "finished_at", buckets, {"n": Count("run_id")}, ("error_key",)).items():
        counts.setdefault(key, {})[at] = row["n"]
    return counts
