"""The tests that are stored with an agent, and what the plane would say to each of them now."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.agents.selectors import agent_for, trial_for
from apps.agents.services import add_case, remove_case
from apps.console.forms import CaseForm
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import holds
from apps.core.http import Request

MANAGE = "agents.manage_agent"


@require_http_methods(["GET", "POST"])
def cases(request: Request, slug: str) -> HttpResponse:
    """Each test with what it expects and gets; a POST stores another one."""
    if request.method == "GET":
        return _page(request, agent_for(request.user, slug), CaseForm())
    agent = agent_for(request.user, slug, perm=MANAGE)
    form = CaseForm(request.POST)
    if not form.is_valid():
        return _page(request, agent, form, status=422)
    try:
        add_case(request.user, agent=agent, **form.cleaned_data)
    except InvalidError as error:
        form.refuse(error.errors)
        return _page(request, agent, form, status=error.status)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, agent, form, status=error.status)
    messages.success(request, _("Stored. The gate asks it from now on."))
    return redirect("console:agent-tests", slug=slug)


def _page(request: Request, agent: Agent, form: CaseForm, *, status: int = 200) -> HttpResponse:
    context = {
        "agent": agent,
        "trial": trial_for(request.user, agent),
        "may_manage": holds(request.user, MANAGE, agent) and agent.state != AgentState.RETIRED,
        "form": form,
    }
    return render(request, "console/agent_cases.html", context, status=status)


@require_POST
def remove(request: Request, slug: str) -> HttpResponse:
    """Remove one, by its name."""
    agent = agent_for(request.user, slug, perm=MANAGE)
    remove_case(request.user, agent=agent, name=request.POST.get("name", ""))
    messages.success(request, _("Removed. The gate asks it no more."))
    return redirect("console:agent-tests", slug=slug)
