"""Rows that tell of a moment, and how two of them become one event."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.kpis.rules.eventlogs.clocks import Clock
from apps.kpis.rules.eventlogs.events import Event, LogError, name_of

STANDARD = frozenset({
    "schedule", "assign", "reassign", "withdraw", "start", "suspend", "resume", "complete", "autoskip", "manualskip",
    "ate_abort", "pi_abort", "unknown",
})  # fmt: skip
"""The transitions of the standard's life cycle; all but start and complete are no rows."""


@dataclass(slots=True)
class Moment:
    """A row as it stands in the file; None where it says nothing."""

    line: int
    case: str = ""
    name: str = ""
    time: str | None = None
    resource: str = ""
    transition: str = ""
    cost: Decimal | None = None
    group: str = ""

    def amount(self) -> Decimal | None:
        """What it cost; asked only of rows whose cost counts. Raises LogError."""
        return self.cost


@dataclass(frozen=True, slots=True)
class Places:
    """What the file calls the parts of a row: where a fault is."""

    name: str = "concept:name"
    time: str = "time:timestamp"
    resource: str = "org:resource"
    transition: str = "lifecycle:transition"


def paired(moments: Sequence[Moment], clock: Clock, places: Places) -> Iterator[Event]:
    """The events of these rows, in their order. Raises LogError.

    ``start`` opens, ``complete`` closes the oldest open start of the same activity in the case; a complete without one
    starts when it completes, a start without complete is no event. A group did what neither of the two names a person
    of. Where any transition is none of the standard's, each row is an event of the activity ``name/transition``.
    """
    transitions = {moment.transition.strip().lower() for moment in moments}
    if transitions - STANDARD - {""}:
        yield from (event_of(moment, clock, places, with_transition=True) for moment in moments)
        return
    open_starts: dict[tuple[str, str], deque[tuple[Moment, Event]]] = defaultdict(deque)
    for moment in moments:
        transition = moment.transition.strip().lower()
        if transition not in {"", "start", "complete"}:
            continue
        event = event_of(moment, clock, places, with_cost=transition != "start")
        opened = open_starts[event.case, event.activity]
        if transition == "start":
            opened.append((moment, event))
        elif transition == "complete" and opened:
            first, began = opened.popleft()
            if began.start > event.complete:
                raise LogError(f"{event.activity!r} ends before it starts.", moment.line)
            named = [one.resource for told, one in ((moment, event), (first, began)) if told.resource.strip()]
            resource = named[0] if named else event.resource or began.resource
            cost = event.cost if event.cost is not None else first.amount()
            yield event._replace(start=began.start, resource=resource, cost=cost)
        else:
            yield event


def event_of(
    moment: Moment, clock: Clock, places: Places, *, with_transition: bool = False, with_cost: bool = True
) -> Event:
    """The row alone, as an event that takes no time. Raises LogError."""
    activity = name_of(moment.name, "activity", moment.line, places.name)
    if not activity:
        raise LogError(f"The event has no {places.name}: what happened?", moment.line)
    if with_transition and (transition := moment.transition.strip()):
        activity = name_of(f"{activity}/{transition}", "activity", moment.line, places.transition)
    if moment.time is None:
        raise LogError(f"The event has no {places.time}: when did it happen?", moment.line)
    at = clock.instant(moment.time, moment.line, places.time)
    resource = name_of(moment.resource.strip() or moment.group, "resource", moment.line, places.resource)
    return Event(moment.case, activity, at, at, resource, moment.amount() if with_cost else None)
