"""Saying anew what an agent is, and writing its next version."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.agents.models import Agent
from apps.agents.rules import TWO_PEOPLE, AgentState
from apps.agents.selectors import agent_for, described
from apps.agents.services import describe_agent, save_version
from apps.console.forms import AgentForm, VersionForm
from apps.console.selectors.agents import owners_for
from apps.core.errors import ConflictError, InvalidError
from apps.core.http import Request

MANAGE = "agents.manage_agent"


@require_http_methods(["GET", "POST"])
def edit(request: Request, slug: str) -> HttpResponse:
    """Owner, purpose, known limits, risk. What takes two people is asked for, and the rest is saved."""
    agent = agent_for(request.user, slug, perm=MANAGE)
    if request.method == "GET":
        return _edit_page(request, agent, AgentForm.of(agent))
    form = AgentForm(request.POST)
    if not form.is_valid():
        return _edit_page(request, agent, form, status=422)
    try:
        change = describe_agent(request.user, agent=agent, **form.cleaned_data)
    except InvalidError as error:
        form.refuse(error.errors)
        return _edit_page(request, agent, form, status=error.status)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _edit_page(request, agent, form, status=error.status)
    if change:
        messages.success(request, _("Saved. Its risk stays until somebody else agrees, within seven days."))
    else:
        messages.success(request, _("Saved. It acts on the agent's next request."))
    return redirect("console:agent", slug=slug)


def _edit_page(request: Request, agent: Agent, form: AgentForm, *, status: int = 200) -> HttpResponse:
    form.suggest_owners(owners_for(request.user))
    context: dict[str, Any] = {"agent": agent, "form": form, "is_draft": agent.state == AgentState.DRAFT}
    context["is_over"] = agent.state == AgentState.RETIRED
    return render(request, "console/agent_edit.html", context, status=status)


@require_http_methods(["GET", "POST"])
def new_version(request: Request, slug: str) -> HttpResponse:
    """Write the next version as a draft, beside the current one; ``look`` shows the difference and keeps nothing."""
    agent = agent_for(request.user, slug, perm=MANAGE)
    if request.method == "GET":
        return _version_page(request, agent, VersionForm.of(agent.version))
    form = VersionForm(request.POST)
    if not form.is_valid():
        return _version_page(request, agent, form, status=422)
    said = form.cleaned_data
    after = {name: said[name] for name in ("model", "provider", "instructions", "config")}
    if "look" in request.POST:
        return _version_page(request, agent, form, after=after)
    try:
        version, outcome = save_version(request.user, agent=agent, activate=False, **said)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _version_page(request, agent, form, status=error.status)
    if outcome == "unchanged":
        form.add_error(None, _("The current version says the same already: nothing was made."))
        return _version_page(request, agent, form, status=409)
    messages.success(
        request, _("Version %d is a draft. Nothing acts as it before somebody promotes it.") % version.number
    )
    return redirect("console:agent-version", slug=slug, number=version.number)


def _version_page(request: Request, agent: Agent, form: VersionForm, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "agent": agent,
        "form": form,
        "before": described(agent.version) if agent.version else None,
        "takes_two": agent.risk in TWO_PEOPLE,
        "is_over": agent.state == AgentState.RETIRED,
        **more,
    }
    return render(request, "console/new_version.html", context, status=status)
