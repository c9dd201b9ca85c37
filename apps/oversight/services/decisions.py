"""From the count to what follows: hold, release, and the end of an item with its action in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState, AgentState
from apps.audit.services import advance, record
from apps.classification.rules import ANYTHING, classed_by, marked
from apps.core.errors import ConflictError, HaltedError, NotAllowedError
from apps.core.gate import require_carried, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.core.services import one_by_one, system_user
from apps.halts.selectors import halt_since, require_running, take_fence
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import Ballot, EscalationState, Kind, marked_patch, tally
from apps.oversight.selectors import (
    OperationOf,
    changed_since_judged,
    operation_named,
    require_visible,
    scopes_of_item,
    standing_for,
    winner_for,
)
from apps.oversight.selectors.eligibility import DECIDE
from apps.oversight.services.grants import release_grant
from apps.oversight.services.stages import follow_stages
from apps.oversight.services.stops import ASKED, CAUSES, settle_clocks
from apps.policies.rules.quiet import first_rule_of

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided: by whom (everybody who counts), why, and with what."""

    outcome: EscalationState
    names: list[str]
    reason: str = ""
    reason_code: str = ""
    retry: str = ""
    answer: Any = None
    hold_s: int = 0


_locked_actions = Prepared(
    lambda: (
        Action.objects.select_for_update(of=("self",))
        .select_related("agent__owner", "version", "principal", "on_behalf_of")
        .filter(escalations__pk__any_of=Slot("items"))
        .order_by("pk")
    )
)
_locked_items = Prepared(
    lambda: (
        Escalation.everything.select_for_update(of=("self",))
        .annotate(was_unexpired=ExpressionWrapper(Escalation.unexpired(), BooleanField()))
        .filter(pk__any_of=Slot("items"))
        .order_by("pk")
    )
)


def lock_items(ids: Sequence[UUID]) -> Sequence[Escalation]:
    """The items in order of id, locked after their actions: everybody who locks both takes the actions first."""
    actions = {action.pk: action for action in _locked_actions(items=list(ids))}
    items = _locked_items(items=list(ids))
    for item in items:
        item.in_time = item.was_unexpired
        if item.action_id in actions:
            item.action = actions[item.action_id]
            item.agent = item.action.agent
    return items


def lock_item(escalation_id: UUID, *, drills: bool = False) -> Escalation:
    """One item, locked as ``lock_items`` does.

    ``drills``: the caller knows what to do with one. Else it raises ConflictError ``drill``: nothing follows from it.
    """
    items = lock_items([escalation_id])
    if not items:
        raise Escalation.DoesNotExist
    if items[0].is_drill and not drills:
        refuse_drill(items[0])
    return items[0]


def refuse_drill(item: Escalation) -> None:
    """Raise ConflictError ``drill`` for one: beyond deciding it and putting it aside nothing can be done with it."""
    if item.is_drill:
        raise ConflictError(_("It was a drill, so there was nothing to do this with."), code="drill")


def refuse_ended(actor: User, item: Escalation) -> None:
    """Raise the conflict that says how an item ended, in its own code, before anything else is said of it."""
    match item.state:
        case EscalationState.PENDING:
            return
        case EscalationState.EXPIRED:
            raise ConflictError(_("It has expired; nothing will run."), code="expired")
        case EscalationState.SUPERSEDED:
            by = item.successors.order_by("-id").values_list("pk", flat=True).first()
            raise ConflictError(
                _("A newer request has taken its place."), code="superseded", by=str(by) if by else None
            )
        case EscalationState.CANCELLED:
            raise ConflictError(_("It was cancelled."), code="cancelled")
        case EscalationState.INVALIDATED:
            raise ConflictError(_("It no longer holds."), code="invalidated", why=item.reason)
    winner = winner_for(actor, item)
    name = winner["name"] if winner else ""
    raise ConflictError(_("%s decided it first.") % name, code="already_decided", winner=winner)


def refuse_late(item: Escalation) -> None:
    """Raise ConflictError for a pending item whose end is only not written down yet: expired, or its agent retired."""
    if not item.in_time:
        raise ConflictError(_("It has expired; nothing will run."), code="expired")
    if item.kind == Kind.ACTION and item.agent and item.agent.state == AgentState.RETIRED:
        raise ConflictError(_("The agent is retired; nothing will run."), code="cancelled")


