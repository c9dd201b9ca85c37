"""Putting an item aside for oneself, and giving it more time for everybody."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import User, database_now
from apps.oversight.models import Escalation, Snooze
from apps.oversight.rules import EXTENSION_MAX_S, EscalationState, extension_bound, snooze_problem, warning_of
from apps.oversight.selectors import standing_for
from apps.oversight.services.handing import checked_reason, lock_pending

SNOOZE_PROBLEMS = {
    "past": gettext_lazy("Name a time to come."),
    "after_deadline": gettext_lazy("That is after its deadline. It can be put aside until then at most."),
    "too_late": gettext_lazy("Its time is nearly over: decide now, or hand it on."),
}


@transaction.atomic
def snooze_escalation(actor: User, *, escalation_id: UUID, until: datetime | None) -> Escalation:
    """Put an item aside for oneself until a time, at most until it warns (four fifths of its time); None: take it up.

    Nothing changes for anybody else. Raises InvalidError at ``until``, NotAllowedError, or the item's ConflictError.
    """
    item = lock_pending(actor, escalation_id, drills=True)
    _require_eligible(actor, item)
    if until is None:
        if Snooze.objects.filter(escalation=item, person=actor).delete()[0]:
            record(actor, item, item.entry_name("woken"))
        return item
    warning = item.warn_at or warning_of(item.created_at, item.due_at)
    deadline = min(item.due_at, item.expires_at or item.due_at)
    if problem := snooze_problem(until, now=database_now(), warning=warning, deadline=deadline):
        raise InvalidError(errors={"until": [str(SNOOZE_PROBLEMS[problem])]})
    ends = min(until, warning)
    Snooze.objects.update_or_create(escalation=item, person=actor, defaults={"until": ends, "due_at": item.due_at})
    Escalation.everything.filter(pk=item.pk, claimed_by=actor, state=EscalationState.PENDING).update(
        claimed_by=None, claimed_until=None
    )
    record(actor, item, item.entry_name("snoozed"), payload={"until": ends})
    return item


@transaction.atomic
def extend_escalation(
    actor: User, *, escalation_id: UUID, reason: str, until: datetime | None = None, by_s: int | None = None
) -> Escalation:
    """Give an item more time: its end moves to ``until`` or by ``by_s`` seconds, its due time along with it.

    Where it never expires, its due time is meant. Never beyond twice the time that its queue gives, nor beyond what
    the rule that asks gave it. Raises InvalidError at ``until``, ``by_s`` or ``reason``.
    """
    item = lock_pending(actor, escalation_id)
    _require_eligible(actor, item)
    reason = checked_reason(reason)
    field = "until" if by_s is None or until is not None else "by_s"
    ends = item.expires_at or item.due_at
    if (until is None) == (by_s is None):
        raise InvalidError(errors={field: [_("Say until when or by how many seconds, one of them.")]})
    more = (until - ends) if until is not None else timedelta(seconds=min(by_s or 0, EXTENSION_MAX_S))
    if more <= timedelta():
        raise InvalidError(errors={field: [_("That is not later than now: it ends %s.") % ends.isoformat()]})
    bound = _bound(item)
    if more > bound - ends:
        raise InvalidError(errors={field: [_("At most until %s.") % bound.isoformat()]})
    moved = {
        "due_at": F("due_at") + more,
        "warn_at": F("warn_at") + more,
        **({"expires_at": F("expires_at") + more} if item.expires_at else {}),
    }
    if not Escalation.objects.filter(Escalation.unexpired(), pk=item.pk, state=EscalationState.PENDING).update(**moved):
        raise ConflictError(_("It has expired; nothing will run."), code="expired")
    item.refresh_from_db(fields=["due_at", "expires_at"])
    record(
        actor,
        item,
        "escalation.extended",
        payload={"until": item.expires_at or item.due_at, "extended_s": int(more.total_seconds()), "reason": reason},
    )
    return item


def _bound(item: Escalation) -> datetime:
    demands = item.verdict.get("obligations") or {}
    return extension_bound(
        item.created_at,
        expires_s=[group.queue.expires_s for group in item.group_list()],
        expires_in_s=demands.get("expires_in_s"),
    )


def _require_eligible(actor: User, item: Escalation) -> None:
    if why := standing_for(actor).why_not(item):
        raise NotAllowedError(_("You may not decide this item."), code="not_eligible", why=why)
