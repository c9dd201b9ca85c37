"""What becomes of an action whose key another holds when it should begin, but that it waits."""

from dataclasses import replace

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.services import cancel_action
from apps.audit.services import advance
from apps.connectors.models import Operation
from apps.connectors.rules import OnConflict
from apps.connectors.selectors.exclusive import is_outdated
from apps.connectors.services.waiting import drop_effect
from apps.core.models import ClockTimestamp, User
from apps.core.rules import highest_risk
from apps.oversight.services import open_action_escalation, revoke_grants
from apps.oversight.services.unknowns import queue_of
from apps.policies.rules import Effect, Verdict, verdict_of
from apps.policies.rules.obligations import NOTHING_STANDING, Obligations
from apps.policies.rules.quorums import Group, joined_groups
from apps.policies.rules.weighing import Reason
from apps.workflows.selectors.places import place_of_action

SUPERSEDED = "superseded"


def cancel_if_outdated(plane: User, action: Action, operation: Operation) -> bool:
    """Whether a locked action that has not begun is cancelled, because the same was asked for again since."""
    if operation.on_conflict != OnConflict.SUPERSEDE or not _may_give_way(action) or not is_outdated(action):
        return False
    revoke_grants(plane, action=action, why=SUPERSEDED)
    drop_effect(plane, action=action, code=SUPERSEDED, message="")
    cancel_action(plane, action=action, reason=SUPERSEDED)
    return True


def meet_conflict(plane: User, action: Action, operation: Operation) -> bool:
    """Whether a locked action whose key is held was denied or went before people; else it waits for its turn.

    People are asked once: what they approve waits. Where nobody can be asked it is denied.
    """
    before = verdict_of(action.verdict)
    if not _may_give_way(action) or before.reason == Reason.KEY_HELD:
        return False
    if operation.on_conflict == OnConflict.ASK:
        _return(plane, action, _asking(action, before))
        return True
    if operation.on_conflict == OnConflict.DENY:
        _return(plane, action, _denying(before))
        return True
    return False


def _may_give_way(action: Action) -> bool:
    """Whether it has not begun, and takes nothing back: what was done is undone, however long that waits."""
    return action.state == ActionState.APPROVED and action.purpose == "act"


def _denying(before: Verdict) -> Verdict:
    return replace(before, effect=Effect.DENY, reason=Reason.KEY_HELD, groups=(), waivers=())


def _asking(action: Action, before: Verdict) -> Verdict:
    """Who decides: those who were asked before; else the queue that would be asked what became of it."""
    queue = None if before.groups else queue_of(action)
    if queue is None and not before.groups:
        return _denying(before)
    added = [Group(queue.slug, 1, rules=(f"operation/{action.operation}",))] if queue else []
    return replace(
        before,
        effect=Effect.REQUIRE_APPROVAL,
        reason=Reason.KEY_HELD,
        groups=joined_groups((*before.groups, *added)),
        obligations=before.obligations | Obligations(standing=NOTHING_STANDING),
    )


def _return(plane: User, action: Action, verdict: Verdict) -> None:
    revoke_grants(plane, action=action, why=Reason.KEY_HELD)
    told = {"effect": verdict.effect.value, "release": verdict.release, "why": Reason.KEY_HELD.value}
    stored = verdict.as_json()
    if verdict.effect is Effect.DENY:
        drop_effect(plane, action=action, code=Reason.KEY_HELD, message="")
        advance(plane, action, ActionState.DENIED, payload=told, finished_at=ClockTimestamp(), verdict=stored)
        return
    place = place_of_action(plane, action)
    advance(plane, action, ActionState.PENDING_APPROVAL, payload=told, verdict=stored)
    open_action_escalation(
        plane,
        action=action,
        verdict=verdict,
        risk=highest_risk(action.agent.risk if action.agent else place.risk, verdict.risk),
        run_starter=place.started_by,
        run_unit_id=place.run_unit_id,
        supersedes=action,
    )
