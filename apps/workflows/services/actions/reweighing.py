"""Rules may have changed between verdict and claim: what became stricter goes back, what became milder stays."""

from dataclasses import replace
from typing import Any

from django.db import transaction

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import advance
from apps.connectors.services import refuse_changed
from apps.connectors.services.waiting import drop_effect
from apps.core.models import ClockTimestamp, User
from apps.core.rules import highest_risk
from apps.oversight.selectors import fallen_approval_of
from apps.oversight.services import open_action_escalation, revoke_grants
from apps.policies.rules import Effect, is_stricter, verdict_of
from apps.policies.selectors import release_number
from apps.policies.services import evaluate_action
from apps.workflows.selectors.places import place_of_action
from apps.workflows.services.actions.pipeline import Ask, weigh


@transaction.atomic
def return_if_stricter(actor: User, *, action: Action) -> bool:
    """Whether the rules in force demand more than the action's verdict did; it is then denied or asked again.

    Asked again it is too where those who approved may not decide it any more: their approval fell with their right.
    Call inside the claim, with the action locked. A milder release changes nothing: what was approved is what runs.
    """
    if release_number() == action.release_number:
        return _return_if_void(actor, action)
    place = place_of_action(actor, action)
    weighed = weigh(
        action.principal,
        Ask(
            operation=action.operation,
            parameters=action.parameters,
            reference=action.reference,
            confidence=action.confidence,
            on_behalf_of=action.on_behalf_of.username if action.on_behalf_of else "",
            execution=action.execution,
        ),
        place,
    )
    refuse_changed(action, weighed.permitted.operation)
    verdict = evaluate_action(actor, facts=replace(weighed.facts, action_id=action.pk))
    if not is_stricter(verdict, verdict_of(action.verdict)):
        return _return_if_void(actor, action)
    revoke_grants(actor, action=action, why="policy")
    stored: dict[str, Any] = {"verdict": verdict.as_json(), "release_number": verdict.release}
    told = {"effect": verdict.effect.value, "release": verdict.release, "why": "stricter"}
    if verdict.effect is Effect.DENY:
        drop_effect(actor, action=action, code="stricter_policy", message="")
        advance(actor, action, ActionState.DENIED, payload=told, finished_at=ClockTimestamp(), **stored)
        return True
    advance(actor, action, ActionState.PENDING_APPROVAL, payload=told, **stored)
    risk = highest_risk(weighed.facts.agent.risk, verdict.risk)
    open_action_escalation(
        actor,
        action=action,
        verdict=verdict,
        risk=risk,
        run_starter=place.started_by,
        run_unit_id=place.run_unit_id,
    )
    return True


def _return_if_void(actor: User, action: Action) -> bool:
    """Whether the approval behind the action's grant fell; other people are then asked, under the same verdict."""
    item = fallen_approval_of(actor, action)
    if item is None:
        return False
    revoke_grants(actor, action=action, why="not_eligible")
    advance(actor, action, ActionState.PENDING_APPROVAL, payload={"why": "not_eligible", "escalation": item.pk})
    open_action_escalation(
        actor,
        action=action,
        verdict=verdict_of(action.verdict),
        risk=item.risk,
        run_starter=item.run_starter,
        run_unit_id=item.run_unit_id,
        supersedes=action,
    )
    return True
