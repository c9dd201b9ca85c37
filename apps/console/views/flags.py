"""Flags: agents that keep asking for what people rejected, and saying why one says nothing any more."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.agents.rules import FlagState
from apps.agents.selectors import dismissible_for, flag_for, flags_for
from apps.agents.services import dismiss_flag
from apps.console.forms import ReasonForm
from apps.core.errors import NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request
from apps.core.pages import page_of
from apps.policies.selectors.health import actions_seen_of, rule_flags_for, rule_named_for

ORDER = ("-flagged_at", "-id")
MARKS = 50
"""How many lines of what rules flagged are shown; the API has them all."""


@require_GET
def flags(request: Request) -> HttpResponse:
    """Every flag of the agents that one may see or owns; filters are in the address."""
    return _page(request)


def _page(
    request: Request, *, form: ReasonForm | None = None, of: UUID | None = None, status: int = 200
) -> HttpResponse:
    agent, state = request.GET.get("agent", "").strip(), request.GET.get("state", FlagState.OPEN)
    state = state if state in list(FlagState) else ""
    rows = flags_for(request.user, agent=agent, state=state)
    by_rules = rule_flags_for(request.user)
    if not (holds(request.user, "agents.view_agent") or flags_for(request.user).exists() or by_rules.exists()):
        raise NotAllowedError
    marks = list(by_rules.filter(agent__slug=agent)[:MARKS]) if agent else list(by_rules[:MARKS])
    context = {
        "page": page_of(request, rows, order=ORDER),
        "dismissible": dismissible_for(request.user),
        "agent": agent,
        "state": state,
        "states": list(FlagState),
        "form": form or ReasonForm(),
        "of": of,
        "marks": [(mark, rule_named_for(request.user, mark)) for mark in marks],
        "seen": actions_seen_of(request.user, marks),
    }
    return render(request, "console/flags.html", context, status=status)


@require_POST
def dismiss(request: Request, flag_id: UUID) -> HttpResponse:
    """Dismiss one, with a reason."""
    flag = flag_for(request.user, flag_id)
    form = ReasonForm(request.POST, auto_id=f"dismiss-{flag.pk}-%s")
    if not form.is_valid():
        return _page(request, form=form, of=flag.pk, status=422)
    dismiss_flag(request.user, flag=flag, reason=form.cleaned_data["reason"])
    messages.success(request, _("Dismissed. If it asks as often again, it is flagged again."))
    if "agent" in request.POST:  # the form on the agent's own page
        return redirect("console:agent", slug=flag.agent.slug)
    return redirect("console:flags")
