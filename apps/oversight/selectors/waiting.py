"""What waits for a person, in the inbox's order and counted: what every page of theirs reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from django.db.models import CharField, JSONField, Q, QuerySet

from apps.core.gate import holds, reader, visible_when_read
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.core.rules import Risk
from apps.core.walking import along_an_index
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState
from apps.oversight.selectors.eligibility import DECIDE, VIEW, called_to, standing_for
from apps.oversight.selectors.escalations import (
    INBOX_ORDER,
    Named,
    asked_of,
    barred_from,
    in_hand_of,
    inbox_for,
    shown_in_lists,
    voted_by,
)

MENU_CAP = 200
"""Beyond so many the exact number helps nobody, and would cost every page."""
READ = MENU_CAP + 2
"""As many as the menu counts, one that says there are more, and one that is about to be decided."""


class Waiting(NamedTuple):
    """An item that waits: until when, which, how grave."""

    due_at: datetime
    id: UUID
    risk: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits; ``is_capped``: at least so many."""

    mine: int
    grave: int
    is_capped: bool

    def __str__(self) -> str:
        return f"{self.mine:,}+" if self.is_capped else f"{self.mine:,}"

    @classmethod
    def of(cls, waiting: Sequence[Waiting], *, cap: int = MENU_CAP) -> Self:
        """Of items of which those beyond ``cap`` only say that there are more."""
        grave = sum(item.risk in {Risk.HIGH, Risk.CRITICAL} for item in waiting[:cap])
        return cls(min(len(waiting), cap), grave, is_capped=len(waiting) > cap)

    @classmethod
    def without(cls, waiting: Sequence[Waiting], item_id: UUID) -> Self:
        """What there will be when an item is decided, from ``first_for`` before."""
        return cls.of([item for item in waiting if item.id != item_id])


def counts_for(actor: User, *, cap: int = MENU_CAP) -> Counts:
    """How many items ``actor`` may decide now, and how many of them are of a high tier; stops counting at ``cap``."""
    return Counts.of(first_for(actor), cap=cap)


def first_for(actor: User) -> list[Waiting]:
    """The first ``READ`` items that ``actor`` may decide now, as the inbox orders them: what ``inbox_for`` gives."""
    if not (actor.is_human and holds(actor, DECIDE)):
        return []
    standing = standing_for(actor)
    if standing.places or called_to(actor):  # few people at a time; their conditions differ from one to the next
        with along_an_index():
            return [Waiting(*row) for row in inbox_for(actor).values_list("due_at", "pk", "risk")[:READ]]
    asked = {"person": actor.pk, "queues": list(standing.queues), **reader(actor, VIEW)}
    named = {"name": actor.username, "listed": json.dumps(actor.username)}
    author = json.dumps({"authors": [actor.username]})
    deciding = {f"deciding_{name}": value for name, value in reader(actor, DECIDE).items()}
    with along_an_index():
        return [Waiting(*row) for row in _first(**asked, **named, **deciding, author=author)]


def _to_decide() -> QuerySet[Escalation, tuple[datetime, UUID, str]]:
    """``inbox_for`` as one compiles it for everybody; tests compare them."""
    person = Slot("person")
    me = Named(Slot("name", CharField()), Slot("listed", JSONField()), Slot("author", JSONField()))
    rows = visible_when_read(DECIDE, visible_when_read(VIEW, shown_in_lists(person)), slots="deciding_")
    unsaid = ~voted_by(Q(voter=person), me) & ~barred_from(me)
    rows = rows.filter(asked_of(Slot("queues")), unsaid, state=EscalationState.PENDING).filter(in_hand_of(person))
    return rows.order_by(*INBOX_ORDER).values_list("due_at", "pk", "risk")[:READ]


_first = Prepared(_to_decide, is_list=True)
