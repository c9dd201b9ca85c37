"""The page on how people decide."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.core.http import Request
from apps.kpis.models.clock import database_now
from apps.kpis.rules.buckets import next_period, previous_period
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.accuracy import accuracy_for
from apps.kpis.selectors.dashboards import agent_choices_for, places_for, units_for
from apps.kpis.selectors.drawings import OVERSIGHT, OVERVIEW
from apps.kpis.selectors.quality import quality_for
from apps.kpis.views.dashboards import asked_of, controls_of


@require_GET
def oversight(request: Request) -> HttpResponse:
    """Oversight quality: of rules and of reviews, and to the reader alone of themselves; never a ranking of people."""
    asked = asked_of(request, OVERVIEW)
    quality = quality_for(request.user, asked)
    now = database_now()
    page: dict[str, Any] = {
        "places": places_for(request.user, OVERSIGHT, asked),
        "units": units_for(request.user),
        "agents": agent_choices_for(request.user),
        "earlier": _address(asked.within(previous_period(asked.period, asked.zone))),
        "later": "" if asked.period.end > now else _address(asked.within(next_period(asked.period, asked.zone))),
    }
    context = {
        "page": page,
        "quality": quality,
        "accuracy": accuracy_for(request.user, asked),
        "asked": asked,
        **controls_of(asked, now),
    }
    return render(request, "kpis/oversight.html", context)


def _address(asked: KpiFilter) -> str:
    return f"{reverse('kpis:oversight')}?{asked.query}"
