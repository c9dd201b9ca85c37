"""Where an item could go, and what stands in its place."""

from collections.abc import Sequence

from django.db.models import QuerySet

from apps.access.models import Queue, Role
from apps.access.rules import Rung, Target, TargetKind, ladder
from apps.access.selectors import ancestors_for, escalation_policies, last_resort_of, on_duty_of
from apps.core.models import User
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState
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
    """The queues of the item's unit and above that do not see to it now."""
    near = Queue.objects.filter(unit__in=ancestors_for(actor, item.unit_id)).order_by("name")
    return near.exclude(pk__in=[group.queue_id for group in item.group_list()])


def successor_for(actor: User, item: Escalation) -> Escalation | None:
    """The item that took this one's place: asked again after changes, after a rejection, or instead of it."""
    assert actor.is_active
    return item.successors.only("id", "title", "state").order_by("-id").first()
