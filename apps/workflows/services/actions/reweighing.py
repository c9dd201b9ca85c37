"""Rules and halts may have come between verdict and claim: what became stricter, or was stopped, goes back to people.

What became milder stays as it was approved.
"""

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
from apps.halts.selectors import halt_since
from apps.oversight.rules import GrantState, standing_problem
from apps.oversight.selectors import (
    fallen_approval_of,
    has_standing_fallen,
    released_for,
    was_approved_in_advance,
)
from apps.oversight.services import open_action_escalation, release_grant, revoke_grants
from apps.oversight.services.hiding import hide_by_rules
from apps.policies.rules import Effect, Verdict, is_stricter, joined, verdict_of
from apps.policies.selectors import release_number
from apps.policies.selectors.waivers import has_waiver_ended
from apps.policies.services import evaluate_action
from apps.workflows.selectors.places import Place, place_of_action
from apps.workflows.services.actions.ending import scopes_of
from apps.workflows.services.actions.pipeline import Ask, Weighed, weigh

HALTED, STRICTER, VOID = "halted", "stricter", "not_eligible"


@transaction.atomic
def return_if_stricter(actor: User, *, action: Action) -> bool:
    """Whether the rules in force demand more than the action's verdict did; it is then denied or asked again.

    Asked again it is too where a halt came since it was approved, where those who approved may not decide it any more
    (their approval fell with their right), and where a waiver that it used was ended. Call inside the claim, with the
    action locked. A milder release changes nothing: what was approved is what runs.
    """
    if return_if_stopped(actor, action=action):
        return True
    if release_number() == action.release_number and not has_waiver_ended(actor, action.verdict):
        return _return_if_void(actor, action)
    place, weighed, verdict = _judged_again(actor, action)
    if not is_stricter(verdict, verdict_of(action.verdict)) and not _is_asked_again(actor, action, weighed, verdict):
        return _return_if_void(actor, action)
    _return(actor, action, place, weighed, verdict, why=STRICTER)
    return True


def _is_asked_again(actor: User, action: Action, weighed: Weighed, verdict: Verdict) -> bool:
    """Whether what was approved in advance is what the rules in force want people to be asked about each time."""
    if verdict.effect is not Effect.REQUIRE_APPROVAL or not was_approved_in_advance(actor, action):
        return False
    risk = highest_risk(weighed.facts.agent.risk, verdict.risk)
    return bool(standing_problem(verdict, risk=risk, amount_minor=action.amount_minor))


@transaction.atomic
def return_if_stopped(actor: User, *, action: Action) -> bool:
    """Whether a halt took back what was released for an approved action, which people are then asked again.

    They are asked for what the rules in force and their old verdict demand together: what people approved never
    becomes what fewer approve, or what runs by itself. What rules alone had allowed gets a new grant where they still
    allow it.
    Call with the action locked, and no halt over it. Raises what ``weigh`` raises.
    """
    grant = released_for(actor, action)
    if grant is None or grant.state not in (GrantState.REVOKED, GrantState.LIVE):
        return False
    if grant.state == GrantState.LIVE:  # a halt may have come, and the ledger not been followed yet
        if (halt := halt_since(grant.created_at, **scopes_of(action))) is None:
            return False
        revoke_grants(actor, action=action, why=HALTED, halt=halt)
    place, weighed, verdict = _judged_again(actor, action)
    if verdict.effect is Effect.ALLOW and verdict_of(action.verdict).effect is Effect.ALLOW:
        release_grant(actor, action=action)
        return False
    _return(actor, action, place, weighed, verdict, why=HALTED)
    return True


def _judged_again(actor: User, action: Action) -> tuple[Place, Weighed, Verdict]:
    """What the rules in force say of an action that was judged before. Raises what ``weigh`` raises."""
    place = place_of_action(actor, action)
    if action.principal.is_agent:
        action.principal.agent.environment = action.environment
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
    return place, weighed, evaluate_action(actor, facts=replace(weighed.facts, action_id=action.pk))


def _return(actor: User, action: Action, place: Place, weighed: Weighed, verdict: Verdict, *, why: str) -> None:
    """The action is denied, or waits for people again in an item that follows the one that was decided.

    What was demanded of people before is demanded again, with what ``verdict`` adds.
    """
    revoke_grants(actor, action=action, why=why)
    if verdict.effect is not Effect.DENY:
        verdict = joined(verdict, verdict_of(action.verdict))
    hide_by_rules(action, weighed.permitted, verdict)
    stored: dict[str, Any] = {"verdict": verdict.as_json(), "release_number": verdict.release}
    told = {"effect": verdict.effect.value, "release": verdict.release, "why": why}
    if verdict.effect is Effect.DENY:
        drop_effect(actor, action=action, code="stricter_policy", message="")
        advance(actor, action, ActionState.DENIED, payload=told, finished_at=ClockTimestamp(), **stored)
        return
    advance(actor, action, ActionState.PENDING_APPROVAL, payload=told, **stored)
    open_action_escalation(
        actor,
        action=action,
        verdict=verdict,
        risk=highest_risk(weighed.facts.agent.risk, verdict.risk),
        run_starter=place.started_by,
        run_unit_id=place.run_unit_id,
        supersedes=action,
    )


def _return_if_void(actor: User, action: Action) -> bool:
    """Whether the approval behind the action's grant fell; other people are then asked, under the same verdict."""
    if action.verdict.get("effect") == Effect.ALLOW:
        return False  # nobody approved it
    if has_standing_fallen(actor, action):
        place, weighed, verdict = _judged_again(actor, action)
        _return(actor, action, place, weighed, verdict, why=VOID)
        return True
    item = fallen_approval_of(actor, action)
    if item is None:
        return False
    revoke_grants(actor, action=action, why=VOID)
    advance(actor, action, ActionState.PENDING_APPROVAL, payload={"why": VOID, "escalation": item.pk})
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
