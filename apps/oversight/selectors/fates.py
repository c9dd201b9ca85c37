"""What became of what a person decided, as a condition each: for the page's rows, and to filter by."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Value, When

from apps.agents.rules import ActionState
from apps.connectors.rules import EffectState
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.oversight.models import Escalation, Grant
from apps.oversight.rules import DECIDED, EscalationState, Fate, GrantState, Kind

WRONG, RIGHT = ("wrong", "harmful"), ("right",)


def conditions() -> Mapping[Fate, Q]:
    """The first that fits tells the fate; an item that fits none went on."""
    live = Grant.objects.filter(Grant.unexpired(), escalation=OuterRef("pk"), state=GrantState.LIVE)
    approved = Q(state=EscalationState.APPROVED, kind=Kind.ACTION)
    return {
        Fate.OPEN: Q(state__in=[EscalationState.PENDING, EscalationState.HELD]),
        Fate.OVERTURNED: approved & Q(_reviewed(WRONG)),
        Fate.REVERSED: approved & Q(action__state=ActionState.COMPENSATED),
        Fate.MISMATCH: approved & Q(action__carried_out__state=EffectState.MISMATCH),
        Fate.VERIFIED: approved
        & Q(action__state=ActionState.SUCCEEDED)
        & (Q(_reviewed(RIGHT)) | Q(action__carried_out__state=EffectState.VERIFIED)),
        Fate.CARRIED_OUT: approved & Q(action__state=ActionState.SUCCEEDED),
        Fate.FAILED: approved & Q(action__state=ActionState.FAILED),
        Fate.UNKNOWN: approved & Q(action__state=ActionState.UNKNOWN),
        Fate.UNDER_WAY: approved & Q(action__state=ActionState.EXECUTING),
        Fate.WAITING: approved & Q(Exists(live), action__state=ActionState.APPROVED),
        Fate.UNUSED: approved,
        Fate.SENT_BACK: Q(state=EscalationState.CHANGES_REQUESTED),
        Fate.NOT_RUN: Q(state=EscalationState.REJECTED) | ~Q(state__in=sorted(DECIDED)),
    }


def condition_of(fate: str) -> Q:
    """Exactly the items with this fate: it fits, and none before it does."""
    known = conditions()
    wanted = Q()
    for name, condition in known.items():
        if name == fate:
            return wanted & condition
        wanted &= ~condition
    return wanted


def fates_for(actor: User, ids: Iterable[UUID]) -> dict[UUID, Fate]:
    """What became of items that ``actor`` fetched through a selector of items. One query."""
    assert actor.is_active
    return {row.pk: Fate(row.told) for row in _told(ids=list(ids))}


def _with_fate() -> QuerySet[Escalation]:
    whens = [When(condition, then=Value(str(fate))) for fate, condition in conditions().items()]
    told = Case(*whens, default=Value(str(Fate.WENT_ON)), output_field=CharField())
    return Escalation.objects.filter(pk__any_of=Slot("ids")).annotate(told=told).order_by().only("pk")


_told: Prepared[Any] = Prepared(_with_fate, is_list=True)


def _reviewed(verdicts: tuple[str, ...]) -> Exists:
    """Whether a person looked at the action afterwards and said one of ``verdicts``."""
    reviews = Escalation.objects.filter(kind=Kind.REVIEW, state=EscalationState.ANSWERED, action=OuterRef("action"))
    return Exists(reviews.filter(Q(answer__in=verdicts) | Q(answer__verdict__in=verdicts)))
