"""When an item that comes to a queue is due there, warned of, and brought up."""

from datetime import datetime
from typing import Any

from apps.access.models import Queue
from apps.access.rules import OpenHours, due_after, part_of
from apps.access.selectors import open_hours_of
from apps.core.models import database_now
from apps.oversight.models import Escalation
from apps.oversight.rules import WARN_AFTER

SEEN_WITHIN = 0.5
"""The share of an item's time within which somebody has to see it, where its queue does not say otherwise."""


def warning_at(now: datetime, hours: OpenHours | None, due: datetime) -> datetime:
    """When four fifths of the time until ``due`` are over."""
    return part_of(now, due, hours, WARN_AFTER)


def times_at(
    now: datetime, queue: Queue, hours: OpenHours | None, due: datetime, *, at_due: bool = False
) -> dict[str, Any]:
    """When a group that comes to ``queue`` now takes the next rung: by the time, and if nobody has seen the item.

    ``at_due``: not before the item is due, whatever the queue's levels say: its step set that time itself.
    """
    levels = queue.escalation
    climbs = due if at_due or not levels else due_after(now, hours, int(levels[0]["after_s"]))
    within = queue.unseen_after_s
    unseen = due_after(now, hours, within) if within else part_of(now, due, hours, SEEN_WITHIN)
    return {"climbs_at": climbs, "unseen_at": min(unseen, climbs)}


def arrival_times(item: Escalation, queue: Queue, *, at_due: bool = False) -> dict[str, Any]:
    """The same for an item whose due time is set."""
    return times_at(database_now(), queue, open_hours_of(queue), item.due_at, at_due=at_due)
