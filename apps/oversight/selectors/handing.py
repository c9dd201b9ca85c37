"""Where an item could go, and what stands in its place."""

from django.db.models import QuerySet

from apps.access.models import Queue
from apps.access.selectors import ancestors_for
from apps.core.models import User
from apps.oversight.models import Escalation


def next_level_of(actor: User, item: Escalation) -> Queue | None:
    """Where an item goes when it waited too long: where its step says, else where its queue does; None: nowhere."""
    assert actor.is_active
    if item.escalate_to is not None:
        following: Queue | None = item.escalate_to
    else:
        levels = [level for group in item.group_list() for level in group.queue.escalation]
        following = Queue.objects.filter(slug=levels[0].get("to", "")).first() if levels else None
    here = {group.queue_id for group in item.group_list()}
    return following if following and {following.pk} != here else None


def other_queues_for(actor: User, item: Escalation) -> QuerySet[Queue]:
    """The queues of the item's unit and above that do not see to it now."""
    near = Queue.objects.filter(unit__in=ancestors_for(actor, item.unit_id)).order_by("name")
    return near.exclude(pk__in=[group.queue_id for group in item.group_list()])


def successor_for(actor: User, item: Escalation) -> Escalation | None:
    """The item that took this one's place: asked again after changes, after a rejection, or instead of it."""
    assert actor.is_active
    return item.successors.only("id", "title", "state").order_by("-id").first()
