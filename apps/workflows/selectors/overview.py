"""Runs in a list: what they need somebody for, and how many there are of a workflow."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Case, Count, Exists, IntegerChoices, IntegerField, OuterRef, Q, QuerySet, When

from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind as Item
from apps.workflows.models import Run, Workflow, WorkflowPermission
from apps.workflows.rules.states import RUN_OPEN, RunState
from apps.workflows.selectors.definitions import workflows_for

ATTENTION = "attention"


class Trouble(IntegerChoices):
    """What a run needs somebody for, the gravest first."""

    FAILING = 0
    LATE = 1
    PAUSED = 2
    WAITING = 3
    NONE = 9


TROUBLES = {"failing": Trouble.FAILING, "late": Trouble.LATE, "paused": Trouble.PAUSED, "waiting": Trouble.WAITING}
"""By the word in addresses; the last two are states of runs as well."""
RECENT_DAYS = 30
STORY_LINES = 400


@dataclass(frozen=True, slots=True)
class WorkflowLine:
    """A workflow with the numbers of its runs."""

    workflow: Workflow
    open: int
    waiting: int
    late: int
    recent: int


def filtered(rows: QuerySet[Run], state: str, workflow: str, text: str) -> QuerySet[Run]:
    """``rows`` of one state (``attention``: waiting, failing or late), one workflow, and with a key like ``text``.

    ``attention`` is in an order of its own: the gravest first, then who waits longest.
    """
    if state == ATTENTION:
        rows = with_trouble(_open(rows)).filter(trouble__lt=Trouble.NONE).order_by("trouble", "id")
    elif state in ("failing", "late"):
        rows = with_trouble(_open(rows)).filter(trouble=TROUBLES[state])
    elif state == "open":
        rows = _open(rows)
    elif state:
        rows = rows.filter(state=state)
    if workflow:
        rows = rows.filter(workflow__slug=workflow)
    return rows.filter(key__startswith=text) if text else rows


def _open(rows: QuerySet[Run]) -> QuerySet[Run]:
    """Those that have not ended: few of all, and found by an index of their own."""
    return rows.filter(state__in=sorted(RUN_OPEN))


def with_trouble(rows: QuerySet[Run]) -> QuerySet[Any]:
    """Each run with the gravest thing that it needs somebody for, as ``trouble``; open ones alone have any."""
    failing = Escalation.objects.filter(run_id=OuterRef("pk"), state="pending", kind__in=[Item.EXCEPTION, Item.UNKNOWN])
    return rows.annotate(
        trouble=Case(
            When(~Q(state__in=sorted(RUN_OPEN)), then=Trouble.NONE),
            When(Q(state=RunState.COMPENSATION_FAILED) | Q(Exists(failing)), then=Trouble.FAILING),
            When(overdue_at__isnull=False, then=Trouble.LATE),
            When(state=RunState.PAUSED, then=Trouble.PAUSED),
            When(state=RunState.WAITING, then=Trouble.WAITING),
            default=Trouble.NONE,
            output_field=IntegerField(),
        )
    )


def troubles_in(actor: User, rows: QuerySet[Run]) -> dict[str, int]:
    """How many of ``rows`` (seen by ``actor``) are in each trouble, by its word in addresses."""
    assert actor.is_active
    opened = with_trouble(_open(rows)).order_by()
    counted = dict(opened.values_list("trouble").annotate(n=Count("pk")))
    return {word: counted.get(trouble, 0) for word, trouble in TROUBLES.items()}


def workflow_lines_for(actor: User) -> list[WorkflowLine]:
    """Workflows that ``actor`` may see, with the numbers of their runs; two queries."""
    rows = list(workflows_for(actor).select_related("active").defer("active__source", "active__compiled"))
    numbers = {
        line["workflow"]: line
        for line in Run.objects.filter(workflow__in=rows)
        .filter(Q(state__in=sorted(RUN_OPEN)) | Q(finished_at__gt=ClockTimestamp() - timedelta(days=RECENT_DAYS)))
        .values("workflow")
        .annotate(
            open=Count("id", filter=Q(state__in=sorted(RUN_OPEN))),
            waiting=Count("id", filter=Q(state=RunState.WAITING)),
            late=Count("id", filter=Q(state__in=sorted(RUN_OPEN), overdue_at__isnull=False)),
            recent=Count("id", filter=Q(finished_at__isnull=False)),
        )
    }
    nothing = {"open": 0, "waiting": 0, "late": 0, "recent": 0}
    return [
        WorkflowLine(row, *(numbers.get(row.pk, nothing)[name] for name in ("open", "waiting", "late", "recent")))
        for row in rows
    ]


def story_of(actor: User, run: Run) -> list[Entry]:
    """What happened in a run (fetched through ``run_for``), oldest first; claims and offers of tasks left out."""
    assert actor.is_active
    rows = Entry.objects.filter(trail_id=run.pk).exclude(name__in=["task.ready", "effect.prepared", "effect.claimed"])
    return list(rows.select_related("actor").order_by("id")[:STORY_LINES])


def agents_of(actor: User, workflow: Workflow) -> QuerySet[WorkflowPermission]:
    """Who may take the tasks of a workflow (fetched through ``workflow_for``)."""
    assert actor.is_active
    live = WorkflowPermission.live()
    rows = WorkflowPermission.objects.filter(live, content_object=workflow, permission__codename="work_workflow")
    return rows.select_related("user__agent").order_by("user__username")
