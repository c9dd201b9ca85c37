"""Breakers: what stops by itself, when, when it last did, and what waits for a second person."""

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console import selectors
from apps.console.forms import BreakerForm
from apps.console.views.answers import answered
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, require
from apps.core.http import Request
from apps.halts.models import Breaker, Trip
from apps.halts.rules import HaltScope
from apps.halts.selectors import (
    breaker_change_for,
    breaker_changes_of,
    breaker_for,
    breaker_releasers_of,
    breakers_for,
    may_release_breaker_change,
)
from apps.halts.services import (
    PROPOSED,
    decline_breaker_change,
    end_breaker,
    release_breaker_change,
    save_breaker,
)
from apps.policies.selectors import refuse_unknown_rule

ENGAGE, LIFT = "halts.engage_halt", "halts.lift_halt"
SHOWN = 20
STOPPED = (HaltScope.AGENT, HaltScope.CONNECTOR)
SAVED_WORDS = gettext_lazy("Saved. It counts from now on.")
PROPOSED_WORDS = gettext_lazy("Proposed. It might stop less, so nothing changes until somebody else has released it.")


@require_GET
def breakers(request: Request) -> HttpResponse:
    """Every breaker, and the last times that one opened."""
    if not (holds(request.user, ENGAGE) or holds(request.user, LIFT)):
        raise NotAllowedError
    rows = list(breakers_for(request.user))
    trips = Trip.objects.filter(breaker__in=rows).select_related("breaker", "halt__lifted_by").order_by("-id")[:SHOWN]
    changes = breaker_changes_of(rows)
    context = {
        "rows": [(row, changes[row.pk]) for row in rows],
        "trips": trips,
        "may_change": holds(request.user, LIFT),
    }
    return render(request, "console/breakers.html", context)


@require_http_methods(["GET", "POST"])
def new_breaker(request: Request) -> HttpResponse:
    """Make a breaker."""
    return _form(request, None)


@require_http_methods(["GET", "POST"])
def breaker(request: Request, slug: str) -> HttpResponse:
    """Change a breaker, or end it."""
    return _form(request, breaker_for(request.user, slug))


def _form(request: Request, found: Breaker | None) -> HttpResponse:
    require(request.user, LIFT)
    data = request.POST if request.method == "POST" else None
    form = BreakerForm(data, breaker=found, targets=selectors.nameable_for(request.user, STOPPED))
    if form.is_valid() and (outcome := _saved(request, form, found)):
        messages.success(request, PROPOSED_WORDS if outcome == PROPOSED else SAVED_WORDS)
        return redirect("console:breakers")
    return _page(request, found, form=form, status=422 if form.errors else 200)


def _page(
    request: Request, found: Breaker | None, *, form: BreakerForm | None = None, status: int = 200, **refused: object
) -> HttpResponse:
    form = form or BreakerForm(None, breaker=found)
    context: dict[str, object] = {"form": form, "breaker": found, **refused}
    if found:
        context["changes"] = [
            (change, may_release_breaker_change(request.user, change), breaker_releasers_of(request.user, change))
            for change in breaker_changes_of([found])[found.pk]
        ]
    return render(request, "console/breaker_form.html", context, status=status)


def _saved(request: Request, form: BreakerForm, found: Breaker | None) -> str:
    """What happened to it; empty where something does not fit, which the form says then."""
    said = form.cleaned_data
    slug = found.slug if found else said["slug"]
    if found is None and Breaker.objects.filter(slug=slug).exists():
        form.refuse({"slug": [_("There is one with this short name already.")]})
        return ""
    try:
        named = {"scope": said["scope"], "target": said["target"], "perm": LIFT}
        unit = selectors.halt_target_for(request.user, **named) if said["target"] else None
        refuse_unknown_rule(request.user, said["cause"])
        about = {"name": said["name"], "target": said["target"], "reason": said.get("reason", "")}
        return save_breaker(request.user, slug=slug, unit=unit, terms=form.terms(), **about)[1]
    except NotFoundError:
        form.refuse({"target": [_("There is none with this short name.")]})
    except InvalidError as error:
        form.refuse(error.errors)
    return ""


@require_POST
def end(request: Request, slug: str) -> HttpResponse:
    """Propose that a breaker opens no more."""
    found = breaker_for(request.user, slug)
    reason = request.POST.get("reason", "")
    said = str(PROPOSED_WORDS)
    return answered(
        request,
        "console:breaker",
        slug,
        lambda: end_breaker(request.user, breaker=found, reason=reason),
        said,
        show=partial(_page, request, found),
        at="id_end",
    )


@require_POST
def release(request: Request, slug: str, change_id: UUID) -> HttpResponse:
    """Let what somebody else proposed count."""
    found = breaker_change_for(request.user, slug, change_id)
    said = _("Released. It counts from now on.")
    show = partial(_page, request, breaker_for(request.user, slug))
    return answered(
        request,
        "console:breaker",
        slug,
        lambda: release_breaker_change(request.user, change=found),
        said,
        show=show,
    )


@require_POST
def decline(request: Request, slug: str, change_id: UUID) -> HttpResponse:
    """End what was proposed without a release."""
    found = breaker_change_for(request.user, slug, change_id)
    reason = request.POST.get("reason", "")
    said = _("Declined. The breaker stays as it is.")
    return answered(
        request,
        "console:breaker",
        slug,
        lambda: decline_breaker_change(request.user, change=found, reason=reason),
        said,
        show=partial(_page, request, breaker_for(request.user, slug)),
        at="id_decline-",
        of=found.pk,
    )
