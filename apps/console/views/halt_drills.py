"""Drills of halts: what they measured, and asking for one."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.console.forms import DrillForm
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import scope_for
from apps.core.http import Request, wants_fragment
from apps.core.pages import page_of
from apps.halts.rules import DRILL_EVERY_DAYS
from apps.halts.selectors import drills_for, is_drill_due_for, may_see_drills, may_start_drill
from apps.halts.services import start_drill


@require_http_methods(["GET", "POST"])
def drills(request: Request) -> HttpResponse:
    """Every drill, newest first; POST asks for one."""
    if not may_see_drills(request.user):
        raise NotAllowedError
    form = DrillForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _started(request, form):
        messages.success(request, _("A worker holds the drill now. It takes a few seconds."))
        return redirect("console:halt-drills")
    context = {
        "page": page_of(request, drills_for(request.user), order=("-id",)),
        "may_read_ledger": scope_for(request.user, "audit.view_entry").everywhere,
    }
    if wants_fragment(request):
        return render(request, "console/_halt_drills.html", context)
    context |= {
        "form": form,
        "may_start": may_start_drill(request.user),
        "is_due": is_drill_due_for(request.user),
        "days": DRILL_EVERY_DAYS,
    }
    return render(request, "console/halt_drills.html", context, status=422 if form.errors else 200)


def _started(request: Request, form: DrillForm) -> bool:
    try:
        start_drill(request.user, **form.cleaned_data)
    except InvalidError as error:
        for name, texts in error.errors.items():
            for text in texts:
                form.add_error(name, text)
    except ConflictError as error:
        form.add_error(None, str(error.message))
    return not form.errors
