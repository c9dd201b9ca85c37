"""Taking an agent to another unit: first what that leaves, then who else agrees."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.access.selectors import left_by_moving
from apps.agents.models import Agent
from apps.agents.rules import ChangeKind
from apps.agents.selectors import agent_for
from apps.agents.services import ask_change
from apps.console.forms import UnitMoveForm
from apps.console.selectors.moves import units_to_go_to
from apps.core.errors import ConflictError, InvalidError
from apps.core.http import Request

MANAGE = "agents.manage_agent"


@require_http_methods(["GET", "POST"])
def move_unit(request: Request, slug: str) -> HttpResponse:
    """Say to which unit; ``look`` tells what that leaves and changes nothing, a post moves it or asks for it."""
    agent = agent_for(request.user, slug, perm=MANAGE)
    units = units_to_go_to(request.user, agent)
    if request.method == "GET":
        return _page(request, agent, UnitMoveForm(units=units))
    if "look" in request.POST:
        kept = {name: request.POST.get(name, "") for name in ("to", "reason")}
        return _page(request, agent, UnitMoveForm(units=units, initial=kept))
    form = UnitMoveForm(request.POST, units=units)
    if not form.is_valid():
        return _page(request, agent, form, status=422)
    try:
        change = ask_change(request.user, agent=agent, kind=ChangeKind.UNIT, **form.cleaned_data)
    except InvalidError as error:
        for text in (text for texts in error.errors.values() for text in texts):
            form.add_error(None, text)
        return _page(request, agent, form, status=error.status)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, agent, form, status=error.status)
    if change:
        messages.success(request, _("Asked for. Nothing changes before somebody else agrees, within seven days."))
    else:
        messages.success(request, _("Moved. It acts on the agent's next request."))
    return redirect("console:agent", slug=slug)


def _page(request: Request, agent: Agent, form: UnitMoveForm, *, status: int = 200) -> HttpResponse:
    units = units_to_go_to(request.user, agent)
    to = units.filter(slug=form["to"].value() or "").first()
    left = left_by_moving(request.user, before=agent.unit, after=to, agent=agent.slug) if to else None
    context = {"agent": agent, "form": form, "to": to, "left": left, "leaves": left.as_json() if left else {}}
    return render(request, "console/agent_move.html", context, status=status)
