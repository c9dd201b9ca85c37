"""One version of an agent: what it says, what it changes, and making it the current one."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.agents.rules import NEVER_CURRENT, TWO_PEOPLE, AgentState, ChangeKind
from apps.agents.selectors import agent_for, described, open_changes_for, version_for, versions_for, who_could_agree
from apps.agents.services import ask_change
from apps.console import selectors
from apps.console.forms import PromoteForm
from apps.core.errors import ConflictError
from apps.core.gate import holds
from apps.core.http import Request

MANAGE = "agents.manage_agent"


@require_http_methods(["GET", "POST"])
def version(request: Request, slug: str, number: int) -> HttpResponse:
    """What a version changes of the current one, or of the one that ``against`` names; a POST promotes it."""
    if request.method == "GET":
        return _page(request, slug, number, PromoteForm())
    agent = agent_for(request.user, slug, perm=MANAGE)
    version_for(request.user, agent, str(number))
    form = PromoteForm(request.POST)
    if not form.is_valid():
        return _page(request, slug, number, form, status=422)
    try:
        change = ask_change(request.user, agent=agent, kind=ChangeKind.VERSION, to=str(number), **form.cleaned_data)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, slug, number, form, status=error.status)
    if change:
        messages.success(request, _("Asked for. Nothing changes before somebody else agrees, within seven days."))
    else:
        messages.success(request, _("Version %s is the current one from its next request on.") % number)
    return redirect("console:agent", slug=slug)


def _page(request: Request, slug: str, number: int, form: PromoteForm, *, status: int = 200) -> HttpResponse:
    agent = agent_for(request.user, slug)
    shown = version_for(request.user, agent, str(number))
    named = request.GET.get("against", "")
    against = version_for(request.user, agent, named) if named else agent.version
    is_current = agent.version_id == shown.pk
    is_new = shown.state in NEVER_CURRENT
    waiting = open_changes_for(request.user, agent).filter(kind=ChangeKind.VERSION)
    context: dict[str, Any] = {
        "agent": agent,
        "version": shown,
        "against": against if against and against.pk != shown.pk else None,
        "before": described(against) if against and against.pk != shown.pk else None,
        "after": described(shown),
        "versions": versions_for(request.user, agent).exclude(pk=shown.pk),
        "is_current": is_current,
        "is_new": is_new,
        "takes_two": is_new and agent.risk in TWO_PEOPLE,
        "is_pilot_again": is_new and agent.risk in TWO_PEOPLE and agent.state == AgentState.ACTIVE,
        "may_promote": holds(request.user, MANAGE, agent) and not is_current and agent.state != AgentState.RETIRED,
        "may_manage": holds(request.user, MANAGE, agent),
        "asked": [(change, who_could_agree(request.user, change)) for change in waiting],
        "in_flight": selectors.in_flight_for(request.user, agent),
        "form": form,
    }
    return render(request, "console/agent_version.html", context, status=status)
