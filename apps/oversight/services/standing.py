"""Approving in advance, within one's own authority: made on an item, used by the like of it, ended by anything."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.agents.selectors import target_names
from apps.audit.services import advance, record
from apps.connectors.selectors import permitted_operation_for
from apps.connectors.selectors.pins import why_gone
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import require_carried, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.reasons import sentence_of
from apps.core.services import one_by_one, system_user
from apps.halts.selectors import halt_since, take_fence
from apps.oversight.models import Escalation, EscalationGroup, StandingApproval, StandingUse
from apps.oversight.rules import (
    BY_HAND,
    TIME_OVER,
    EscalationState,
    Kind,
    StandingState,
    asking_rule,
    is_over,
    same_json,
    standing_problem,
    value_at,
)
from apps.oversight.selectors import (
    live_standing_approvals,
    require_visible,
    scopes_of_item,
    standing_for,
    why_fallen,
)
from apps.oversight.selectors.eligibility import DECIDE
from apps.oversight.services.decisions import lock_item, refuse_changed, refuse_late, require_item_running
from apps.oversight.services.edits import facts_of
from apps.oversight.services.endings import end_approval
from apps.oversight.services.items import wanted_of
from apps.policies.rules import Effect, StandingLimit, Verdict, is_stricter, verdict_of
from apps.policies.rules.quiet import quieted
from apps.policies.selectors import release_number
from apps.policies.services import evaluate_action

BATCH = 500
STARTED_WITHIN = timedelta(minutes=1)
"""How far apart the two readings of the clock may be that an approval's days lie between: one transaction."""


@transaction.atomic
def make_standing_approval(
    actor: User, *, escalation_id: UUID, version: int, days: int, times: int, up_to_minor: int | None = None
) -> StandingApproval:
    """Approve the like of an item in advance: same agent, operation, target and currency, up to an amount each.

    By whoever may decide it alone, while it waits, or who approved it; the item itself is not decided by it.
    ``version``: what the person saw, since somebody may edit it meanwhile. Raises NotFoundError, HaltedError,
    InvalidError at the field, NotAllowedError ``not_eligible`` with ``why``, ConflictError, ``stale`` with ``version``.
    """
    require_human(actor)
    require_visible(actor, escalation_id)
    take_fence()
    item = lock_item(escalation_id)
    _require_open_to(actor, item)
    require_item_running(item)
    refuse_changed(item)
    if version != item.version:
        raise ConflictError(_("It has changed since you read it."), code="stale", version=item.version)
    verdict = verdict_of(item.verdict)
    limit = verdict.obligations.standing or StandingLimit()
    amount = item.action.amount_minor if item.action else None
    if why := standing_problem(verdict, risk=item.risk, amount_minor=None):
        raise NotAllowedError(sentence_of(why), code="not_eligible", why=why)
    if item.quorum_needed != 1:
        raise NotAllowedError(sentence_of("several_people"), code="not_eligible", why="several_people")
    _require_within(limit, days=days, times=times, up_to_minor=up_to_minor, has_amount=amount is not None)
    if item.standing_approvals.filter(maker=actor, state=StandingState.LIVE).exists():
        raise ConflictError(_("You approved the like of this in advance already; end that first."))
    assert item.agent is not None, "checked above"
    approval = StandingApproval.objects.create(
        item=item,
        maker=actor,
        agent=item.agent,
        operation=item.action.operation if item.action else "",
        up_to_minor=up_to_minor,
        times=times,
        until=ClockTimestamp() + timedelta(days=days),
        release=verdict.release,
        rule=asking_rule(quieted(item.verdict)["rules"]),
    )
    approval.refresh_from_db(fields=["until", "created_at"])
    told = {"escalation": item.pk, "agent": item.agent.slug, "operation": approval.operation, "rule": approval.rule}
    limits = {"amount_minor": up_to_minor, "needed": times, "until": approval.until, "release": approval.release}
    record(actor, approval, StandingState.LIVE, payload={**told, **limits})
    return approval


