"""The page on how people decide, its files, and the items behind its numbers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.errors import InvalidError, NotFoundError
from apps.core.http import Request
from apps.core.pages import page_of
from apps.kpis.models.clock import database_now
from apps.kpis.models.measures import LATENCY
from apps.kpis.rules.asking import Became, asked_part_of
from apps.kpis.rules.buckets import next_period, previous_period
from apps.kpis.rules.filters import FilterProblem, KpiFilter
from apps.kpis.rules.quality import Drilled, Judged, Looked
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.accuracy import accuracy_for, accuracy_tables_for, judged_behind_for
from apps.kpis.selectors.asking import (
    asked_behind_for,
    asked_words_for,
    became_names,
    policy_table_for,
    reason_names,
)
from apps.kpis.selectors.dashboards import agent_choices_for, limits_of, units_for, workflows_for
from apps.kpis.selectors.drawings import OVERSIGHT, OVERVIEW
from apps.kpis.selectors.kpis import Answer, holds_simulated_for
from apps.kpis.selectors.oversight_files import oversight_file_for
from apps.kpis.selectors.oversight_lines import oversight_drawings_for
from apps.kpis.selectors.places import places_for, workflows_seen_for
from apps.kpis.selectors.quality import drills_behind_for, quality_for, reviews_behind_for, rule_table_for
from apps.kpis.selectors.splits import split_words_for
from apps.kpis.views.dashboards import PAGE, about_of, asked_of, controls_of, csv_of, picture_of, span_of

MOST_DRILLS = 500
"""So many are listed: a page of them would say by its cursor which item each was."""


@require_GET
def oversight(request: Request) -> HttpResponse:
    """Oversight quality: of rules and of reviews, and to the reader alone of themselves; never a ranking of people."""
    asked = asked_of(request, OVERVIEW)
    quality = quality_for(request.user, asked)
    now, answer = database_now(), _answer(request, asked)
    seen, units, agents = workflows_seen_for(request.user), units_for(request.user), agent_choices_for(request.user)
    of_workflow = [_("Workflow: %(name)s") % {"name": seen.names.get(asked.workflow, asked.workflow)}]
    page: dict[str, Any] = {
        "slug": OVERSIGHT,
        "title": _("Oversight"),
        "drawings": oversight_drawings_for(request.user, answer),
        "places": places_for(request.user, OVERSIGHT, asked, seen),
        "units": units,
        "agents": agents,
        "workflows": list(seen.names.items()),
        "limits": [*(of_workflow if asked.workflow else []), *limits_of(asked, units, agents)],
        "answer": answer,
        "simulated": holds_simulated_for(request.user, asked),
        "links": {
            "csv": f"{reverse('kpis:csv', args=[OVERVIEW, 'kpis'])}?{answer.asked.query}",
            "api": f"{reverse('kpis-api:kpis')}?{answer.asked.query}",
        },
        "earlier": _address(asked.within(previous_period(asked.period, asked.zone))),
        "later": "" if asked.period.end > now else _address(asked.within(next_period(asked.period, asked.zone))),
    }
    context = {
        "page": page,
        "quality": quality,
        "policies": policy_table_for(request.user, answer.asked),
        "rules": rule_table_for(request.user, asked, quality.rules),
        "accuracy": accuracy_tables_for(request.user, accuracy_for(request.user, asked)),
        "asked": asked,
        "picture": picture_of(asked, answer.as_of),
        "permalink": f"{settings.ACP_URL}{request.path}?{asked.query}",
        **controls_of(asked, now),
    }
    return render(request, "kpis/oversight.html", context)


@require_GET
def export_oversight(request: Request, figure: str) -> HttpResponse:
    """A chart or a table as CSV."""
    asked = asked_of(request, OVERVIEW)
    rows = oversight_file_for(request.user, asked, _answer(request, asked), figure)
    if rows is None:
        raise NotFoundError
    return csv_of(f"{OVERSIGHT}-{figure}", rows)


@require_GET
def oversight_behind(request: Request, part: str) -> HttpResponse:
    """What is behind a number of the page: items, actions that were judged, looks afterwards or drills."""
    if part not in ROWS_OF:
        raise NotFoundError
    asked = asked_of(request, OVERVIEW, listed=part in list(Judged))
    whole = replace(asked, part=None, operation="")  # the part is said by itself, and the page has none
    context = {"asked": asked, "about": about_of(request.user, whole), "names": workflows_for(request.user)}
    context |= {"home": _address(whole)}
    return render(request, "kpis/oversight_behind.html", context | ROWS_OF[part](request, asked, part))


def _items(request: Request, asked: KpiFilter, part: str) -> dict[str, Any]:
    became = Became(part)
    try:
        wanted = asked_part_of({name: str(value) for name, value in request.GET.items()})
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem
    rows: Any = asked_behind_for(request.user, asked, became, wanted)
    shown = page_of(request, rows, order=("-decided_at", "-escalation_id"), size=PAGE)
    own = {"about": span_of(asked, database_now()), "asked": asked.of_workflow("")}  # whatever else is asked for
    told: dict[str, Any] = own if wanted.mine else {}
    return told | {
        "label": became_names()[became],
        "said": asked_words_for(request.user, wanted),
        "reasons": reason_names(),
        "rows_template": "kpis/_decisions.html",
        "rows": shown.rows,
        "count": rows.count(),
        "next": shown.next_url,
    }


def _looks(request: Request, asked: KpiFilter, part: str) -> dict[str, Any]:
    looked = Looked(part)
    rows: Any = reviews_behind_for(request.user, asked, looked)
    shown = page_of(request, rows, order=("-created_at", "-id"), size=PAGE)
    names = {
        Looked.JUDGED: _("Judged afterwards"),
        Looked.RIGHT: _("Judged right"),
        Looked.WRONG: _("Judged wrong"),
        Looked.HARMFUL: _("Judged harmful"),
        Looked.OVERTURNED: _("Overturned by a review"),
        Looked.WAITING: _("Looks afterwards that wait"),
    }
    return {
        "label": names[looked],
        "about": about_of(request.user, asked, is_live=looked == Looked.WAITING),
        "rows_template": "kpis/_looks.html",
        "rows": shown.rows,
        "count": rows.count(),
        "next": shown.next_url,
    }


def _judged(request: Request, asked: KpiFilter, part: str) -> dict[str, Any]:
    judged = Judged(part)
    rows: Any = judged_behind_for(request.user, asked, judged)
    shown = page_of(request, rows, order=("-ended_at", "-action_id"), size=PAGE)
    words = split_words_for(request.user, asked)
    return {
        "label": _("Actions that were judged wrong") if judged == Judged.WRONG else _("Actions that were judged"),
        "said": [words] if words else [],
        "rows_template": "kpis/_actions.html",
        "rows": shown.rows,
        "count": rows.count(),
        "next": shown.next_url,
    }


def _drills(request: Request, asked: KpiFilter, part: str) -> dict[str, Any]:
    drilled = Drilled(part)
    result, rows = drills_behind_for(request.user, asked, drilled, request.GET.get("of_queue", ""))
    names = {
        Drilled.ANSWERED: _("Drills that were answered"),
        Drilled.CAUGHT: _("Drills that were caught"),
        Drilled.MISSED: _("Drills that were missed"),
    }
    count = rows.count()
    return {
        "label": names[drilled],
        "said": [_("Queue: %(name)s") % {"name": result.queue}],
        "rows_template": "kpis/_drills_behind.html",
        "rows": rows[:MOST_DRILLS],
        "count": count,
        "left": max(0, count - MOST_DRILLS),
    }


ROWS_OF: Mapping[str, Callable[[Request, KpiFilter, str], dict[str, Any]]] = {
    **dict.fromkeys(Became, _items),
    **dict.fromkeys(Judged, _judged),
    **dict.fromkeys(Looked, _looks),
    **dict.fromkeys(Drilled, _drills),
}
"""The rows behind each number, by the part that its address names."""


def _answer(request: Request, asked: KpiFilter) -> Answer:
    """The period in buckets; what decisions know nothing of limits none of them."""
    return kpis_for(request.user, replace(asked, agent_version=None, operation=""), durations=(LATENCY,))


def _address(asked: KpiFilter) -> str:
    return f"{reverse('kpis:oversight')}?{asked.query}"
