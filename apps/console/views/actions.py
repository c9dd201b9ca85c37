"""Everything that agents attempted, and one attempt from request to outcome."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.agents.models import Action
from apps.agents.rules import ActionState, Environment
from apps.agents.selectors import action_for, actions_for, hidden_of, taken_back_by
from apps.audit.selectors import trail_for
from apps.connectors.selectors import effect_for
from apps.connectors.selectors.exclusive import holder_for
from apps.connectors.services import way_back_of
from apps.core.errors import NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request, wants_fragment
from apps.core.keysets import behind
from apps.core.reasons import failure_of
from apps.kpis.selectors import spans_of_action_for
from apps.oversight.selectors import drill_of_action_for, escalation_for, grant_of_action, items_of_action
from apps.oversight.selectors.sheets import edit_of_action, ordered_parameters_for
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.selectors import case_homes_for, matched_rules_for, ways_out_for, would_have_for
from apps.workflows.selectors.veils import action_shown_to, veil_before
from apps.workflows.services.actions import may_compensate

PAGE = 50
FILTERS = {"state": "state", "agent": "agent__slug", "operation": "operation", "workflow": "workflow", "run": "run_id"}


@require_GET
def actions(request: Request) -> HttpResponse:
    """Actions, newest first; filters are in the address."""
    if not holds(request.user, "agents.view_agent"):
        raise NotAllowedError
    asked = {name: request.GET.get(name, "").strip() for name in FILTERS}
    rows = actions_for(request.user)
    for name, value in asked.items():
        if value:
            wanted = _uuid(value) if name == "run" else value
            rows = rows.filter(**{FILTERS[name]: wanted}) if wanted else rows.none()
    if before := _uuid(request.GET.get("before", "")):
        rows = rows.filter(behind(("-id",), [before]))
    found = list(rows[: PAGE + 1])
    context = {
        "actions": found[:PAGE],
        "following": found[PAGE - 1].pk if len(found) > PAGE else None,
        "states": list(ActionState),
        "asked": asked,
        "filtered": any(asked.values()),
    }
    template = "console/_actions.html" if wants_fragment(request) else "console/actions.html"
    return render(request, template, context)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _is_compensable(request: Request, found: Action) -> bool:
    if found.state != ActionState.SUCCEEDED or not may_compensate(request.user, found):
        return False
    return way_back_of(found) is not None


def _can_be_test(found: Action) -> bool:
    return found.erased_at is None and found.state not in {ActionState.PROPOSED, ActionState.PENDING_APPROVAL}


def _trace(request: Request, found: Action) -> dict[str, Any]:
    trace = spans_of_action_for(request.user, found)
    return {"trace": trace, "trace_rows": [(row, "") for row in trace.rows]}


@require_GET
def action(request: Request, action_id: UUID) -> HttpResponse:
    """One action: what was asked, what policy said, who decided, what came of it, and the ledger's lines about it."""
    drill = drill_of_action_for(request.user, action_id)
    found = drill.stand_in() if drill else action_for(request.user, action_id)
    effect, shown = effect_for(request.user, found), action_shown_to(request.user, found)
    hide = hidden_of(request.user, found)
    if effect and effect.read_back:
        effect.read_back = veil_before(request.user, found).over(effect.read_back)
    parameters, amounts = ordered_parameters_for(request.user, shown)
    context = {
        "action": shown,
        "parameters": parameters,
        "amounts": amounts,
        "edit": None if drill else edit_of_action(request.user, found),
        "failure": failure_of(shown.error),
        "hidden": sorted(hide),
        "rules": matched_rules_for(request.user, shown.verdict),
        "quiet": [line for line in shown.verdict.get("rules", ()) if line["rule"] == CONFIDENTIAL],
        "would_have": would_have_for(request.user, shown.verdict),
        "items": [escalation_for(request.user, drill.item_id)] if drill else items_of_action(request.user, found),
        "grant": grant_of_action(request.user, found),
        "effect": effect,
        "holder": holder_for(request.user, found) if effect and effect.in_line else None,
        "is_test": shown.environment == Environment.TEST,
        **({} if drill else _trace(request, found)),
        "trail": [] if drill else trail_for(request.user, found.trail),
        "taken_back_by": taken_back_by(request.user, found),
        "compensable": not drill and _is_compensable(request, found),
        "may_erase": holds(request.user, "audit.erase_payload"),
        "case_homes": [] if drill or not _can_be_test(found) else case_homes_for(request.user, found.verdict),
        "ways_out": ways_out_for(request.user, shown.verdict, currency=found.currency),
    }
    template = "console/_action.html" if wants_fragment(request) else "console/action.html"
    return render(request, template, context)