def refuse_changed(item: Escalation, operation_of: OperationOf = operation_named) -> None:
    """Raise ConflictError ``invalidated`` where what people were asked is not what would run any more."""
    if item.kind == Kind.ACTION and item.action and (why := changed_since_judged(item.action, operation_of)):
        raise ConflictError(_("What was judged has changed; nothing will run."), code="invalidated", why=why)


def require_item_running(item: Escalation) -> None:
    """Raise HaltedError while a halt covers the item: its unit, workflow, agent, version, connector or operation."""
    require_running(**scopes_of_item(item))


def decide(actor: User, item: Escalation, decision: Decision) -> None:
    """End a locked item as decided, or hold it first. Raises ConflictError ``expired`` from its own UPDATE."""
    settle_clocks(item, *((ASKED,) if decision.hold_s else CAUSES))
    columns: dict[str, Any] = {
        "decided_by": actor,
        "decided_at": ClockTimestamp(),
        "reason": decision.reason,
        "reason_code": decision.reason_code,
        "retry": decision.retry,
        "answer": decision.answer,
        "outcome": decision.outcome,
        "claimed_by": None,
        "claimed_until": None,
    }
    payload = decision_payload(item, decision)
    try:
        if decision.hold_s:
            columns["releases_at"] = ClockTimestamp() + timedelta(seconds=decision.hold_s)
            where = Escalation.unexpired()
            advance(actor, item, EscalationState.HELD, where=where, payload=payload, **columns)
        else:
            _finish(actor, item, decision.outcome, payload, where=Escalation.unexpired(), columns=columns)
    except ConflictError as error:
        if error.code == "invalid_state" and item.state == EscalationState.PENDING:
            raise ConflictError(_("It has expired; nothing will run."), code="expired") from error
        raise


def decision_payload(item: Escalation, decision: Decision) -> dict[str, Any]:
    """What follows needs of a decision: where the run goes on, what was said, by whom. What is classed is marked."""
    said, _problems = classed_by(item.schema, ANYTHING)
    return {
        **ending_payload(item, decision.outcome),
        "reason": decision.reason,
        "reason_code": decision.reason_code,
        "retry": decision.retry,
        "answer": marked(decision.answer, said),
        "decided_by": decision.names,
        "edited": item.edited,
        "patch": marked_patch(item.patch, item.action.classed) if item.action else item.patch,
        "digest": item.digest,
        "version": item.version,
        "held_s": decision.hold_s,
    }


def ending_payload(item: Escalation, outcome: str) -> dict[str, Any]:
    """What every end of an item says: what it was, where it belongs, since when it waited."""
    return {
        "kind": item.kind,
        "outcome": str(outcome),
        "run_id": item.run_id,
        "step": item.step,
        "round": item.round,
        "item": item.item,
        "task_id": item.task_id,
        "action": item.action_id,
        "workflow": item.workflow,
        "agent": item.agent.slug if item.agent else "",
        "risk": item.risk,
        "queues": [group.queue.slug for group in item.group_list()],
        "rule": first_rule_of(item.verdict),
        "requested_at": item.created_at,
        "due_at": item.due_at,
        "stood_s": int(item.stood.total_seconds()),
        "attempts": item.attempts,
        "decided_by": [],
    }


def _finish(
    actor: User,
    item: Escalation,
    outcome: str,
    payload: dict[str, Any],
    *,
    where: Q | None = None,
    columns: dict[str, Any] | None = None,
) -> None:
    """The final move of an item, and of its action with it."""
    advance(actor, item, outcome, where=where, payload=payload, ended_at=ClockTimestamp(), **(columns or {}))
    close_groups(item)
    if item.kind == Kind.ACTION and item.action is not None:
        _end_action(actor, item, item.action)


def close_groups(item: Escalation) -> None:
    """Take an ended item out of the queues' index."""
    EscalationGroup.objects.filter(escalation=item).update(is_open=False)


def _end_action(actor: User, item: Escalation, action: Action) -> None:
    """Approved: released, and a grant with it. Rejected or sent back: final for this action, with reason and hint."""
    told = {"escalation": item.pk, "edited": item.edited}
    if item.state == EscalationState.APPROVED:
        advance(actor, action, ActionState.APPROVED, payload=told)
        release_grant(actor, action=action, escalation=item)
        return
    to = {
        EscalationState.REJECTED: ActionState.REJECTED,
        EscalationState.CHANGES_REQUESTED: ActionState.CHANGES_REQUESTED,
    }[EscalationState(item.state)]
    refusal = {
        "code": item.reason_code,
        "reason": item.reason,
        "retry": item.retry or None,
        "by": item.decided_by.username if item.decided_by else None,
        "escalation": str(item.pk),
    }
    advance(actor, action, to, payload={**told, **refusal}, refusal=refusal, finished_at=ClockTimestamp())


