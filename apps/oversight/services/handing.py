"""Handing an item on: to a person in one's own stead, to a person, to another queue, to the next level."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Queue
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.rules import UserKind
from apps.oversight.models import Delegation, Escalation
from apps.oversight.rules import BOUND, MAX_CHAIN, MAX_REASON, EscalationState
from apps.oversight.selectors import (
    is_reachable_for,
    other_queues_for,
    queue_near_for,
    require_visible,
    standing_for,
)
from apps.oversight.services.clocks import reassign_open
from apps.oversight.services.decisions import lock_item, refuse_ended, refuse_late, require_item_running
from apps.oversight.services.ladders import climb_all, hand_up


@transaction.atomic
def delegate_escalation(actor: User, *, escalation_id: UUID, to: str, reason: str = "") -> Escalation:
    """Ask somebody to decide in one's stead. They must be able to themselves; both together are one vote.

    Raises what a vote raises (NotFoundError, NotAllowedError ``not_eligible``, HaltedError, ConflictError), and
    InvalidError at ``to``. Claiming the item or voting takes it back.
    """
    item = lock_pending(actor, escalation_id)
    standing = standing_for(actor)
    if why := standing.why_not(item):
        raise NotAllowedError(_("You may not decide this item."), code="not_eligible", why=why)
    if any(actor.username in {vote.voter.username, *vote.acts_for} for vote in item.live_votes()):
        raise ConflictError(_("You have voted; the item waits for others."), code="already_voted")
    reason = checked_reason(reason, is_needed=False)
    delegate = _delegate(actor, item, to, behind=standing.acts_for(item))
    take_back(actor, item)
    Delegation.objects.create(escalation=item, by=actor, to=delegate, reason=reason)
    item.forget_delegations()
    _give(item, delegate)
    record(
        actor, item, "escalation.delegated", payload={"by": actor.username, "to": delegate.username, "reason": reason}
    )
    return item


def _delegate(actor: User, item: Escalation, to: str, *, behind: frozenset[str]) -> User:
    """The person, checked as at a vote, also for everybody who would then stand behind them."""
    if to == actor.username:
        raise InvalidError(errors={"to": [_("Name somebody else.")]})
    if to in behind:
        raise InvalidError(errors={"to": [_("They handed it to you; give it back by letting go of it.")]})
    if len(behind) + 1 > MAX_CHAIN:
        raise InvalidError(errors={"to": [_("It was handed on %d times already.") % MAX_CHAIN]})
    delegate = _decider(item, to)
    if any(delegate.username in {vote.voter.username, *vote.acts_for} for vote in item.live_votes()):
        raise InvalidError(errors={"to": [_("They have voted already.")]})
    return delegate


def _decider(item: Escalation, username: str) -> User:
    """Somebody who may decide the item. One sentence for everybody else, so that nobody learns who exists."""
    person = User.objects.filter(username=username, kind=UserKind.HUMAN, is_active=True).first()
    if person is None or standing_for(person).why_not(item) is not None:
        raise InvalidError(errors={"to": [_("Nobody of this name may decide it.")]})
    return person


def _give(item: Escalation, person: User) -> None:
    """The item is theirs to see to: it has a name on it, and nobody else's claim."""
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(
        assigned_to=person, claimed_by=None, claimed_until=None
    )
    item.refresh_from_db(fields=["assigned_to", "claimed_by", "claimed_until"])


def take_back(actor: User, item: Escalation) -> bool:
    """End what ``actor`` handed on; whether there was anything. Call with the item locked."""
    found = next((row for row in item.delegation_list() if row.by_id == actor.pk), None)
    return found is not None and _end(actor, item, found, "escalation.taken_back")


def hand_back(actor: User, item: Escalation) -> bool:
    """End what others handed to ``actor``; whether there was anything. Call with the item locked."""
    rows = [row for row in item.delegation_list() if row.to_id == actor.pk]
    return sum(_end(actor, item, row, "escalation.handed_back") for row in rows) > 0


def _end(actor: User, item: Escalation, row: Delegation, name: str) -> bool:
    Delegation.objects.filter(pk=row.pk, ended_at=None).update(ended_at=ClockTimestamp())
    item.forget_delegations()
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING, assigned_to=row.to).update(assigned_to=None)
    record(actor, item, name, payload={"by": row.by.username, "to": row.to.username})
    return True


