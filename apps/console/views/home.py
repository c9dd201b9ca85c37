"""Where everybody begins, what an admin looks at first, help, settings, search."""

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from apps.console import selectors
from apps.console.forms import HoldForm
from apps.core.errors import NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request, wants_fragment
from apps.halts.selectors import waiting_breaker_changes_for
from apps.oversight.selectors import own_hold_for
from apps.oversight.services import set_own_hold
from apps.policies.selectors import lowered_for
from apps.policies.selectors.budgets import waiting_changes_for
from apps.policies.selectors.waivers import waiting_waivers_for

PALETTE = 12
MANAGE = "access.manage_access"


@require_GET
def home(request: Request) -> HttpResponse:
    """Send everybody to where their work begins."""
    return redirect(selectors.home_of(request.user))


@login_not_required
@require_GET
def back_office_door(request: Request) -> HttpResponse:
    """Django's own pages know one door, the house's: strangers go there, people who are no staff are told so."""
    inside = reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect(f"{reverse('account_login')}?{urlencode({'next': inside})}")
    if not request.user.is_staff:
        raise NotAllowedError(_("Only staff look at these tables."))
    return redirect(inside)


@require_GET
def control(request: Request) -> HttpResponse:
    """The health list: what needs an admin's attention now."""
    if not any(holds(request.user, perm) for perm in (MANAGE, "agents.manage_agent")):
        raise NotAllowedError
    template = "console/_health.html" if wants_fragment(request) else "console/control.html"
    context = {
        "findings": selectors.health_for(request.user),
        "lowered": lowered_for(request.user),
        "waiting_waivers": waiting_waivers_for(request.user),
        "waiting_changes": waiting_changes_for(request.user),
        "waiting_breakers": waiting_breaker_changes_for(request.user).count(),
        "manages_access": holds(request.user, MANAGE),
    }
    return render(request, template, context)


@require_GET
def help_page(request: Request) -> HttpResponse:
    """How to work here: the keys, what the reader may do and where."""
    return render(request, "console/help.html", {"rights": selectors.rights_held_by(request.user)})


@require_http_methods(["GET", "POST"])
def settings_page(request: Request) -> HttpResponse:
    """A person's own account, how pages behave for them, and how long their decisions are held."""
    context: dict[str, object] = {"manages_access": holds(request.user, MANAGE)}
    if request.method == "GET":
        context["hold_form"] = HoldForm(initial={"hold_s": own_hold_for(request.user)})
        return render(request, "console/settings.html", context)
    form = HoldForm(request.POST)
    if not form.is_valid():
        return render(request, "console/settings.html", {**context, "hold_form": form}, status=422)
    set_own_hold(request.user, hold_s=form.cleaned_data["hold_s"])
    messages.success(request, _("Saved."))
    return redirect("console:settings")


@require_GET
def search(request: Request) -> HttpResponse:
    """Jump to what a text names: an id, an agent, a workflow, an operation."""
    text = request.GET.get("q", "").strip()[:200]
    try:
        wanted = UUID(text)
    except ValueError:
        wanted = None
    if request.headers.get("HX-Target") == "palette-found":
        found = [*selectors.places_for(request.user, text), *selectors.found_for(request.user, text, wanted)]
        return render(request, "console/_options.html", {"q": text, "found": found[:PALETTE]})
    found = selectors.found_for(request.user, text, wanted)
    if len(found) == 1 and not wants_fragment(request):
        return redirect(found[0].url)
    template = "console/_found.html" if wants_fragment(request) else "console/search.html"
    return render(request, template, {"q": text, "found": found})
