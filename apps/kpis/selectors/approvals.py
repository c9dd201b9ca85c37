"""What of the figures waits, or waited at some time, for a second person: baselines, corrections, removals."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery

from apps.audit.models import Entry
from apps.core.gate import scope_for
from apps.core.models import User
from apps.kpis.models import Baseline
from apps.kpis.selectors.definitions import definitions_for
from apps.workflows.models import Workflow

MANAGE = "kpis.manage_target"
REMOVAL_ASKED = "baseline.removal_asked"
DECLINED = "baseline.declined"


@dataclass(frozen=True, slots=True)
class Approval:
    """One baseline that waits: ``what`` of it is ``baseline``, ``correction`` or ``removal``; ``over`` by now."""

    what: str
    kpi: str
    workflow: str
    who: str
    over: bool


def approvals_for(actor: User, *, at: datetime, below: Collection[UUID] | None = None) -> list[Approval]:
    """What waited ``at`` that time of baselines on which ``actor`` answers, in the units ``below`` or in all.

    By rights alone: what somebody entered is named to them as well, for somebody else to approve.
    """
    rows = _answered_by(actor, below).filter(created_at__lt=at).select_related("entered_by", "removal_by")
    rows = rows.filter(kpi__in=list(definitions_for(actor))).order_by("workflow", "kpi", "number")
    stood = Q(ended_at=None) | Q(ended_at__gte=at)
    unapproved = rows.filter(stood & (Q(approved_at=None) | Q(approved_at__gte=at)))
    corrected = set(Baseline.objects.filter(stood, approved_at__lt=at).values_list("slug", flat=True))
    found = [
        Approval(
            what="correction" if row.corrects_id or row.slug in corrected else "baseline",
            kpi=row.kpi,
            workflow=row.workflow,
            who=str(row.entered_by or ""),
            over=row.approved_at is not None or row.ended_at is not None,
        )
        for row in unapproved
    ]
    return found + _removals(rows.filter(stood, approved_at__lt=at), at)


def _answered_by(actor: User, below: Collection[UUID] | None) -> QuerySet[Baseline]:
    """The baselines that ``actor`` may set: those of workflows in their units; of all workflows who may everywhere."""
    scope = scope_for(actor, MANAGE)
    rows = Baseline.objects.all() if actor.is_human else Baseline.objects.none()
    flows = Workflow.objects.all() if below is None else Workflow.objects.filter(unit__in=below)
    if scope.everywhere:
        return rows if below is None else rows.filter(workflow__in=flows.values("slug"))
    return rows.filter(workflow__in=flows.filter(unit__in=scope.units).values("slug"))


def _removals(rows: QuerySet[Baseline], at: datetime) -> list[Approval]:
    """Of those which removal was asked for and not declined before; the ledger knows when."""
    said = Entry.objects.filter(subject_id=OuterRef("pk"), name__in=[REMOVAL_ASKED, DECLINED], occurred_at__lt=at)
    last = said.order_by("-id")
    rows = rows.annotate(said=Subquery(last.values("name")[:1]), asked_by=Subquery(last.values("actor")[:1]))
    waiting = list(rows.filter(said=REMOVAL_ASKED))
    people = User.objects.in_bulk({row.asked_by for row in waiting})
    return [
        Approval(
            what="removal",
            kpi=row.kpi,
            workflow=row.workflow,
            who=str(people[row.asked_by]),
            over=row.removal_by_id is None or row.ended_at is not None,
        )
        for row in waiting
    ]
