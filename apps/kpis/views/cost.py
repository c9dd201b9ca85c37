"""The page on cost, its files, and the costs and actions behind its numbers."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.errors import InvalidError, NotFoundError
from apps.core.http import Request
from apps.core.pages import page_of
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.filters import FilterProblem, KpiFilter
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.spending import CostPart, part_of
from apps.kpis.selectors.cost_files import apart_file_for
from apps.kpis.selectors.cost_page import cost_file_for, cost_page_for, kind_names
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.drawings import COST, OVERVIEW
from apps.kpis.selectors.spending import budgets_used_for, costs_behind_for, moved_behind_for, moved_for, sum_of
from apps.kpis.views.dashboards import PAGE, about_of, asked_of, controls_of, csv_of, picture_of


@require_GET
def cost(request: Request) -> HttpResponse:
    """What was spent, on what, and what a run that succeeded cost."""
    asked = asked_of(request, OVERVIEW)
    page = cost_page_for(request.user, asked)
    context = {
        "page": page,
        "asked": asked,
        "budgets": budgets_used_for(request.user, asked),
        "picture": picture_of(asked, page.answer.as_of),
        "permalink": f"{settings.ACP_URL}{request.path}?{asked.query}",
        **controls_of(asked, page.answer.as_of),
    }
    return render(request, "kpis/cost.html", context)


@require_GET
def export_cost(request: Request, figure: str) -> HttpResponse:
    """A chart's or a table's rows as CSV."""
    asked = asked_of(request, OVERVIEW)
    rows = apart_file_for(request.user, asked, figure) or cost_file_for(request.user, asked, figure)
    if rows is None:
        raise NotFoundError
    return csv_of(f"{COST}-{figure}", rows)


@require_GET
def cost_behind(request: Request, part: str) -> HttpResponse:
    """The costs behind a number of the page, or the actions behind money that was moved."""
    asked = asked_of(request, OVERVIEW)
    if part not in {"costs", "money"}:
        raise NotFoundError
    names = workflows_for(request.user)
    context = {"asked": asked, "part": part, "names": names, "about": about_of(request.user, asked)}
    shown = _costs(request, asked, names) if part == "costs" else _money(request, asked)
    return render(request, "kpis/cost_behind.html", context | shown)


def _costs(request: Request, asked: KpiFilter, names: dict[str, str]) -> dict[str, Any]:
    try:
        wanted = part_of(_query(request))
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem
    rows: Any = costs_behind_for(request.user, asked, wanted)
    listed = page_of(request, rows, order=("-incurred_at", "-id"), size=PAGE)
    found = sum_of(rows)
    return {
        "label": _("Costs"),
        "said": _said(wanted, names),
        "rows": listed.rows,
        "next": listed.next_url,
        "count": found.items,
        "minor": found.micro / micro_per_minor(reporting_currency()),
        "unpriced": found.unpriced,
        "currency": reporting_currency(),
    }


def _money(request: Request, asked: KpiFilter) -> dict[str, Any]:
    currency = request.GET.get("of_currency")
    rows: Any = moved_behind_for(request.user, asked, currency)
    listed = page_of(request, rows, order=("-ended_at", "-action_id"), size=PAGE)
    sums = [one for one in moved_for(request.user, asked) if currency in {None, one.currency}]
    return {
        "label": _("Money that actions moved"),
        "said": [currency] if currency else [],
        "rows": listed.rows,
        "next": listed.next_url,
        "count": sum(one.actions + one.actions_back for one in sums),
        "sums": sums,
    }


def _query(request: HttpRequest) -> dict[str, str]:
    return {name: str(value) for name, value in request.GET.items()}


def _said(part: CostPart, names: dict[str, str]) -> list[str]:
    """What the list is limited to, beside the filter, in words."""
    without = {"workflow": _("Without a workflow"), "agent": _("No agent"), "model": _("No model named")}
    known = {"kind": kind_names(), "workflow": names}
    said = [known.get(name, {}).get(value, value) or without[name] for name, value in part.limits.items()]
    return [*said, *([_("Without a price")] if part.unpriced else [])]