@transaction.atomic
def reassign_escalation(actor: User, *, escalation_id: UUID, reason: str, queue: str = "", to: str = "") -> Escalation:
    """Bring an item to another queue, or give it to a person who may decide it.

    Takes the permission to decide in the item's unit, not the role of its queue. A new queue asks as many people as
    before, and enough of them must exist; where several queues or a role must agree, none of them is talked out of it,
    and what a rule or a step asks is answered by people whom it means: ``other_queues_for``. Whoever could not decide
    before the move cannot because of it. Raises InvalidError at the field.
    """
    item = lock_pending(actor, escalation_id)
    require_mover(actor, item)
    reason = checked_reason(reason)
    if bool(queue) == bool(to):
        raise InvalidError(errors={"to": [_("Name a queue or a person, one of them.")]})
    if to:
        person = _decider(item, to)
        _give(item, person)
        record(actor, item, "escalation.assigned", payload={"to": person.username, "reason": reason})
        return item
    _move(actor, item, _taking(actor, item, queue), reason)
    if not is_reachable_for(actor, item):
        raise InvalidError(errors={"queue": [_("Too few people there may decide it.")]})
    return item


def _taking(actor: User, item: Escalation, slug: str) -> Queue:
    """The queue that may take the item. Raises InvalidError; who stands elsewhere is not there."""
    if found := other_queues_for(actor, item).filter(slug=slug).first():
        return found
    groups = item.group_list()
    if [group.queue.slug for group in groups] == [slug]:
        said = _("It waits there already.")
    elif queue_near_for(actor, item, slug) is None:
        said = _("There is no such queue.")
    elif len(groups) > 1 or any(group.role_id or group.distinct_units for group in groups):
        said = _("Different people must agree on it; it stays with their queues.")
    else:
        said = _("What asks for it says who must agree: it goes up their ladder, or to a queue of the same role.")
    raise InvalidError(errors={"queue": [said]})


@transaction.atomic
def escalate_by_hand(actor: User, *, escalation_id: UUID, reason: str) -> Escalation:
    """Bring an item to the next level now. Raises ConflictError where there is none."""
    item = lock_pending(actor, escalation_id)
    require_mover(actor, item)
    reason = checked_reason(reason)
    _bar_outsider(actor, item)
    if not climb_all(actor, item, item.asked_groups(), why=reason):
        raise ConflictError(_("There is no further level."), state=item.state)
    return item


def _move(actor: User, item: Escalation, queue: Queue, reason: str) -> None:
    """To another queue: of people whom its rule means, up their ladder; of any, to a new start."""
    _bar_outsider(actor, item)
    if item.kind in BOUND:
        (group,) = item.group_list()
        hand_up(actor, item, group, queue, why=reason)
    else:
        reassign_open(actor, queue=queue, reason=reason, id=item.pk)
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(assigned_to=None)
    item.delegations.filter(ended_at=None).update(ended_at=ClockTimestamp())
    item.forget_delegations()
    item.refresh_from_db(fields=["version", "due_at", "warn_at", "claimed_by", "claimed_until", "assigned_to"])
    item.forget_groups()


def _bar_outsider(actor: User, item: Escalation) -> None:
    """Whoever could not decide here is excluded: nobody brings an item within their own reach."""
    if standing_for(actor).why_not(item) is not None and actor.username not in item.exclude:
        exclude = sorted({*item.exclude, actor.username})
        Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(exclude=exclude)
        item.refresh_from_db(fields=["exclude"])


def lock_pending(actor: User, escalation_id: UUID, *, drills: bool = False) -> Escalation:
    """The item, locked, if a person who sees it can still do something about it. Raises what a vote raises."""
    require_human(actor)
    require_visible(actor, escalation_id)
    item = lock_item(escalation_id, drills=drills)
    refuse_ended(actor, item)
    require_item_running(item)
    refuse_late(item)
    return item


def require_mover(actor: User, item: Escalation) -> None:
    """Raise NotAllowedError unless ``actor`` may decide in the item's unit."""
    if not standing_for(actor).may_decide_in(item.unit_id):
        raise NotAllowedError(_("You may not decide in this unit."), code="not_eligible", why="no_permission")


def checked_reason(reason: str, *, is_needed: bool = True) -> str:
    """The words, trimmed. Raises InvalidError where they are missing or too many."""
    text = reason.strip()
    if is_needed and not text:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    if len(text) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("At most %d characters.") % MAX_REASON]})
    return text
