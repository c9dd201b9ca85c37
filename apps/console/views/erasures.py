"""Erasing a trail: first what would go and what stays, then a reason, then one button."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.console.forms import ReasonForm
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.http import Request
from apps.workflows.selectors.erasing import reach_of, trail_of, why_not_by, why_not_erasable
from apps.workflows.services import erase_trail


@require_http_methods(["GET", "POST"])
def erase(request: Request, trail_id: UUID) -> HttpResponse:
    """What an erasure reaches; a POST with a reason erases it."""
    form, status, refused = ReasonForm(), 200, ""
    trail = trail_of(request.user, trail_id)
    if request.method == "POST":
        form = ReasonForm(request.POST)
        if form.is_valid():
            try:
                erase_trail(request.user, trail_id=trail_id, reason=form.cleaned_data["reason"])
            except (ConflictError, NotAllowedError) as error:
                refused, status = str(error.message), error.status
            else:
                messages.success(
                    request, _("Erased. What was decided, by whom and when stays, and so does every proof.")
                )
                return redirect("console:erase", trail_id)
        else:
            status = 422
    context = {
        "trail": trail,
        "trail_id": trail_id,
        "reach": reach_of(request.user, trail),
        "why_not": refused or why_not_by(request.user, trail) or why_not_erasable(request.user, trail),
        "form": form,
    }
    return render(request, "console/erase.html", context, status=status)
