"""Waivers: asked for by one person, approved by another, used by actions, ended by anyone who may publish there."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet, Value
from django.db.models.functions import Least
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Action
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.policies.models import Policy, Waiver, WaiverUse
from apps.policies.rules import DocumentError, PolicyState, Rule, Verdict, read_rule
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.waivers import MAX_DAYS, MAX_TIMES, WaiverScope, WaiverState, rule_digest, why_pointless
from apps.policies.selectors.waivers import LOWER, approvers_of, may_end

VIEW = "policies.view_policy"
MAX_REASON = 500
FORGOTTEN = timedelta(days=MAX_DAYS)
"""How long it waits for somebody to approve it."""
BATCH = 500


class WaiverOverError(Exception):
    """A waiver that a verdict counted on was taken by others, or ended, meanwhile: judge once more without it."""

    def __init__(self, waiver: UUID) -> None:
        super().__init__()
        self.waiver = waiver


@transaction.atomic
def ask_waiver(
    actor: User, *, policy: Policy, rule: str, scope: str, target: str, reason: str, days: int, times: int
) -> Waiver:
    """Ask that a rule in force has no say over ``target`` for ``days`` from its approval on, at most ``times`` often.

    Whether there is such a target is asked at the door. Raises InvalidError at the field, also where it would lift
    nothing; ConflictError where the same is asked for or granted already.
    """
    require_human(actor)
    require_manager(actor, policy.unit, VIEW)
    Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)  # two who ask at once take turns
    errors: dict[str, list[str]] = {}
    if not reason.strip() or len(reason) > MAX_REASON:
        errors["reason"] = [_("Say why, in at most %d characters.") % MAX_REASON]
    if not 1 <= days <= MAX_DAYS:
        errors["days"] = [_("From 1 to %d days.") % MAX_DAYS]
    if not 1 <= times <= MAX_TIMES:
        errors["times"] = [_("From 1 to %d uses.") % MAX_TIMES]
    if scope not in set(WaiverScope):
        errors["scope"] = [_("One of: %s.") % ", ".join(WaiverScope)]
    if errors:
        raise InvalidError(errors=errors)
    found = _rule_in_force(policy, rule)
    _refuse_pointless(found, scope, target)
    about = {"rule": rule, "scope": scope, "target": target}
    if policy.waivers.filter(state=WaiverState.ASKED, **about).exists():
        raise ConflictError(_("The same is asked for already."))
    if policy.waivers.filter(Waiver.usable(), digest=rule_digest(found), **about).exists():
        raise ConflictError(_("A waiver for this is in force already."))
    made = Waiver.objects.create(
        policy=policy,
        digest=rule_digest(found),
        effect=found.effect,
        confidential=found.confidential,
        reason=reason.strip(),
        maker=actor,
        days=days,
        times=times,
        **about,
    )
    record(actor, made, WaiverState.ASKED, payload={**_told(made), "reason": made.reason})
    return made


def _rule_in_force(policy: Policy, slug: str) -> Rule:
    rules = policy.in_force.rules if policy.in_force and policy.state == PolicyState.IN_FORCE else []
    for raw in rules:
        if raw.get("slug") == slug:
            try:
                return read_rule(raw)
            except DocumentError:
                break
    raise InvalidError(errors={"rule": [_("The policy has no such rule in force.")]})


def _refuse_pointless(rule: Rule, scope: str, target: str) -> None:
    words = {
        "nothing_to_lift": ("rule", _("It denies nothing and asks nobody: there is nothing to lift.")),
        "in_shadow": ("rule", _("It is in shadow: it has no say, so there is nothing to lift.")),
        "out_of_scope": ("target", _("The rule does not apply to this, so a waiver would lift nothing.")),
    }
    if why := why_pointless(rule, scope, target):
        field, text = words[why]
        raise InvalidError(errors={field: [text]})


def _told(waiver: Waiver) -> dict[str, object]:
    return {
        "rule": str(waiver),
        "effect": waiver.effect,
        "scope": waiver.scope,
        "target": waiver.target,
        "needed": waiver.times,
        "days": waiver.days,
    }


@transaction.atomic
def approve_waiver(actor: User, *, waiver: Waiver) -> Waiver:
    """Let a waiver lift its rule from now on. Somebody else than who asked, who may lower enforcement there.

    Raises NotAllowedError ``not_eligible`` with who may; InvalidError where the rule changed or went since;
    ConflictError once it is decided.
    """
    require_human(actor)
    waiver = (
        Waiver.objects.select_for_update(of=("self",))
        .select_related("policy__unit", "policy__in_force")
        .get(pk=waiver.pk)
    )
    if waiver.maker_id == actor.pk or not holds(actor, LOWER, waiver.policy):
        others = approvers_of(actor, waiver)
        text = _("Somebody else who may lower enforcement approves it: %s.")
        raise NotAllowedError(
            text % (", ".join(map(str, others)) or _("nobody may")),
            code="not_eligible",
            why="requester" if waiver.maker_id == actor.pk else "lowers_enforcement",
            may=[person.username for person in others],
        )
    found = _rule_in_force(waiver.policy, waiver.rule)
    if rule_digest(found) != waiver.digest:
        raise InvalidError(errors={"rule": [_("The rule changed since it was asked for: ask anew.")]})
    until = ClockTimestamp() + timedelta(days=waiver.days)
    advance(actor, waiver, WaiverState.LIVE, payload=_told(waiver), approver=actor, until=until)
    waiver.refresh_from_db(fields=["until"])
    return waiver


@transaction.atomic
def decline_waiver(actor: User, *, waiver: Waiver, reason: str) -> Waiver:
    """Say no, with the reason; whoever may lower enforcement there. Raises ConflictError once it is decided."""
    require_human(actor)
    require_manager(actor, waiver.policy.unit, LOWER)
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    told = {**_told(waiver), "reason": reason.strip()}
    over: dict[str, Any] = {"ended_by": actor, "ended_at": ClockTimestamp(), "answer": reason.strip()}
    return advance(actor, waiver, WaiverState.DECLINED, payload=told, **over)


@transaction.atomic
def end_waiver(actor: User, *, waiver: Waiver, reason: str = "") -> Waiver:
    """From the next request on the rule has its say again, and what was let through and has not run is judged anew.

    By who asked, who approved, and whoever may publish there or lower enforcement: it only tightens.
    """
    require_human(actor)
    if not may_end(actor, waiver):
        raise NotAllowedError
    if len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("At most %d characters.") % MAX_REASON]})
    told = {**_told(waiver), "reason": reason.strip()}
    over: dict[str, Any] = {"ended_by": actor, "ended_at": ClockTimestamp(), "answer": reason.strip()}
    return advance(actor, waiver, WaiverState.ENDED, payload=told, **over)


def end_moved(actor: User, *, policy: Policy) -> None:
    """End what was asked for or granted of a policy that covers other units from now on: of these nobody meant it.

    In the transaction of the release that says so.
    """
    moved = policy.waivers.select_for_update(of=("self",)).select_related("policy").order_by("id")
    why = str(_("The policy covers other units now. Ask anew, where it is still wanted."))
    for waiver in moved.filter(state__in=[WaiverState.ASKED, WaiverState.LIVE]):
        over: dict[str, Any] = {"ended_by": actor, "ended_at": ClockTimestamp(), "answer": why}
        advance(actor, waiver, WaiverState.ENDED, payload={**_told(waiver), "reason": why}, **over)


def use_waivers(actor: User, *, action: Action, verdict: Verdict) -> None:
    """Take one use of each waiver that ``verdict`` counts on, for an action that was just written down.

    Raises WaiverOverError where one is not to be had any more; then roll back to before the action.
    """
    quiet = {UUID(told["id"]) for told in verdict.waivers if told.get(CONFIDENTIAL)}
    for pk in sorted(UUID(told["id"]) for told in verdict.waivers):
        if Waiver.objects.filter(Waiver.usable(), pk=pk).update(used=F("used") + 1) != 1:
            raise WaiverOverError(pk)
        waiver = Waiver.objects.select_related("policy").get(pk=pk)
        use = WaiverUse.objects.create(waiver=waiver, action=action, number=waiver.used)
        told = {**_told(waiver), "action": action.pk, "attempt": use.number, "digest": action.digest}
        if pk in quiet:  # the action's trail has more readers than the policy, and a waiver is called like its rule
            told["rule"] = f"{waiver.policy.slug}/{CONFIDENTIAL}"
        record(actor, action if pk in quiet else waiver, "waiver.used", trail=action.trail, payload=told)
        if not waiver.left:
            advance(actor, waiver, WaiverState.USED_UP, payload={"action": action.pk}, ended_at=ClockTimestamp())


def warn_of_ends() -> int:
    """Say once of each waiver in force that it ends soon: a third of its days before, at most three; how many."""
    third = ExpressionWrapper(F("days") * Value(timedelta(hours=8)), output_field=DurationField())
    soon = Waiver.objects.filter(Waiver.usable(), warned_at=None)
    soon = soon.filter(until__lte=ClockTimestamp() + Least(third, Value(timedelta(days=3))))
    plane, found = system_user("plane"), 0
    for waiver in list(soon.select_related("policy").order_by("id")[:BATCH]):
        with transaction.atomic():
            fresh = Waiver.objects.filter(pk=waiver.pk, state=WaiverState.LIVE, warned_at=None)
            if fresh.update(warned_at=ClockTimestamp()):
                record(plane, waiver, "waiver.due_soon", payload=_told(waiver))
                found += 1
    return found


def expire_waivers() -> int:
    """End what is past its time, and what nobody approved in thirty days; how many."""
    late = Waiver.objects.filter(state=WaiverState.LIVE, until__lte=ClockTimestamp())
    waiting = Waiver.objects.filter(state=WaiverState.ASKED, created_at__lte=ClockTimestamp() - FORGOTTEN)
    return _expire(late) + _expire(waiting)


def _expire(rows: QuerySet[Waiver]) -> int:
    plane, found = system_user("plane"), 0
    for waiver in list(rows.select_related("policy").order_by("id")[:BATCH]):
        with transaction.atomic():
            try:
                advance(plane, waiver, WaiverState.EXPIRED, payload=_told(waiver), ended_at=ClockTimestamp())
            except ConflictError:  # used up, or ended by somebody, meanwhile
                continue
        found += 1
    return found
