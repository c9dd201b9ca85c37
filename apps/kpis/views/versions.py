"""Two versions of a workflow or of an agent side by side, and a workflow's week against week."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.errors import NotFoundError
from apps.core.http import Request, wants_fragment
from apps.kpis.models.clock import database_now
from apps.kpis.rules.buckets import DAY, day_period, local_day
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.comparing import against_in
from apps.kpis.selectors.dashboards import units_for, workflows_for
from apps.kpis.selectors.drawings import OVERVIEW
from apps.kpis.selectors.kpis import holds_simulated_for
from apps.kpis.selectors.versions import agent_comparison_for, agent_versions_for, comparison_for, versions_for
from apps.kpis.selectors.weeks import MOST_WEEKS, control_charts_for
from apps.kpis.views.dashboards import as_of_now, asked_of, controls_of

TWO = 2


@require_GET
def versions(request: Request, slug: str) -> HttpResponse:
    """Two versions of a workflow in one range: what is better, worse, unclear or too early to tell."""
    names = workflows_for(request.user)
    if slug not in names:
        raise NotFoundError
    asked = asked_of(request, slug)
    compared = None
    if len(versions_for(request.user, asked)) >= TWO:
        compared = comparison_for(request.user, asked, now=asked.version, was=against_in(request.GET.dict()))
    context = {"slug": slug, "title": names[slug], "compared": compared, **_controls(request, asked)}
    return render(request, "kpis/versions.html", context)


@require_GET
def agent_versions(request: Request, slug: str) -> HttpResponse:
    """Two versions of an agent in one range, on the operations and units of both."""
    asked = replace(asked_of(request, OVERVIEW), agent=slug)
    compared = None
    if len(agent_versions_for(request.user, asked)) >= TWO:
        compared = agent_comparison_for(request.user, asked, now=asked.version, was=against_in(request.GET.dict()))
    context = {"slug": slug, "title": slug, "compared": compared, "of_agent": True, **_controls(request, asked)}
    return render(request, "kpis/versions.html", context)


def _controls(request: Request, asked: KpiFilter) -> dict[str, Any]:
    page = {"simulated": holds_simulated_for(request.user, replace(asked, version=None))}
    return {"asked": asked, "page": page, "units": units_for(request.user), **controls_of(asked, database_now())}


@require_GET
def weeks(request: Request, slug: str) -> HttpResponse:
    """A workflow's control charts; as a fragment, the list of them that its dashboard shows."""
    names = workflows_for(request.user)
    if slug not in names:
        raise NotFoundError
    asked = asked_of(request, slug)
    today = local_day(database_now(), asked.zone)
    every_week = day_period(today - DAY * 7 * MOST_WEEKS, today, asked.zone)
    whole = replace(asked, version=None, period=every_week)  # the charts are of every version, too
    context = {
        "slug": slug,
        "title": names[slug],
        "asked": asked,
        "drawn": control_charts_for(request.user, asked),
        "page": {"answer": as_of_now(request), "simulated": holds_simulated_for(request.user, whole)},
    }
    fragment = wants_fragment(request)
    return render(request, "kpis/_weeks.html" if fragment else "kpis/weeks.html", context)
