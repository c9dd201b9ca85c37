"""The weekly report as a letter. ``settings.WEEKLY_REPORT`` names it for whoever sends letters."""

import csv
import io
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.core.rules import as_cell
from apps.kpis.rules.weeks import Week
from apps.kpis.selectors.figure_files import csv_rows_for
from apps.kpis.selectors.paper import printed_report_for
from apps.kpis.selectors.reports import Report, report_for


@dataclass(frozen=True, slots=True)
class Letter:
    """A report in words, as PDF, and its figures as CSV."""

    subject: str
    text: str
    html: str
    attached: tuple[tuple[str, str | bytes, str], ...]
    """Name, content and media type of each."""


def write_report(actor: User, *, monday: date, unit: str = "") -> Letter:
    """The report of the week that begins on ``monday``, with what ``actor`` may see now.

    Raises NotAllowedError for who sees no figures, NotFoundError for a unit of which they see none.
    """
    report = report_for(actor, week=Week(monday), unit=unit)
    name = name_of(report)
    context = {"report": report, "home": settings.ACP_URL, "unit": report.unit_name or _("All units")}
    return Letter(
        subject=_("Weekly report %(week)s: %(unit)s") % {"week": report.week, "unit": context["unit"]},
        text=render_to_string("kpis/report_mail.txt", context),
        html=render_to_string("kpis/report_mail.html", context),
        attached=(
            (f"{name}.pdf", printed_report_for(actor, report, for_mail=True), "application/pdf"),
            (f"{name}.csv", _csv(actor, report), "text/csv"),
        ),
    )


def name_of(report: Report) -> str:
    """What a file of a report is called."""
    return f"report-{report.week}{f'-{report.unit}' if report.unit else ''}"


def _csv(actor: User, report: Report) -> str:
    out = io.StringIO()
    rows = csv_rows_for(actor, report.page.answer)
    csv.writer(out).writerows([as_cell(cell) for cell in row] for row in rows)
    return out.getvalue()
