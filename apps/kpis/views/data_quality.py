"""The page on how far the figures can be trusted, and the runs and costs behind its numbers."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.errors import NotFoundError
from apps.core.gate import scope_for
from apps.core.http import Request
from apps.core.pages import page_of
from apps.kpis.models.clock import database_now
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.data_quality import DAYS, abroad_for, clamped_for, data_quality_for
from apps.kpis.selectors.reading import VIEW
from apps.kpis.views.dashboards import PAGE

CLAMPED, ABROAD = "times-ran-backwards", "other-currencies"


@require_GET
def data_quality(request: Request) -> HttpResponse:
    """How late the figures are, and what is missing from them; as things stand, whatever the period."""
    found = data_quality_for(request.user)
    context = {
        "quality": found,
        "days": DAYS,
        "as_of": database_now(),
        "sees_all": scope_for(request.user, VIEW).everywhere,
    }
    return render(request, "kpis/data_quality.html", context)


@require_GET
def data_quality_behind(request: Request, part: str) -> HttpResponse:
    """The runs whose times ran backwards, or the costs that are in no sum for their currency."""
    if part not in {CLAMPED, ABROAD}:
        raise NotFoundError
    of_runs = part == CLAMPED
    rows: Any = clamped_for(request.user) if of_runs else abroad_for(request.user)
    shown = page_of(request, rows, order=("-finished_at", "-run_id") if of_runs else ("-incurred_at", "-id"), size=PAGE)
    context = {
        "label": _("Runs whose times ran backwards") if of_runs else _("Costs in other currencies"),
        "of_runs": of_runs,
        "days": DAYS,
        "as_of": database_now(),
        "names": workflows_for(request.user),
        "rows": shown.rows,
        "count": rows.count(),
        "next": shown.next_url,
    }
    return render(request, "kpis/data_quality_behind.html", context)
