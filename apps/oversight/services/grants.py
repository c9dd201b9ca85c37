"""Commands on grants: released by an approval, bound to a digest, consumed once."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState, Execution
from apps.audit.services import Change, advance, record, record_many
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.core.services import one_by_one, system_user
from apps.oversight.models import Escalation, Grant, StandingApproval
from apps.oversight.rules import GRANT_TTL_PLANE_S, GRANT_TTL_S, GRANT_TTL_TOGETHER_S, GrantState
from apps.oversight.selectors import has_standing_fallen, still_stands_for

BATCH = 500


@transaction.atomic(savepoint=False)
def release_grant(
    actor: User,
    *,
    action: Action,
    escalation: Escalation | None = None,
    standing: StandingApproval | None = None,
) -> None:
    """Permission to run ``action`` once, as its digest says; good for as long as ``_ttl_s`` says."""
    ttl_s = _ttl_s(action)
    grant = Grant.objects.create(
        action=action,
        escalation=escalation,
        standing=standing,
        digest=action.digest,
        expires_at=ClockTimestamp() + timedelta(seconds=ttl_s),
    )
    record(actor, grant, GrantState.LIVE, payload={"action": action.pk, "digest": grant.digest, "ttl_s": ttl_s})


def _ttl_s(action: Action) -> int:
    """An hour for an agent, two days where the slowest of several decisions is waited for, a day for the plane."""
    if action.together:
        return GRANT_TTL_TOGETHER_S
    return GRANT_TTL_S if action.execution == Execution.AGENT else GRANT_TTL_PLANE_S


@transaction.atomic
def consume_grant(actor: User, *, action: Action, digest: str) -> Grant:
    """Use the action's grant: one conditional UPDATE on digest, state and time. Halts are the caller's to ask.

    Raises NotAllowedError ``not_eligible`` where those who approved may not decide it any more, ConflictError
    ``already_consumed``, ``binding_mismatch``, ``expired``, or ``invalid_state`` where there is
    none or it was revoked.
    """
    grant = (
        Grant.objects.select_related("action", "escalation__agent__owner", "escalation__action__principal")
        .filter(action=action)
        .order_by("-id")
        .first()
    )
    if grant is None:
        raise ConflictError(_("Nobody released this action."), state=action.state)
    if grant.state == GrantState.LIVE:
        require_standing(actor, grant)
        fits = Q(digest=digest) & Grant.unexpired()
        try:
            return advance(
                actor,
                grant,
                GrantState.CONSUMED,
                where=fits,
                payload={"action": action.pk, "digest": digest},
                consumed_at=ClockTimestamp(),
            )
        except ConflictError:
            grant.refresh_from_db(fields=["state"])
    raise _refusal(grant, digest)


def require_standing(actor: User, grant: Grant) -> None:
    """Raise NotAllowedError where what is behind a grant no longer suffices: a role lost meanwhile, an owner made."""
    fell = grant.escalation is not None and not still_stands_for(actor, grant.escalation)
    if fell or has_standing_fallen(actor, grant.action):
        raise NotAllowedError(
            _("Those who approved it may not decide it any more."), code="not_eligible", why="approval_void"
        )


def _refusal(grant: Grant, digest: str) -> ConflictError:
    match grant.state:
        case GrantState.CONSUMED:
            return ConflictError(_("It was used already."), code="already_consumed")
        case GrantState.REVOKED:
            return ConflictError(_("It was revoked."), state=grant.state)
        case GrantState.LIVE if grant.digest != digest:
            return ConflictError(_("It was released for other parameters."), code="binding_mismatch")
    return ConflictError(_("It has expired."), code="expired")


@transaction.atomic
def revoke_grants(actor: User, *, action: Action, why: str, halt: UUID | None = None) -> int:
    """Take back what was released for ``action`` and not used yet; how many."""
    return revoke_released(actor, grants=Grant.objects.filter(action=action), why=why, halt=halt)


@transaction.atomic
def revoke_released(actor: User, *, grants: QuerySet[Grant], why: str, halt: UUID | None = None) -> int:
    """Take back those of ``grants`` that were not used yet, with one UPDATE and an entry each; how many.

    ``halt``: the one that takes them back.
    """
    live = list(
        grants.filter(state=GrantState.LIVE).select_for_update(of=("self",)).select_related("action").order_by("pk")
    )
    ids = [grant.pk for grant in live]
    Grant.objects.filter(pk__any_of=ids, state=GrantState.LIVE).update(state=GrantState.REVOKED, halt=halt)
    told = {"from": GrantState.LIVE.value, "to": GrantState.REVOKED.value, "why": why}
    record_many(actor, [Change(grant, GrantState.REVOKED, {**told, "action": grant.action_id}) for grant in live])
    return len(live)


def expire_grants() -> int:
    """End grants whose time is over, and the actions that agents did not carry out in time; how many."""
    plane = system_user("plane")
    ids = Grant.objects.filter(~Grant.unexpired(), state=GrantState.LIVE).order_by("expires_at")
    return one_by_one(lambda grant_id: _expire(plane, grant_id), ids.values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def _expire(plane: User, grant_id: UUID) -> int:
    action = Action.objects.select_for_update(of=("self",)).filter(grants=grant_id).first()
    grant = Grant.objects.select_for_update(of=("self",)).filter(~Grant.unexpired(), pk=grant_id).first()
    if action is None or grant is None or grant.state != GrantState.LIVE:
        return 0
    grant.action = action
    advance(plane, grant, GrantState.EXPIRED, payload={"action": action.pk})
    if action.execution == Execution.AGENT and action.state == ActionState.APPROVED:
        advance(plane, action, ActionState.EXPIRED, payload={"why": "grant_expired"}, finished_at=ClockTimestamp())
    return 1
