"""Breakers: what stops by itself, when, and when it last did."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console import selectors
from apps.console.forms import BreakerForm
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, require
from apps.core.http import Request
from apps.halts.models import Breaker, Trip
from apps.halts.selectors import breaker_for, breakers_for
from apps.halts.services import end_breaker, save_breaker
from apps.policies.selectors import refuse_unknown_rule

ENGAGE, LIFT = "halts.engage_halt", "halts.lift_halt"
SHOWN = 20


@require_GET
def breakers(request: Request) -> HttpResponse:
    """Every breaker, and the last times that one opened."""
    if not (holds(request.user, ENGAGE) or holds(request.user, LIFT)):
        raise NotAllowedError
    rows = list(breakers_for(request.user))
    trips = Trip.objects.filter(breaker__in=rows).select_related("breaker", "halt__lifted_by").order_by("-id")[:SHOWN]
    context = {"rows": rows, "trips": trips, "may_change": holds(request.user, LIFT)}
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
    form = BreakerForm(request.POST if request.method == "POST" else None, breaker=found)
    if form.is_valid() and _saved(request, form, found):
        messages.success(request, _("Saved. It counts from now on."))
        return redirect("console:breakers")
    context = {"form": form, "breaker": found}
    return render(request, "console/breaker_form.html", context, status=422 if form.errors else 200)


def _saved(request: Request, form: BreakerForm, found: Breaker | None) -> bool:
    said = form.cleaned_data
    slug = found.slug if found else said["slug"]
    if found is None and Breaker.objects.filter(slug=slug).exists():
        form.refuse({"slug": [_("There is one with this short name already.")]})
        return False
    try:
        unit = selectors.halt_target_for(request.user, said["scope"], said["target"]) if said["target"] else None
        refuse_unknown_rule(request.user, said["cause"])
        save_breaker(request.user, slug=slug, name=said["name"], target=said["target"], unit=unit, terms=form.terms())
    except NotFoundError:
        form.refuse({"target": [_("There is none with this short name.")]})
    except InvalidError as error:
        form.refuse(error.errors)
    return not form.errors


@require_POST
def end(request: Request, slug: str) -> HttpResponse:
    """A breaker opens no more."""
    end_breaker(request.user, breaker=breaker_for(request.user, slug))
    messages.success(request, _("Ended. What it stopped stays stopped until somebody lifts it."))
    return redirect("console:breakers")
