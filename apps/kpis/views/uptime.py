"""How much of the time one agent, system or workflow could be relied on, and when not."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.http import Request
from apps.core.pages import page_of
from apps.kpis.models.clock import database_now
from apps.kpis.rules import RangeName
from apps.kpis.rules.buckets import named_period
from apps.kpis.selectors.drawings import OVERVIEW
from apps.kpis.selectors.uptime import uptime_of_one_for
from apps.kpis.views.dashboards import PAGE, asked_of, span_of

HOMES = {"agents": "/agents/%s/", "systems": "/connectors/%s/", "workflows": "/workflows/%s/"}


@require_GET
def uptime_of(request: Request, kind: str, slug: str) -> HttpResponse:
    """One of them: its share, what it is made of, and when it was down."""
    asked = asked_of(request, OVERVIEW)
    found = uptime_of_one_for(request.user, kind, slug, asked)
    shown = page_of(request, found.rows, order=found.order, size=PAGE)
    now = database_now()
    words = {
        RangeName.DAYS_7: _("7 days"),
        RangeName.DAYS_30: _("30 days"),
        RangeName.WEEKS_12: _("12 weeks"),
    }
    context = {
        "name": found.name,
        "one": found.uptime,
        "asked": asked,
        "about": span_of(asked, now),
        "label": found.uptime.label,
        "rows": shown.rows,
        "next": shown.next_url,
        "rows_template": "kpis/_call_hours.html" if kind == "systems" else "kpis/_minutes.html",
        "home": HOMES[kind] % slug,
        "ranges": [(key, text, named_period(key, now, asked.zone) == asked.period) for key, text in words.items()],
    }
    return render(request, "kpis/uptime_of.html", context)
