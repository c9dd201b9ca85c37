"""Erasing a trail: one person asks, with a reason, after seeing what would go; another one agrees, or refuses."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console.forms import ReasonForm
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.gate import require
from apps.core.http import Request
from apps.core.pages import page_of
from apps.workflows.selectors.erasing import (
    ERASE,
    asked_for,
    erasures_asked_for,
    reach_of,
    trail_of,
    who_could_agree,
    why_not_by,
    why_not_erasable,
)
from apps.workflows.services import ask_erasure, drop_erasure, erase_trail


@require_GET
def erasures(request: Request) -> HttpResponse:
    """What somebody asked to erase and nobody answered yet."""
    require(request.user, ERASE)
    return render(
        request, "console/erasures.html", {"page": page_of(request, erasures_asked_for(request.user), order=("-id",))}
    )


@require_http_methods(["GET", "POST"])
def erase(request: Request, trail_id: UUID) -> HttpResponse:
    """What an erasure reaches; a POST with a reason asks for it."""
    if request.method == "GET":
        return _page(request, trail_id)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _page(request, trail_id, form=form, status=422)
    reason = form.cleaned_data["reason"]
    said = _("Asked for. Somebody else has to agree within seven days; nothing is erased before.")
    return _done(request, trail_id, lambda: ask_erasure(request.user, trail_id=trail_id, reason=reason), said)


@require_POST
def agree(request: Request, trail_id: UUID) -> HttpResponse:
    """Agree with what somebody else asked for: it is erased."""
    said = _("Erased. What was decided, by whom and when stays, and so does every proof.")
    return _done(request, trail_id, lambda: erase_trail(request.user, trail_id=trail_id), said)


@require_POST
def drop(request: Request, trail_id: UUID) -> HttpResponse:
    """Withdraw what one asked for, or refuse it with a reason."""
    asked = asked_for(request.user, trail_of(request.user, trail_id))
    is_own = asked is not None and asked.asked_by_id == request.user.pk
    form = ReasonForm(request.POST)
    if not is_own and not form.is_valid():
        return _page(request, trail_id, form=form, status=422)
    reason = request.POST.get("reason", "")
    said = _("Withdrawn. Nothing was erased.") if is_own else _("Refused. Nothing was erased.")
    return _done(request, trail_id, lambda: drop_erasure(request.user, trail_id=trail_id, reason=reason), said)


def _done(request: Request, trail_id: UUID, do: Callable[[], object], said: str) -> HttpResponse:
    try:
        do()
    except (ConflictError, NotAllowedError) as error:
        return _page(request, trail_id, refused=str(error.message), status=error.status)
    messages.success(request, said)
    return redirect("console:erase", trail_id)


def _page(
    request: Request, trail_id: UUID, *, form: ReasonForm | None = None, refused: str = "", status: int = 200
) -> HttpResponse:
    trail = trail_of(request.user, trail_id)
    asked = asked_for(request.user, trail)
    context = {
        "trail": trail,
        "trail_id": trail_id,
        "reach": reach_of(request.user, trail),
        "why_not": refused or why_not_by(request.user, trail) or why_not_erasable(request.user, trail),
        "asked": asked,
        "is_own": asked is not None and asked.asked_by_id == request.user.pk,
        "others": who_could_agree(asked.asked_by if asked else request.user, trail),
        "form": form or ReasonForm(),
    }
    return render(request, "console/erase.html", context, status=status)
