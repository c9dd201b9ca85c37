"""Focus: a sitting over the items that wait, with progress and an end. Its list lives in the session."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.core.gate import require
from apps.core.http import Request
from apps.oversight.forms import InboxFilter
from apps.oversight.selectors import Progress, progress_for, sitting_for
from apps.oversight.views.lists import VIEW, rows_of

KEY = "focus"
MODE = "focus"
"""The part of an item's address that says it is looked at in a sitting."""


@require_GET
def focus(request: Request) -> HttpResponse:
    """What a sitting would be; how far the one under way is; or what came of it."""
    require(request.user, VIEW)
    progress = progress_of(request)
    filters = InboxFilter(request.GET)
    sitting = None if progress and progress.left else sitting_for(request.user, rows_of(request.user, filters))
    context = {"progress": progress, "sitting": sitting, "filters": filters}
    return render(request, "oversight/focus.html", context)


@require_POST
def start(request: Request) -> HttpResponse:
    """Begin with what waits now."""
    require(request.user, VIEW)
    found = sitting_for(request.user, rows_of(request.user, InboxFilter(request.GET)))
    request.session[KEY] = {"ids": [str(key) for key in found.ids], "skipped": []}
    return _on(request)


@require_GET
def resume(request: Request) -> HttpResponse:
    """To the item that comes next."""
    return _on(request)


@require_POST
def skip(request: Request, escalation_id: UUID) -> HttpResponse:
    """Leave one for another time; nothing is decided."""
    if kept := request.session.get(KEY):
        skipped = [*kept["skipped"], str(escalation_id)] if str(escalation_id) in kept["ids"] else kept["skipped"]
        request.session[KEY] = {**kept, "skipped": list(dict.fromkeys(skipped))}
    return _on(request)


@require_POST
def end(request: Request) -> HttpResponse:
    """Stop here, or put a finished sitting away."""
    request.session.pop(KEY, None)
    return redirect(reverse("oversight:inbox"))


def progress_of(request: Request) -> Progress | None:
    """How far the sitting of this session is; None where there is none."""
    kept = request.session.get(KEY)
    if not kept:
        return None
    return progress_for(request.user, _keys(kept["ids"]), set(_keys(kept["skipped"])))


def in_focus(request: Request) -> bool:
    """Whether an item is looked at in a sitting."""
    return MODE in request.GET and bool(request.session.get(KEY))


def focus_context(request: Request) -> dict[str, Any]:
    """What the bar above the item shows; nothing outside a sitting."""
    return {"focus": progress_of(request)} if in_focus(request) else {}


def next_url(request: Request, progress: Progress | None = None) -> str:
    """The next item's address, or the end of the sitting."""
    progress = progress or progress_of(request)
    if progress is None or not progress.left:
        return reverse("oversight:focus")
    return f"{reverse('oversight:item', args=[progress.left[0]])}?{MODE}=1"


def _on(request: Request) -> HttpResponse:
    return redirect(next_url(request))


def _keys(texts: list[str]) -> list[UUID]:
    return [UUID(text) for text in texts]
