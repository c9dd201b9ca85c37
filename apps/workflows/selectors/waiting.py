"""What a run waits for, step by step: people, agents, systems, its turn."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q

from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.workflows.models import Compensation, Exclusive, Run, Step, Task
from apps.workflows.rules.states import CompensationState, RunState, StepState, TaskState


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that a run waits for. ``kind``: people, agent, operation, key, person_to_resume."""

    kind: str
    step: str = ""
    what: str = ""
    since: datetime | None = None
    due_at: datetime | None = None
    queues: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    escalation: UUID | None = None
    action: UUID | None = None
    state: str = ""

    def as_json(self) -> dict[str, Any]:
        """Only what it says."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None, [])}


def waiting_for(actor: User, run: Run) -> list[Waiting]:
    """What ``run`` (fetched through ``run_for``) waits for now; nothing when it is over."""
    assert actor.is_active
    if run.is_over:
        return []
    found = [*_run_waits(run), *_people(run)]
    asked = {(waiting.step, waiting.kind) for waiting in found}
    # A step whose action people weigh waits for them, not for the system.
    busy = [waiting for waiting in _operations(run) if (waiting.step, "people") not in asked]
    return [*found, *_agents(run), *busy]


def _run_waits(run: Run) -> list[Waiting]:
    if run.state == RunState.PAUSED:
        return [Waiting("person_to_resume", since=run.paused_at)]
    if run.started_at is None and run.exclusive:
        holder = Exclusive.objects.filter(key=run.exclusive, holds=True).exclude(run=run).first()
        return [Waiting("key", what=run.exclusive, since=run.created_at, state=str(holder.run_id) if holder else "")]
    return []


def _people(run: Run) -> list[Waiting]:
    items = (
        Escalation.objects.filter(run_id=run.pk, state__in=["pending", "held"])
        .prefetch_related("groups__queue")
        .order_by("due_at")
    )
    return [
        Waiting(
            "people",
            step=item.step,
            what=item.kind,
            since=item.created_at,
            due_at=item.due_at,
            queues=[group.queue.slug for group in item.groups.all()],
            escalation=item.pk,
            state=item.state,
        )
        for item in items
    ]


def _agents(run: Run) -> list[Waiting]:
    open_ones = Q(state__in=[TaskState.READY, TaskState.CLAIMED, TaskState.SCHEDULED])
    rows = (
        Task.objects.filter(open_ones, run=run)
        .values("step", "capability")
        .annotate(
            since=Min("created_at"),
            offered=Count("id", filter=Q(state=TaskState.READY)),
            claimed=Count("id", filter=Q(state=TaskState.CLAIMED)),
        )
        .order_by("step")
    )
    holders: dict[str, list[str]] = {}
    for step, slug in (
        Task.objects.filter(run=run, state=TaskState.CLAIMED).values_list("step", "agent__slug").distinct()
    ):
        holders.setdefault(step, []).append(str(slug))
    return [
        Waiting(
            "agent",
            step=row["step"],
            what=row["capability"],
            since=row["since"],
            agents=holders.get(row["step"], []),
            state="claimed" if row["claimed"] else "offered" if row["offered"] else "scheduled",
        )
        for row in rows
    ]


def _operations(run: Run) -> list[Waiting]:
    opened = {
        (row.name, row.round)
        for row in Step.objects.filter(run=run, current=True, state=StepState.OPEN).only("name", "round")
    }
    taking_back = set(
        Compensation.objects.filter(run=run, state=CompensationState.OPEN).values_list("action_id", flat=True)
    )
    actions = Action.objects.filter(run_id=run.pk, agent=None).exclude(state__in=FINAL_ACTIONS).order_by("id")
    return [
        Waiting(
            "operation",
            step=action.step,
            what=action.operation,
            since=action.created_at,
            action=action.pk,
            state=action.state,
        )
        for action in actions
        if (action.step, action.round) in opened or action.pk in taking_back
    ]