def _require_open_to(actor: User, item: Escalation) -> None:
    """Raise unless ``actor`` may decide the item alone and it waits, or they approved it themselves."""
    if item.kind != Kind.ACTION or item.action is None or item.agent is None:
        raise InvalidError(errors={"escalation": [_("Only what an agent asks for is approved in advance.")]})
    if item.action.environment == Environment.TEST:  # it would let run in earnest what nobody looked at in earnest
        text = _("This is a test: only what is asked for with a live key is approved in advance.")
        raise InvalidError(errors={"escalation": [text]})
    if item.erased_at is not None:
        raise ConflictError(_("What was written here is erased; nothing is like it any more."), state=item.state)
    if item.state == EscalationState.PENDING:
        refuse_late(item)
    elif item.state != EscalationState.APPROVED or item.decided_by_id != actor.pk:
        raise ConflictError(_("It is decided; approve in advance what you approved yourself."), state=item.state)
    if why := standing_for(actor).why_not_alone(item):
        raise NotAllowedError(_("You may not decide this item."), code="not_eligible", why=why)


def _require_within(limit: StandingLimit, *, days: int, times: int, up_to_minor: int | None, has_amount: bool) -> None:
    errors: dict[str, list[str]] = {}
    if not 1 <= days <= limit.days:
        errors["days"] = [_("From 1 to %d, the rule says.") % limit.days]
    if not 1 <= times <= limit.times:
        errors["times"] = [_("From 1 to %d, the rule says.") % limit.times]
    if has_amount and limit.up_to_minor is None:
        errors["up_to_minor"] = [_("The rule lets nothing that has an amount be approved in advance.")]
    elif has_amount and (up_to_minor is None or not 1 <= up_to_minor <= (limit.up_to_minor or 0)):
        errors["up_to_minor"] = [_("From 1 to %d minor units, the rule says.") % (limit.up_to_minor or 0)]
    elif not has_amount and up_to_minor is not None:
        errors["up_to_minor"] = [_("This has no amount.")]
    if errors:
        raise InvalidError(errors=errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """What is asked for now, judged and not yet written down. ``action`` is not saved."""

    action: Action
    verdict: Verdict
    risk: str
    run_starter: str = ""
    run_unit_id: UUID | None = None


def take_standing_approval(like: Like) -> StandingApproval | None:
    """Use up one time of an approval in advance that lets this run; None if none does. Take the fence before.

    What its maker could not approve alone now, by the rules in force and for this very action, is not let run: then
    people are asked. An approval that holds no more ends here, whoever has not noticed it yet.
    """
    action, verdict = like.action, like.verdict
    if action.agent_id is None or standing_problem(verdict, risk=like.risk, amount_minor=action.amount_minor):
        return None
    plane = system_user("plane")
    for approval in live_standing_approvals(action.agent_id, action.operation):
        if not _is_like(approval, action, verdict) or _has_ended(plane, approval, verdict.release):
            continue
        draft = _draft_of(like)
        if standing_for(approval.maker).why_not_alone(draft) is not None:
            continue
        if halt_since(approval.created_at, **scopes_of_item(draft)):
            continue
        rows = StandingApproval.objects.filter(StandingApproval.usable(), pk=approval.pk)
        if rows.update(used=F("used") + 1):
            approval.refresh_from_db(fields=["used"])
            return approval
    return None


def note_standing_use(actor: User, *, approval: StandingApproval, action: Action) -> None:
    """Write down the action that a use let run; the last one ends the approval."""
    use = StandingUse.objects.create(approval=approval, action=action, number=approval.used)
    told = {"action": action.pk, "escalation": approval.item_id, "attempt": use.number, "digest": action.digest}
    record(actor, approval, "standingapproval.used", trail=action.trail, payload=told)
    if approval.used >= approval.times:
        advance(actor, approval, StandingState.USED_UP, payload={"action": action.pk}, ended_at=ClockTimestamp())


def _is_like(approval: StandingApproval, action: Action, verdict: Verdict) -> bool:
    """Same currency, within the amount, same target, and the same of what the rules, then or now, want the same.

    Meant like it: what was approved for a test lets nothing run in earnest, and no test uses up what was meant.
    """
    before = approval.item.action
    if before is None or before.currency != action.currency or before.environment != action.environment:
        return False
    if is_over(StandingLimit(up_to_minor=approval.up_to_minor), action.amount_minor):
        return False
    if _is_beyond(approval, verdict.obligations.standing):
        return False
    limits = (verdict.obligations.standing, verdict_of(approval.item.verdict).obligations.standing)
    same = {path for limit in limits if limit for path in limit.same}
    if any(not same_json(value_at(before.parameters, at), value_at(action.parameters, at)) for at in same):
        return False
    names = target_names(before)
    return bool(names & target_names(action)) if names else not action.target


def _is_beyond(approval: StandingApproval, limit: StandingLimit | None) -> bool:
    """Whether it was given for more times or more days than ``limit`` lets: another rule, or the same one since."""
    if limit is None or approval.times > limit.times:
        return True
    return approval.until - approval.created_at > timedelta(days=limit.days) + STARTED_WITHIN


def _draft_of(like: Like) -> Escalation:
    """The item that people would be asked about, not saved: for the question who could decide it."""
    demands = like.verdict.obligations
    item = Escalation(
        kind=Kind.ACTION,
        unit=like.action.unit,
        agent=like.action.agent,
        action=like.action,
        workflow=like.action.workflow,
        run_id=like.action.run_id,
        run_starter=like.run_starter,
        run_unit_id=like.run_unit_id,
        exclude=[str(word) for word in demands.exclude],
        verdict={"authors": list(like.verdict.authors)},
    )
    item.take_groups(
        EscalationGroup(escalation=item, queue=group.queue, role=group.role, needed=group.needed)
        for group in wanted_of(like.verdict)
    )
    return item


def _has_ended(plane: User, approval: StandingApproval, release: int) -> bool:
    """Whether an approval holds no more; it is ended then, in this transaction."""
    why = why_fallen(approval) or _why_stricter(plane, approval, release)
    if why:
        with suppress(ConflictError):  # somebody else ended it, or used it up, in this very moment
            end_approval(plane, approval, why)
    return bool(why)


def _why_stricter(plane: User, approval: StandingApproval, release: int) -> str:
    """Why the rules in force end an approval: they demand more of its item than when it was made, or forbid it."""
    if approval.release == release:
        return ""
    item = approval.item
    action = item.action
    assert action is not None, "an erased item fell before"
    try:
        permitted = permitted_operation_for(action.principal, action.operation)
        facts = facts_of(item, action, permitted, action.parameters)
        verdict = evaluate_action(plane, facts=facts)
    except NotFoundError:
        return why_gone(action.principal, action.operation)
    except InvalidError:
        return "parameters_no_longer_fit"
    limit = verdict.obligations.standing
    if verdict.effect is Effect.REQUIRE_APPROVAL and (
        limit is None or is_over(limit, approval.up_to_minor) or _is_beyond(approval, limit)
    ):
        return "stricter"
    if is_stricter(verdict, verdict_of(item.verdict)):
        return "stricter"
    StandingApproval.objects.filter(pk=approval.pk).update(release=release)
    return ""


@transaction.atomic
def end_standing_approval(actor: User, *, approval: StandingApproval) -> StandingApproval:
    """End it: its maker, or whoever may decide in the item's unit. What it let run and has not begun asks people.

    Raises NotAllowedError, ConflictError once it is over.
    """
    require_human(actor)
    require_carried(actor, DECIDE)
    if approval.maker_id != actor.pk and not standing_for(actor).may_decide_in(approval.item.unit_id):
        raise NotAllowedError(_("You may not decide in this unit."), code="not_eligible", why="no_permission")
    end_approval(actor, approval, BY_HAND)
    return approval


def end_fallen_standing() -> int:
    """End every approval in advance that holds no more or whose time is over, a transaction each; how many."""
    plane = system_user("plane")
    live = StandingApproval.objects.filter(state=StandingState.LIVE).order_by("id").values_list("pk", flat=True)
    done, batch = 0, list(live[:BATCH])
    while batch:  # those that hold stay, so the next ones are behind them
        done += one_by_one(lambda pk: _end_fallen(plane, pk), batch)
        batch = list(live.filter(pk__gt=batch[-1])[:BATCH])
    return done


@transaction.atomic
def _end_fallen(plane: User, approval_id: UUID) -> int:
    take_fence()
    approval = (
        StandingApproval.objects.select_for_update(of=("self",))
        .select_related("item__unit", "item__agent__owner", "item__action__principal", "agent__user", "maker")
        .filter(pk=approval_id, state=StandingState.LIVE)
        .first()
    )
    if approval is None:
        return 0
    if not StandingApproval.objects.filter(pk=approval_id, until__gt=ClockTimestamp()).exists():
        end_approval(plane, approval, TIME_OVER)
        return 1
    return int(_has_ended(plane, approval, release_number()))
