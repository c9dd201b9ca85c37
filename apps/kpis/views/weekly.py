"""The weekly review of a workflow, and the items and runs behind each of its numbers."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from apps.core.errors import NotFoundError
from apps.core.http import Request
from apps.kpis.models.clock import database_now
from apps.kpis.rules.weekly import UNKNOWN_FIELD, Failed, Line, Part
from apps.kpis.selectors.weekly import behind_week_for, this_week, week_for
from apps.kpis.views.dashboards import span_of
from apps.oversight.selectors.words import reason_words

TITLES: dict[Part, tuple[Any, Any, Any]] = {
    Part.REASON: (_("Why people said no"), _("Reason"), _("Nobody rejected anything or sent it back.")),
    Part.ASKED: (_("What asked people"), _("Asked by"), _("Nobody was asked anything that they decided this week.")),
    Part.FIELD: (_("What people changed"), _("Field"), _("Nobody changed anything before approving it.")),
    Part.QUEUE: (_("Where it waited: queues"), _("Queue"), _("Nothing waited for people.")),
    Part.STEP: (_("Where it waited: steps"), _("Step"), _("No step waited for people.")),
    Part.FAILURE: (_("Why runs failed"), _("Step and error"), _("No run failed.")),
}
"""Of each part its title, what its lines are, and what is said of none."""
NO_QUEUE = _("Simulated history does not say which.")
WAITS = frozenset({Part.QUEUE, Part.STEP})
MOST_BEHIND = 500


def label_of(line: Line) -> str:
    """What a line is called; empty where the template shows its parts."""
    if line.part == Part.REASON:
        return str(_("No preset reason")) if line.key == "none" else reason_words(line.key)
    if line.part == Part.FIELD and line.key == UNKNOWN_FIELD:
        return str(_("Simulated history does not say what"))
    return ""


def simulated_in(request: Request) -> tuple[bool, str]:
    """Whether simulated history counts, as in the demo unless asked; and what links carry where that was asked."""
    said = request.GET.get("simulated", "")
    counts = said == "true" if said in {"true", "false"} else settings.ACP_DEMO
    return counts, "" if counts == settings.ACP_DEMO else f"simulated={str(counts).lower()}"


@require_GET
def week_now(request: Request, slug: str) -> HttpResponse:
    """The week that is running; the one before where nothing has ended in it yet."""
    name, (simulated, carried) = this_week(), simulated_in(request)
    found = week_for(request.user, slug, name, simulated=simulated)
    there = reverse("kpis:week", args=[slug, found.earlier if found.review.is_empty else name])
    return redirect(f"{there}?{carried}" if carried else there)


@require_GET
def week(request: Request, slug: str, week: str) -> HttpResponse:
    """One ISO week of a workflow, beside the week before."""
    simulated, carried = simulated_in(request)
    found = week_for(request.user, slug, week, simulated=simulated)
    parts = [
        {
            "name": part.value,
            "title": title,
            "head": head,
            "nothing": NO_QUEUE if found.simulated and part == Part.QUEUE else nothing,
            "is_wait": part in WAITS,
            "is_asked": part == Part.ASKED,
            "lines": [(line, label_of(line)) for line in found.review.lines[part]],
        }
        for part, (title, head, nothing) in TITLES.items()
    ]
    context = {"week": found, "parts": parts, "carried": carried, "is_demo": settings.ACP_DEMO}
    return render(request, "kpis/week.html", context)


@require_GET
def behind_week(request: Request, slug: str, week: str, part: str) -> HttpResponse:
    """Exactly the items or runs that a line counts."""
    if part not in list(Part):
        raise NotFoundError
    simulated, carried = simulated_in(request)
    key = request.GET.get("key", "")
    found, line, rows = behind_week_for(request.user, slug, week, Part(part), key, simulated=simulated)
    context = {
        "week": found,
        "carried": carried,
        "line": line,
        "label": label_of(line),
        "title": TITLES[line.part][0],
        "about": span_of(found.asked, database_now()),
        "rows": rows[:MOST_BEHIND],
        "more": max(0, len(rows) - MOST_BEHIND),
        "of_runs": any(isinstance(row, Failed) for row in rows),
    }
    return render(request, "kpis/week_behind.html", context)