@transaction.atomic
def undo_decision(actor: User, *, escalation_id: UUID) -> Escalation:
    """Withdraw one's own decision while it is held: the item is pending again, one's vote is void.

    Raises ConflictError with the item's own code when it was released meanwhile.
    """
    require_human(actor)
    require_carried(actor, DECIDE)
    require_visible(actor, escalation_id)
    item = lock_item(escalation_id)
    if item.state != EscalationState.HELD:
        refuse_ended(actor, item)
        raise ConflictError(_("Nothing is held."), state=item.state)
    if item.decided_by_id != actor.pk:
        raise NotAllowedError(_("Only who decided can undo it."), code="not_eligible", why="not_the_decider")
    void_votes(actor, item, why="undone", voter=actor)
    return _reopen(actor, item, why="undone")


def _reopen(actor: User, item: Escalation, *, why: str) -> Escalation:
    """A held decision did not come to pass: the item waits again, as if nothing had been decided."""
    unsaid: dict[str, Any] = {
        **dict.fromkeys(("decided_by", "decided_at", "releases_at", "answer")),
        **dict.fromkeys(("reason", "reason_code", "retry", "outcome"), ""),
    }
    return advance(actor, item, EscalationState.PENDING, payload={"undone": True, "why": why}, **unsaid)


def count_live(actor: User, item: Escalation) -> list[Ballot]:
    """The votes that count now; those of people who may not decide any more are made void."""
    ballots = []
    for vote in item.votes.filter(voided_at=None).select_related("voter").order_by("id"):
        standing = standing_for(vote.voter)
        if why := standing.why_void(item, vote):
            void_votes(actor, item, why=why, voter=vote.voter)
        else:
            ballots.append(standing.ballot_of(item, vote))
    return ballots


def void_votes(actor: User, item: Escalation, *, why: str, voter: User | None = None, halt: UUID | None = None) -> int:
    """Make live votes void (everybody's, or one person's); how many. They stay as what was said.

    ``halt``: the one that opened the decision again that they had made.
    """
    votes = item.votes.filter(voided_at=None)
    if voter is not None:
        votes = votes.filter(voter=voter)
    names = list(votes.values_list("voter__username", flat=True))
    if names:
        votes.update(voided_at=ClockTimestamp(), void_why=why, halt=halt)
        record(actor, item, "vote.voided", payload={"voters": names, "why": why})
        follow_stages(actor, item)
    return len(names)


def release_held() -> int:
    """Let held decisions take effect whose time has come and that no halt covers; how many."""
    plane, still = system_user("plane"), {"frozen_at": None, "paused_at": None}
    due = Escalation.objects.filter(state=EscalationState.HELD, releases_at__lte=ClockTimestamp(), **still)
    ids = due.order_by("releases_at").values_list("pk", flat=True)[:BATCH]
    return one_by_one(lambda pk: _release(plane, pk), ids)


@transaction.atomic
def _release(plane: User, escalation_id: UUID) -> int:
    take_fence()
    item = lock_item(escalation_id)
    if item.state != EscalationState.HELD:
        return 0
    try:
        require_item_running(item)
        refuse_changed(item)  # it is ended by what changed it
    except (HaltedError, ConflictError):
        return 0
    if item.decided_at and (halt := halt_since(item.decided_at, **scopes_of_item(item))):
        void_votes(plane, item, why="halted", halt=halt)  # what was decided before a halt does not run behind it
        _reopen(plane, item, why="halted")
        return 1
    ballots = count_live(plane, item)
    groups = [group.as_rule() for group in item.group_list()]
    if tally(groups, ballots, deny_needed=item.deny_needed).outcome != item.outcome:
        _reopen(plane, item, why="not_eligible")
        return 1
    decision = Decision(
        outcome=EscalationState(item.outcome),
        names=[ballot.voter for ballot in ballots],
        reason=item.reason,
        reason_code=item.reason_code,
        retry=item.retry,
        answer=item.answer,
        hold_s=item.hold_s,
    )
    _finish(plane, item, item.outcome, decision_payload(item, decision))
    return 1
