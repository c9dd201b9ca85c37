"""Discovered agents: names under which agents send and that belong to none that is known; keys that are dead."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.agents.selectors import refused_keys_for
from apps.console.forms import DiscoveredAct, DiscoveredForm
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds, visible
from apps.core.http import Request
from apps.core.models import User
from apps.core.pages import page_of
from apps.telemetry.models import DiscoveredAgent
from apps.telemetry.rules.discovered import MOST_OPEN_OF_SENDER, DiscoveredState
from apps.telemetry.selectors import decidable_for, discovered_for, one_discovered_for
from apps.telemetry.services import adopt_as_new, adopt_discovered, block_discovered, ignore_discovered

MANAGE = "agents.manage_agent"
ORDER = ("-last_at", "-id")
SHOWN_KEYS = 20


@require_GET
def discovered(request: Request) -> HttpResponse:
    """What is discovered of the agents that one may see or owns, open ones unless others are asked for."""
    if not (holds(request.user, "agents.view_agent") or discovered_for(request.user).exists()):
        raise NotAllowedError
    agent, state = request.GET.get("agent", "").strip(), request.GET.get("state", DiscoveredState.OPEN)
    state = state if state in list(DiscoveredState) else ""
    context = {
        "page": page_of(request, discovered_for(request.user, agent=agent, state=state), order=ORDER),
        "agent": agent,
        "state": state,
        "states": list(DiscoveredState),
        "keys": refused_keys_for(request.user)[:SHOWN_KEYS],
        "most": MOST_OPEN_OF_SENDER,
    }
    return render(request, "console/discovered.html", context)


@require_http_methods(["GET", "POST"])
def one(request: Request, discovered_id: UUID) -> HttpResponse:
    """One of them, and what is done about it."""
    found = one_discovered_for(request.user, discovered_id)
    agents = visible(request.user, MANAGE, Agent.objects.exclude(state=AgentState.RETIRED).order_by("slug"))
    if request.method == "GET":
        begun = {
            "seen": found.state,
            "slug": slugify(found.service)[:63],
            "name": found.service,
            "owner": request.user.username,
        }
        return _page(request, found, DiscoveredForm(initial=begun, agents=agents))
    form = DiscoveredForm(request.POST, agents=agents)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    try:
        messages.success(request, _decided(request.user, found, form.cleaned_data))
    except InvalidError as error:
        form.refuse(error.errors)
        return _page(request, found, form, status=422)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, one_discovered_for(request.user, discovered_id), form, status=error.status)
    return redirect("console:discovered")


def _page(request: Request, found: DiscoveredAgent, form: DiscoveredForm, *, status: int = 200) -> HttpResponse:
    may = found.state != DiscoveredState.ADOPTED and found.sender_id in decidable_for(request.user)
    return render(request, "console/discovered_one.html", {"found": found, "form": form, "may": may}, status=status)


def _decided(actor: User, found: DiscoveredAgent, said: dict[str, Any]) -> str:
    about: dict[str, Any] = {"found": found, "seen": said["seen"], "reason": said["reason"]}
    match DiscoveredAct(said["act"]):
        case DiscoveredAct.BELONGS:
            adopt_discovered(actor, agent=said["agent"], **about)
            return _("Adopted. Under this name nothing of its sender is unknown any more.")
        case DiscoveredAct.NEW:
            made = adopt_as_new(actor, slug=said["slug"], name=said["name"], owner=said["owner"], **about)
            return _("%s is a draft now. It has no key: give it one of its own.") % made
        case DiscoveredAct.IGNORE:
            ignore_discovered(actor, until=said["until"], **about)
            return _("Let be. What comes under it is kept and counted; afterwards it is open again.")
        case DiscoveredAct.BLOCK:
            block_discovered(actor, **about)
            return _("Blocked. From its next request on nothing is taken under this name.")
