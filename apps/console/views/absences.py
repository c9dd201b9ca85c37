"""Being away: on one's own page, and by an admin on a person's page."""

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.access.selectors import absence_for, absences_for, delegates_for, person_for
from apps.access.services import end_absence, plan_absence
from apps.console.forms import AbsenceForm
from apps.core.errors import InvalidError
from apps.core.http import Request
from apps.core.models import User

PLACES = {"starts_at": "first", "ends_at": "last", "delegate": "delegate"}


@require_http_methods(["GET", "POST"])
def own(request: Request) -> HttpResponse:
    """When one is away, and who decides meanwhile."""
    if request.method == "GET":
        return render(request, "console/away.html", absences_context(request, request.user))
    form = planned(request, request.user)
    if form is None:
        return redirect("console:own-absences")
    return render(request, "console/away.html", absences_context(request, request.user, form=form), status=422)


def absences_context(request: Request, user: User, *, form: AbsenceForm | None = None) -> dict[str, Any]:
    """What ``_absences.html`` shows of a person."""
    form = form or AbsenceForm(delegates=delegates_for(user))
    return {"absences": absences_for(request.user, user), "absence_form": form, "absent": user}


def planned(request: Request, user: User) -> AbsenceForm | None:
    """Plan what was typed; None where that went well, else the form with what is wrong."""
    form = AbsenceForm(request.POST, delegates=delegates_for(user))
    if not form.is_valid():
        return form
    said = form.cleaned_data
    try:
        plan_absence(
            request.user,
            user=user,
            starts_at=datetime.combine(said["first"], time.min, tzinfo=UTC),
            ends_at=said["last"],
            delegate=said["delegate"],
        )
    except InvalidError as error:
        for path, texts in error.errors.items():
            for text in texts:
                form.add_error(PLACES.get(path), text)
        return form
    messages.success(request, _("Noted. It begins and ends by itself."))
    return None


@require_POST
def end(request: Request, absence_id: UUID) -> HttpResponse:
    """Back early, or not away at all."""
    absence = absence_for(request.user, absence_id)
    end_absence(request.user, absence=absence)
    messages.success(request, _("Ended."))
    if absence.user_id == request.user.pk:
        return redirect("console:own-absences")
    return redirect("console:person", username=person_for(request.user, absence.user.username).username)
