"""Deciding rights of a campaign: each acts at once, through the services that grant and revoke."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import grant_role, revoke_role, revoke_token
from apps.agents.services import revoke_credential
from apps.audit.services import record
from apps.connectors.rules import Money
from apps.connectors.services import narrow_operation, revoke_operation
from apps.core.errors import ConflictError, DomainError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User, database_now
from apps.oversight.models import AccessReview, AccessReviewLine
from apps.oversight.rules.access_reviews import HAVE_AN_END, OUTCOMES, LineState, ReviewState, RightKind, Say
from apps.oversight.selectors.access_reviews import may_decide
from apps.oversight.selectors.rights import Right, rights_now, workflow_rights

REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class Less:
    """What is to be left of a right: until when; of an operation also these fields (None: as it is), up to a limit."""

    until: datetime | None = None
    fields: Sequence[str] | None = None
    limit: Money | None = None


class Told(NamedTuple):
    """What became of a line that was decided with others; ``problem``: why it still waits."""

    line: AccessReviewLine
    problem: str


@transaction.atomic
def decide_right(
    actor: User, *, line: AccessReviewLine, say: str, reason: str, seen: str, less: Less | None = None
) -> AccessReviewLine:
    """Keep a right (from now on until a time, if ``less`` says one), narrow it, or revoke it; acts at once.

    ``seen``: the digest of the right that the reviewer looked at. Raises ConflictError where it is another one by now,
    where somebody else decided first, or where the campaign has ended; NotAllowedError for one's own right. A right
    that is held no more becomes ``gone``, whatever is said.
    """
    require_human(actor)
    _require_reviewer(actor, line)
    _check(say, reason)
    review = _lock_open(line)
    now = _now(line)
    if now is None:
        return settle(actor, line, LineState.GONE, reason="")
    if now.seen != seen:
        raise ConflictError(_("This right was changed since: look at what it is now."), code="stale")
    act = Say(say)
    after = _act(actor, now, act, reason, _checked(now, act, less or Less(), review))
    return settle(actor, line, OUTCOMES[act], reason=reason.strip(), after=after)


def decide_lines(
    actor: User, *, review: AccessReview, lines: Sequence[AccessReviewLine], say: str, reason: str
) -> list[Told]:
    """Say the same of many rights that are still as they were at the opening, one transaction each."""
    require_human(actor)
    if say not in {Say.KEEP, Say.REVOKE}:
        raise InvalidError(errors={"say": [_("One of: %s.") % f"{Say.KEEP}, {Say.REVOKE}"]})
    _check(say, reason)
    told = []
    for line in lines:
        try:
            told.append(Told(decide_right(actor, line=line, say=say, reason=reason, seen=line.seen), ""))
        except DomainError as error:
            told.append(Told(line, str(error.message)))
    return told


def _require_reviewer(actor: User, line: AccessReviewLine) -> None:
    if may_decide(actor, line):
        return
    if line.holder_id == actor.pk:
        raise NotAllowedError(_("Nobody reviews their own rights."))
    raise NotAllowedError


def _check(say: str, reason: str) -> None:
    errors: dict[str, list[str]] = {}
    if say not in list(Say):
        errors["say"] = [_("One of: %s.") % ", ".join(Say)]
    if not reason.strip():
        errors["reason"] = [_("Say why.")]
    elif len(reason) > REASON_MAX or "\x00" in reason:
        errors["reason"] = [_("At most %d characters.") % REASON_MAX]
    if errors:
        raise InvalidError(errors=errors)


def _lock_open(line: AccessReviewLine) -> AccessReview:
    """The campaign, locked while this right is decided: closing it waits, and nobody decides after it."""
    rows = AccessReview.objects.select_for_update(of=("self",)).filter(pk=line.review_id)
    review = rows.filter(state=ReviewState.OPEN, due_at__gt=ClockTimestamp()).first()
    if review is None:
        raise ConflictError(_("The review has ended: nothing more is decided in it."))
    return review


def _now(line: AccessReviewLine) -> Right | None:
    """The right as it is now, read once its row is locked; None where it is held no more."""
    found = rights_now({line.kind: [line.right]}).get((line.kind, line.right))
    if found is None:
        return None
    type(found.row)._default_manager.select_for_update(of=("self",)).filter(pk=found.row.pk).first()
    return rights_now({line.kind: [line.right]}).get((line.kind, line.right))


def _checked(now: Right, act: Say, less: Less, review: AccessReview) -> Less:
    """What is to be left, where it fits the right and what is said. Raises InvalidError by field."""
    errors: dict[str, list[str]] = {}
    partly = less.fields is not None or less.limit is not None
    if act != Say.NARROW and partly:
        errors["say"] = [_("Fewer parameters or a lower limit narrow it: say so.")]
    if act == Say.NARROW and (now.kind != RightKind.OPERATION or not partly):
        errors["say"] = [_("An operation is narrowed to parameters or a limit; of all else keep it until a time.")]
    if less.until is not None and (act == Say.REVOKE or now.kind in HAVE_AN_END):
        errors["until"] = [
            _("Nothing is left that could end then.") if act == Say.REVOKE else _("A key or a token has its end.")
        ]
    elif less.until is not None and less.until.tzinfo is None:
        errors["until"] = [_("A time with its zone.")]
    elif less.until is not None and now.until is not None and less.until > now.until:
        errors["until"] = [_("That would be more than it has: grant it instead.")]
    elif less.until is not None and review.next_at is not None and less.until > review.next_at:
        errors["until"] = [_("At most until the next review.")]
    if errors:
        raise InvalidError(errors=errors)
    return less


def _act(actor: User, now: Right, act: Say, reason: str, less: Less) -> dict[str, Any] | None:
    """Do it, and say what the right is afterwards; None where it is as it was or is held no more."""
    try:
        if act == Say.REVOKE:
            revoke_now(actor, now, reason)
            return None
        if act == Say.KEEP and less.until is None:
            return None
        if now.kind == RightKind.ROLE:
            grant_role(actor, user=now.holder, role=now.row.role, unit=now.row.unit, until=_future(less.until))
        elif now.kind == RightKind.WORKFLOW:
            workflow_rights().end_at(actor, now, until=_future(less.until), reason=reason)
        else:
            _narrow(actor, now, reason, less)
    except NotFoundError as error:
        raise ConflictError(_("Somebody took it away in this moment.")) from error
    found = rights_now({now.kind: [now.key]}).get((now.kind, now.key))
    return found.frozen if found else None


def revoke_now(actor: User, now: Right, reason: str) -> None:
    """Take a right away, through the service of its kind."""
    if now.kind == RightKind.ROLE:
        revoke_role(actor, grant=now.row, reason=reason)
    elif now.kind == RightKind.OPERATION:
        revoke_operation(actor, holder=now.holder, operation=now.row.content_object, reason=reason)
    elif now.kind == RightKind.WORKFLOW:
        workflow_rights().revoke(actor, now, reason=reason)
    elif now.kind == RightKind.TOKEN:
        revoke_token(actor, token=now.row)
    else:
        revoke_credential(actor, credential=now.row, reason=reason)


def _narrow(actor: User, now: Right, reason: str, less: Less) -> None:
    held = now.row
    narrow_operation(
        actor, holder=now.holder, operation=held.content_object, reason=reason, until=_future(less.until) or held.until,
        fields=held.fields if less.fields is None else less.fields,
        limit=held.limit if less.limit is None else less.limit,
    )  # fmt: skip


def _future(until: datetime | None) -> datetime | None:
    """``until``, unless it is over. Raises InvalidError."""
    if until is not None and until <= database_now():
        raise InvalidError(errors={"until": [_("This time is over.")]})
    return until


NAMES = {LineState.GONE: "access.review.gone", LineState.LEFT: "access.review.left"}


def settle(
    actor: User, line: AccessReviewLine, state: LineState, *, reason: str, after: dict[str, Any] | None = None
) -> AccessReviewLine:
    """Write what became of a line, once. Raises ConflictError that names who was first. Call inside a transaction.

    What has ended or is left over was decided by nobody.
    """
    who = None if state in NAMES else actor
    values = {"state": state, "decided_by": who, "decided_at": ClockTimestamp(), "reason": reason, "after": after}
    if AccessReviewLine.objects.filter(pk=line.pk, state=LineState.WAITING).update(**values) != 1:
        first = AccessReviewLine.objects.select_related("decided_by").get(pk=line.pk)
        winner = {"by": first.decided_by.username if first.decided_by else None, "state": str(first.state)}
        raise ConflictError(_("Somebody else was first: it is %s.") % first.state, winner=winner)
    line.refresh_from_db()
    told = {"kind": line.kind, "name": line.what, "outcome": str(state), "until": line.until, "state": line.use}
    more = {"holder": line.holder.username, "reason": reason, "evidence": line.evidence, "after": after}
    record(actor, line, NAMES.get(state, "access.review.decided"), payload=told | more)
    return line
