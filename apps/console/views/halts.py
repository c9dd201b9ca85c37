"""Kill switches: two actions at most, without JavaScript."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.console import selectors
from apps.console.forms import EngageForm, LiftForm
from apps.core.gate import holds
from apps.core.http import Request
from apps.core.pages import Page, page_of
from apps.halts.models import Trip
from apps.halts.rules import DRILL_EVERY_DAYS, HaltScope
from apps.halts.selectors import halt_for, halts_for, is_drill_due_for, may_see_drills
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.selectors import decisions_taken_back_for, grants_taken_back_for, taken_back_by
from apps.workflows.selectors.stopped import counted_for, in_flight_of


def _page(request: Request, *, status: int = 200, form: EngageForm | None = None, lift: object = None) -> HttpResponse:
    may_engage = holds(request.user, "halts.engage_halt")
    stoppable = selectors.stoppable_for(request.user) if may_engage else []
    everything = next((row for row in stoppable if row.scope == HaltScope.EVERYTHING), None)
    engaged = selectors.standing_for(request.user)
    stopped = {(each.halt.scope, each.halt.target) for each in engaged}
    sent = (form.data.get("scope"), form.data.get("target", "")) if form else ()
    if form and sent in {(row.scope, row.target) for row in stoppable}:
        form.auto_id = "why-{}-{}-%s".format(*sent)
    past = list(halts_for(request.user).filter(lifted_at__isnull=False)[:20])
    context = {
        "engaged": engaged,
        "past": past,
        "taken_back": taken_back_by(request.user, [*(each.halt.pk for each in engaged), *(row.pk for row in past)]),
        "stoppable": [row for row in stoppable if row is not everything and (row.scope, row.target) not in stopped],
        "everything": everything if (HaltScope.EVERYTHING, "") not in stopped else None,
        "is_everything_stopped": (HaltScope.EVERYTHING, "") in stopped,
        "others_stop_everything": [] if everything else selectors.who_stops_everything_for(request.user),
        "may_engage": may_engage,
        "may_see_drills": may_see_drills(request.user),
        "is_drill_due": is_drill_due_for(request.user),
        "drill_days": DRILL_EVERY_DAYS,
        "form": form or EngageForm(),
        "lift": lift,
    }
    return render(request, "console/halts.html", context, status=status)


@require_GET
def halts(request: Request) -> HttpResponse:
    """What is stopped, what can be stopped, what was."""
    return _page(request)


@require_GET
def banners(request: Request) -> HttpResponse:
    """The red lines above every page, for pages that are open while a halt comes or goes."""
    return render(request, "core/_banners.html")


@require_GET
def halt(request: Request, halt_id: UUID) -> HttpResponse:
    """One halt: who, when, why, and what it took back of what one may see."""
    found = halt_for(request.user, halt_id)
    what = "decisions" if request.GET.get("what") == "decisions" else "grants"
    page: Page[Any]
    if what == "grants":
        page = page_of(request, grants_taken_back_for(request.user, found), order=("-id",))
    else:
        page = page_of(request, decisions_taken_back_for(request.user, found), order=("-id",))
    counts = taken_back_by(request.user, [found.pk])[found.pk]
    trip = Trip.objects.filter(halt=found).select_related("breaker").first()
    context = {
        "halt": found,
        "each": next((each for each in selectors.standing_for(request.user) if each.halt.pk == found.pk), None),
        "what": what,
        "page": page,
        "counts": counts,
        "trip": trip,
        "counted": counted_for(request.user, trip) if trip else [],
    }
    return render(request, "console/halt.html", {**context, "flight": in_flight_of(request.user, found)})


@require_POST
def engage(request: Request) -> HttpResponse:
    """Stop something: what a form names, or a button that says ``scope:target``; back to the page one came from."""
    asked_for = request.POST.copy()
    if what := str(asked_for.get("what", "")):
        asked_for["scope"], _colon, asked_for["target"] = what.partition(":")
    form = EngageForm(asked_for)
    if not form.is_valid():
        return _page(request, status=422, form=form)
    asked = form.cleaned_data
    unit = selectors.halt_target_for(request.user, asked["scope"], asked["target"])
    engage_halt(request.user, scope=asked["scope"], target=asked["target"], unit=unit, reason=asked["reason"])
    messages.success(request, _("Stopped. Nothing new starts there until somebody else lifts it."))
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None) and back.startswith("/")
    return redirect(back if is_ours else "console:halts")


@require_POST
def lift(request: Request, halt_id: UUID) -> HttpResponse:
    """Let something go on."""
    form = LiftForm(request.POST, auto_id=f"lift-{halt_id}-%s")
    if not form.is_valid():
        return _page(request, status=422, lift={"id": halt_id, "form": form})
    lift_halt(request.user, halt_id=halt_id, reason=form.cleaned_data["reason"])
    messages.success(request, _("Lifted."))
    return redirect("console:halts")
