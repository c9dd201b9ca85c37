"""Dashboards of agents: all of them in one table, and one of them on a page."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.http import Request
from apps.kpis.models.clock import database_now
from apps.kpis.rules.buckets import next_period, previous_period
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.by_agent import (
    OF_ACTIONS,
    AgentSeen,
    agent_address,
    agent_seen_for,
    agent_table_for,
    agent_version_table_for,
)
from apps.kpis.selectors.cards import card_of
from apps.kpis.selectors.dashboards import Dashboard, dashboard_for, limits_of, units_for
from apps.kpis.selectors.drawings import AGENTS, OVERVIEW
from apps.kpis.selectors.kpis import holds_simulated_for
from apps.kpis.selectors.places import places_for, workflows_seen_for
from apps.kpis.views.dashboards import as_of_now, asked_of, context_of, controls_of, paper_of

CARDS = (*OF_ACTIONS[:1], "spend_minor")
"""What an agent's page shows beside the seven cards."""


@require_GET
def agents(request: Request) -> HttpResponse:
    """Every agent that took part in the period, with its figures."""
    asked = replace(asked_of(request, OVERVIEW), agent="", workflow="", version=None)
    now, here = database_now(), reverse("kpis:agents")
    later = f"{here}?{asked.within(next_period(asked.period, asked.zone)).query}"
    page: dict[str, Any] = {
        "places": places_for(request.user, AGENTS, asked, workflows_seen_for(request.user)),
        "units": units_for(request.user),
        "earlier": f"{here}?{asked.within(previous_period(asked.period, asked.zone)).query}",
        "later": "" if asked.period.end > now else later,
        "answer": as_of_now(request),
        "simulated": holds_simulated_for(request.user, asked),
    }
    context = {
        "page": page,
        "asked": asked,
        "limits": limits_of(asked, page["units"], []),
        "table": agent_table_for(request.user, asked),
        **controls_of(asked, now),
    }
    return render(request, "kpis/agents.html", context)


@require_GET
def agent(request: Request, slug: str) -> HttpResponse:
    """One agent: the runs in which it took part, how right it was, what it cost, what it did without asking."""
    asked, page, seen = _page_of(request, slug)
    context = {
        **context_of(request, page, asked),
        "agent": seen,
        "pdf": f"{reverse('kpis:agent-pdf', args=[slug])}?{asked.query}",
    }
    return render(request, "kpis/dashboard.html", context)


@require_GET
def agent_printed(request: Request, slug: str) -> HttpResponse:
    """The same as PDF."""
    asked, page, _seen = _page_of(request, slug)
    return paper_of(request, page, asked, name=f"agent-{slug}", path=reverse("kpis:agent", args=[slug]))


def _page_of(request: Request, slug: str) -> tuple[KpiFilter, Dashboard, AgentSeen]:
    asked = replace(asked_of(request, OVERVIEW), agent=slug)
    seen = agent_seen_for(request.user, slug)
    page = dashboard_for(request.user, OVERVIEW, asked)
    by_version = agent_version_table_for(request.user, asked)
    page = replace(
        page,
        title=_("Agent: %(name)s") % {"name": seen.name},
        cards=[*page.cards, *(card_of(page.answer, key) for key in CARDS)],
        tables=[*page.tables, *([by_version] if by_version else [])],
        limits=limits_of(replace(asked, agent=""), page.units, []),
        places=places_for(request.user, "", replace(asked, agent=""), workflows_seen_for(request.user)),
        agents=[],
        earlier=_moved(asked, previous=True),
        later=_moved(asked, previous=False) if page.later else "",
    )
    return asked, page, seen


def _moved(asked: KpiFilter, *, previous: bool) -> str:
    move = previous_period if previous else next_period
    return agent_address(asked.within(move(asked.period, asked.zone)))
