"""What a halt took back: what was released and not begun, and decisions that were still held."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery

from apps.agents.selectors import actions_for
from apps.core.models import User
from apps.halts.models import Halt
from apps.oversight.models import Escalation, Grant, Vote
from apps.oversight.selectors.escalations import escalations_for


@dataclass(frozen=True, slots=True)
class TakenBack:
    """How much a halt took back of what one may see: grants, and held decisions that it opened again."""

    grants: int = 0
    decisions: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.grants + self.decisions


def grants_taken_back_for(actor: User, halt: Halt) -> QuerySet[Grant]:
    """The grants that ``halt`` took back of actions that ``actor`` may see, newest first.

    ``now_item``: the newest item of the action that they may see, where people were asked.
    """
    items = escalations_for(actor).filter(action=OuterRef("action"), kind="action").order_by("-id")
    rows = _grants(actor, [halt.pk]).select_related("action__agent", "escalation__decided_by")
    return rows.annotate(now_item=Subquery(items.values("pk")[:1])).order_by("-id")


def decisions_taken_back_for(actor: User, halt: Halt) -> QuerySet[Escalation]:
    """The items that ``actor`` may see whose held decision ``halt`` opened again, newest first."""
    opened = Vote.objects.filter(halt=halt).values("escalation")
    return escalations_for(actor).filter(pk__in=opened).order_by("-id")


def taken_back_by(actor: User, halts: Iterable[UUID]) -> dict[UUID, TakenBack]:
    """How much each of these halts took back of what ``actor`` may see. Two queries, whatever their number."""
    ids = list(halts)
    grants = dict(_grants(actor, ids).values_list("halt").annotate(Count("pk")).order_by())
    seen = escalations_for(actor).values("pk")
    votes = Vote.objects.filter(halt__in=ids, escalation__in=seen).values_list("halt")
    decisions = dict(votes.annotate(Count("escalation", distinct=True)).order_by())
    return {pk: TakenBack(grants.get(pk, 0), decisions.get(pk, 0)) for pk in ids}


def _grants(actor: User, halts: list[UUID]) -> QuerySet[Grant]:
    return Grant.objects.filter(halt__in=halts, action__in=actions_for(actor).order_by().values("pk"))
