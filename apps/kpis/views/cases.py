"""The cases behind each number of an event log."""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.errors import InvalidError
from apps.core.http import Request
from apps.core.pages import page_of
from apps.core.rules import as_cell
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.eventlogs import CasePart, CasesAsked, asked_cases
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.selectors.cases import ORDER, case_rows, cases_for, columns_of, count_of
from apps.kpis.services.logs import MICRO

PAGE = 50


def _asked(request: Request) -> CasesAsked:
    try:
        return asked_cases(request.GET.dict())
    except ValueError as error:
        field, text = error.args
        raise InvalidError(f"{field}: {text}", errors={field: [text]}) from error


@require_GET
def log_cases(request: Request, log_id: UUID) -> HttpResponse:
    """The cases behind a figure, a way or a line of a list; their number is the one that stands there."""
    asked = _asked(request)
    log, rows = cases_for(request.user, log_id, asked)
    count, times = count_of(rows)
    shown, currency = page_of(request, rows, order=ORDER, size=PAGE), reporting_currency()
    minor = MICRO / micro_per_minor(currency)
    context = {
        "log": log,
        "asked": asked,
        "label": _label(asked),
        "count": count,
        "times": times if asked.part in TIMES else None,
        "rows": [
            {
                "case": case,
                "cost_minor": None if case.cost is None else float(case.cost) * minor,
                "told": [(name, case.told[name]) for name in log.attributes if name in case.told],
            }
            for case in shown.rows
        ],
        "with_cost": any(case.cost is not None for case in shown.rows),
        "currency": currency,
        "next": shown.next_url,
    }
    return render(request, "kpis/log_cases.html", context)


@require_GET
def export_log_cases(request: Request, log_id: UUID) -> StreamingHttpResponse:
    """The same, all of them, as CSV."""
    asked = _asked(request)
    log, rows = cases_for(request.user, log_id, asked)
    return streamed_csv(f"cases-{asked.part}", chain([columns_of(log)], case_rows(log, rows)))


def streamed_csv(name: str, rows: Iterable[Iterable[Any]]) -> StreamingHttpResponse:
    """A file of as many rows as there are, none of which runs as a formula."""
    answer = StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


class _Line:
    """A file of which each write is what was written."""

    def write(self, text: str) -> str:
        return text


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([as_cell(cell) for cell in row])


TIMES = {CasePart.HANDOVERS, CasePart.ACTIVITY, CasePart.FOLLOWS, CasePart.RESOURCE}
"""Parts in which one case may count more than once."""


def _label(asked: CasesAsked) -> str:
    said = {"name": asked.name, "before": asked.before, "key": asked.key}
    if asked.part == CasePart.ATTRIBUTE and not asked.name:
        return _("Cases that say nothing of “%(key)s”") % said
    return {
        CasePart.ALL: _("All cases"),
        CasePart.REWORKED: _("Cases worked on again"),
        CasePart.HANDOVERS: _("Cases with handovers"),
        CasePart.COST: _("Cases that say what they cost"),
        CasePart.VARIANT: _("Cases that went this way"),
        CasePart.ACTIVITY: _("Cases with “%(name)s”") % said,
        CasePart.FIRST: _("Cases that begin with “%(name)s”") % said,
        CasePart.LAST: _("Cases that end with “%(name)s”") % said,
        CasePart.FOLLOWS: _("Cases in which “%(name)s” follows “%(before)s”") % said,
        CasePart.RESOURCE: _("Cases that “%(name)s” worked on") % said,
        CasePart.WEEK: _("Cases that ended in week %(name)s") % said,
        CasePart.ATTRIBUTE: _("Cases whose “%(key)s” is “%(name)s”") % said,
    }[asked.part]
