"""How a drill ends: answered by its person, or taken away. Its copy of the real item's words goes with it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import blank_answers, one_by_one, system_user
from apps.halts.models import Halt
from apps.oversight.models import Drill, Escalation, EscalationGroup
from apps.oversight.rules import DrillOutcome, EscalationState, VoteVerdict, outcome_of
from apps.oversight.selectors import changed_since_judged
from apps.oversight.selectors.drills import why_not_drilled

UNKEPT_VERDICT = frozenset({"facts", "trace"})
"""What of the verdict holds values of the copy."""


def answer_drill(
    actor: User, item: Escalation, *, verdict: VoteVerdict, edited: Mapping[str, Any] | None
) -> Escalation:
    """End a locked drill with what its person said; the item is cancelled: no vote, no count, no release, no run.

    ``edited``: the parameters that they would have approved, None where they changed nothing.
    """
    if item.drill_for_id != actor.pk:
        raise NotAllowedError(_("This is a drill for somebody else."), code="not_eligible", why="excluded")
    drill = Drill.objects.select_related("source__action", "queue", "item").get(item=item)
    _end(actor, drill, outcome_of(verdict, drill.fault_planted, edited), verdict=verdict)
    item.refresh_from_db()
    return item


@transaction.atomic
def end_touched_drill(actor: User, *, escalation_id: UUID) -> None:
    """Before ``actor`` does something else with an item than decide it, claim it or put it aside.

    Nothing, unless it is a drill for them that waits: whoever hands one on, asks about it or proposes a rule has looked
    at it, and is told. It ends here, neither caught nor missed; the act itself then finds a drill and is refused.
    """
    waiting = Drill.objects.filter(outcome=DrillOutcome.OPEN, item=escalation_id, item__drill_for=actor)
    if drill := waiting.select_related("queue", "item").first():
        withdraw_drill(actor, drill, "touched")


def sweep_open_drills() -> int:
    """Take those away that may not stand any more; how many. Each minute, and when something is halted.

    Nobody is exercised while a halt stands, and whoever halted because of a drill learns that it was one.
    """
    plane = system_user("plane")
    return one_by_one(lambda pk: _sweep(plane, pk), _open_ids())


def _open_ids() -> list[UUID]:
    return list(Drill.objects.filter(outcome=DrillOutcome.OPEN).order_by("id").values_list("pk", flat=True))


@transaction.atomic
def _sweep(plane: User, drill_id: UUID) -> int:
    parts = ("queue", "item__drill_for", "item__unit", "item__agent__owner", "source__action__version")
    drill = Drill.objects.select_related(*parts).get(pk=drill_id)
    why = _why_over(drill)
    return withdraw_drill(plane, drill, why) if why else 0


def _why_over(drill: Drill) -> str:
    """Why a drill that waits may not wait on; empty where it may."""
    item, real = drill.item, drill.source.action
    if Halt.objects.filter(lifted_at=None).exists():
        return "halted"
    if min(item.due_at, item.expires_at or item.due_at) <= database_now():
        return "not_answered"
    if real is None or changed_since_judged(real):
        return "source_changed"
    return why_not_drilled(drill)


def withdraw_drill(actor: User, drill: Drill, why: str) -> int:
    """Take one away; 0 where somebody ended it meanwhile."""
    try:
        with transaction.atomic():
            _end(actor, drill, DrillOutcome.WITHDRAWN, why=why)
    except ConflictError:
        return 0
    return 1


def withdraw_drills_of(actor: User, *, sources: Sequence[UUID]) -> None:
    """Their sources are erased: take those away that wait, and what all of them still hold of the real values.

    Called behind the erasure of the sources: whoever copies one locks it first, so none comes after this.
    """
    of_them = Drill.objects.filter(source__in=sources)
    for drill in of_them.filter(outcome=DrillOutcome.OPEN).select_related("queue", "item").order_by("id"):
        withdraw_drill(actor, drill, "source_erased")
    of_them.update(planted=None, amount_minor=None, target="", consequence="")
    blank_answers(ids=list(of_them.values_list("pk", flat=True)))


def _end(actor: User, drill: Drill, outcome: DrillOutcome, *, verdict: str = "", why: str = "") -> None:
    """The end of item and drill in one transaction. The copy's words go; the fault and the way to the real item stay.

    Raises ConflictError ``cancelled`` where it is over.
    """
    ended = {
        "state": EscalationState.CANCELLED,
        "ended_at": ClockTimestamp(),
        "claimed_by": None,
        "claimed_until": None,
        "title": _("Drill in %s") % drill.queue,
        "consequence": "",
        "reason": "drill",
        "verdict": {name: value for name, value in drill.item.verdict.items() if name not in UNKEPT_VERDICT},
    }
    waiting = Escalation.everything.filter(drill_for__isnull=False, pk=drill.pk, state=EscalationState.PENDING)
    if waiting.update(**ended) != 1:
        raise ConflictError(_("This drill is over."), code="cancelled")
    EscalationGroup.objects.filter(escalation=drill.pk).update(is_open=False)
    said = {"outcome": outcome, "verdict": verdict, "ended_at": ClockTimestamp(), "why": why}
    Drill.objects.filter(pk=drill.pk).update(**said, consequence="", target="")
    name = "drill.withdrawn" if outcome == DrillOutcome.WITHDRAWN else "drill.answered"
    payload = {"fault": drill.fault, "queues": [drill.queue.slug], "verdict": verdict, "outcome": outcome, "why": why}
    record(actor, drill, name, payload=payload)
