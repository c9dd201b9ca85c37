"""Handing on, putting aside, giving more time: what bounds them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from apps.oversight.rules.states import Kind

MAX_CHAIN = 3
"""How many people may stand behind a delegate."""
BOUND = frozenset({Kind.ACTION, Kind.APPROVAL, Kind.REVIEW})
"""Kinds whose rule or step says who must agree: handing one on never asks people whom it did not mean."""
WARN_AFTER = 0.8
"""The share of an item's time after which it warns: nothing stays put aside beyond that."""
EXTENSION_FACTOR = 2
"""How many times a queue's own time an item may wait in all, however often it is extended."""


EXTENSION_MAX_S = 10 * 366 * 86_400
"""More than anybody gives, and few enough seconds to reckon with."""


def warning_of(opened: datetime, due: datetime) -> datetime:
    """When four fifths of the time from ``opened`` to ``due`` are over."""
    return opened + (due - opened) * WARN_AFTER


def snooze_problem(until: datetime, *, now: datetime, warning: datetime, deadline: datetime) -> str | None:
    """Why an item cannot be put aside until then: ``past``, ``after_deadline``, ``too_late``; None if it can.

    ``deadline``: when it is due or expires, whichever is first. Beyond ``warning`` nothing is put aside any more;
    an ``until`` between the two is cut to ``warning``.
    """
    if until <= now:
        return "past"
    if until > deadline:
        return "after_deadline"
    return "too_late" if warning <= now else None


def extension_bound(opened: datetime, *, expires_s: Iterable[int], expires_in_s: int | None) -> datetime:
    """The latest end of an item opened then: twice the shortest time of its queues; a rule's own time is final."""
    if expires_in_s is not None:
        return opened + timedelta(seconds=expires_in_s)
    return opened + timedelta(seconds=EXTENSION_FACTOR * min(expires_s))


def acted_for(handed: Iterable[tuple[str, str]], person: str) -> frozenset[str]:
    """Everybody for whom ``person`` acts: who handed an item to them, and to those, and so on; never themselves.

    ``handed``: the live hand-overs of one item as ``(from, to)``. A circle ends where it began.
    """
    pairs = list(handed)
    found: set[str] = set()
    waiting = [person]
    while waiting:
        at = waiting.pop()
        fresh = {giver for giver, taker in pairs if taker == at} - found - {person}
        found |= fresh
        waiting += sorted(fresh)
    return frozenset(found)
