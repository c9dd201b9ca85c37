"""The page on how people decide, its files, and the items behind its numbers."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.errors import InvalidError, NotFoundError
from apps.core.http import Request
from apps.core.pages import page_of
from apps.kpis.models.clock import database_now
from apps.kpis.rules.asking import Became, asked_part_of
from apps.kpis.rules.buckets import next_period, previous_period
from apps.kpis.rules.filters import FilterProblem, KpiFilter
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.accuracy import accuracy_for
from apps.kpis.selectors.asking import (
    asked_behind_for,
    asked_words_for,
    became_names,
    oversight_file_for,
    policy_table_for,
    reason_names,
    reasons_drawing_for,
)
from apps.kpis.selectors.dashboards import agent_choices_for, places_for, units_for, workflows_for
from apps.kpis.selectors.drawings import OVERSIGHT, OVERVIEW
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.quality import quality_for
from apps.kpis.views.dashboards import PAGE, about_of, asked_of, controls_of, csv_of, picture_of


@require_GET
def oversight(request: Request) -> HttpResponse:
    """Oversight quality: of rules and of reviews, and to the reader alone of themselves; never a ranking of people."""
    asked = asked_of(request, OVERVIEW)
    quality = quality_for(request.user, asked)
    now, answer = database_now(), _answer(request, asked)
    reasons = reasons_drawing_for(request.user, answer)
    page: dict[str, Any] = {
        "slug": OVERSIGHT,
        "title": _("Oversight"),
        "drawings": [reasons] if reasons else [],
        "places": places_for(request.user, OVERSIGHT, asked),
        "units": units_for(request.user),
        "agents": agent_choices_for(request.user),
        "earlier": _address(asked.within(previous_period(asked.period, asked.zone))),
        "later": "" if asked.period.end > now else _address(asked.within(next_period(asked.period, asked.zone))),
    }
    context = {
        "page": page,
        "quality": quality,
        "policies": policy_table_for(request.user, answer.asked),
        "accuracy": accuracy_for(request.user, asked),
        "asked": asked,
        "picture": picture_of(asked, answer.as_of),
        **controls_of(asked, now),
    }
    return render(request, "kpis/oversight.html", context)


@require_GET
def export_oversight(request: Request, figure: str) -> HttpResponse:
    """The chart of reasons or the table of policies as CSV."""
    rows = oversight_file_for(request.user, _answer(request, asked_of(request, OVERVIEW)), figure)
    if rows is None:
        raise NotFoundError
    return csv_of(f"{OVERSIGHT}-{figure}", rows)


@require_GET
def oversight_behind(request: Request, part: str) -> HttpResponse:
    """The items behind a number of the page."""
    asked = asked_of(request, OVERVIEW)
    if part not in set(Became):
        raise NotFoundError
    became = Became(part)
    try:
        wanted = asked_part_of({name: str(value) for name, value in request.GET.items()})
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem
    rows: Any = asked_behind_for(request.user, asked, became, wanted)
    shown = page_of(request, rows, order=("-decided_at", "-escalation_id"), size=PAGE)
    context = {
        "asked": asked,
        "label": became_names()[became],
        "said": asked_words_for(request.user, wanted),
        "about": about_of(request.user, asked),
        "reasons": reason_names(),
        "names": workflows_for(request.user),
        "rows": shown.rows,
        "count": rows.count(),
        "next": shown.next_url,
    }
    return render(request, "kpis/oversight_behind.html", context)


def _answer(request: Request, asked: KpiFilter) -> Answer:
    """The period in buckets; what decisions know nothing of limits none of them."""
    return kpis_for(request.user, replace(asked, agent_version=None, operation=""), durations=())


def _address(asked: KpiFilter) -> str:
    return f"{reverse('kpis:oversight')}?{asked.query}"
