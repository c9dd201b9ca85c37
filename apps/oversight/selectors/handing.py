"""Where an item could go, and what stands in its place."""

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from apps.access.models import Queue, Role
from apps.access.rules import Rung, Target, TargetKind, ladder
from apps.access.selectors import ancestors_for, escalation_policies, last_resort_of, on_duty_of
from apps.core.models import User
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import BOUND, EscalationState
from apps.oversight.selectors.eligibility import reachable_by


def rungs_of(item: Escalation, group: EscalationGroup) -> list[Rung]:
    """The whole ladder of a group, from the queue where it began; first where the item's step says."""
    last = last_resort_of(item.unit_id)
    start, first = group.home or group.queue, list[Rung]()
    if item.escalate_to is not None:
        start, first = item.escalate_to, [Rung(Target(TargetKind.QUEUE, item.escalate_to.slug), None)]
    return [*first, *ladder(start.slug, escalation_policies(), last_resort=last.slug if last else None)]


def next_rung(
    actor: User, item: Escalation, group: EscalationGroup, rungs: Sequence[Rung], *, is_due: bool = True
) -> tuple[Rung | None, int]:
    """The next rung that leads to somebody who may decide, and how many are taken with it.

    ``is_due``: the last queue is taken even where nobody is there yet.
    """
    for taken, rung in enumerate(rungs[group.rung :], group.rung + 1):
        if reachable_by(actor, item, group, rung.target):
            return rung, taken
        if is_due and taken == len(rungs) and _named(rung.target) is not None:
            return rung, taken
    return None, max(group.rung, len(rungs))


def _named(target: Target) -> Queue | Role | User | None:
    match target.kind:
        case TargetKind.QUEUE:
            return Queue.objects.filter(slug=target.name).first()
        case TargetKind.ROLE:
            return Role.objects.filter(slug=target.name).first()
        case TargetKind.ROTA:
            return on_duty_of(target.name)
    return User.objects.filter(username=target.name, kind="human", is_active=True).first()


def next_level_of(actor: User, item: Escalation) -> Queue | Role | User | None:
    """Whom an item asks next when it waited too long; None: nobody."""
    if item.state != EscalationState.PENDING:
        return None
    for group in item.asked_groups():
        rung, _ = next_rung(actor, item, group, rungs_of(item, group))
        if rung is not None:
            return _named(rung.target)
    return None


def other_queues_for(actor: User, item: Escalation) -> QuerySet[Queue]:
    """The queues to which an item may be handed on: those of its ladder, and those of its unit and above.

    Where a rule or a step says who must agree, of the latter only those that ask no others than it did: the same role,
    held where its own queue stands or above. None where several groups, a role or different units must agree.
    """
    groups = item.group_list()
    if len(groups) != 1 or groups[0].role_id or groups[0].distinct_units:
        return Queue.objects.none()
    (group,) = groups
    first = group.home or group.queue
    near = Q(unit__in=ancestors_for(actor, item.unit_id))
    if item.kind in BOUND:
        near = Q(unit__in=ancestors_for(actor, first.unit_id), role=first.role_id)
    named = [rung.target.name for rung in rungs_of(item, group) if rung.target.kind == TargetKind.QUEUE]
    return Queue.objects.filter(near | Q(slug__in=named)).exclude(pk=group.queue_id).order_by("name")


def queue_near_for(actor: User, item: Escalation, slug: str) -> Queue | None:
    """A queue of the item's unit and above; None for those of other units as for none at all."""
    return Queue.objects.filter(slug=slug, unit__in=ancestors_for(actor, item.unit_id)).first()


def successor_for(actor: User, item: Escalation) -> Escalation | None:
    """The item that took this one's place: asked again after changes, after a rejection, or instead of it."""
    assert actor.is_active
    return item.successors.only("id", "title", "state").order_by("-id").first()
