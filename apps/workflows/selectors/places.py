"""Where in a run an action belongs."""

from dataclasses import dataclass
from uuid import UUID

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.core.errors import ConflictError, NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.workflows.models import Run, Task
from apps.workflows.rules.states import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a run an action belongs; everything empty outside one.

    ``unit``, ``risk`` and ``owner`` are the workflow's: they stand in for the agent's where the workflow itself asks.
    ``run_unit_id`` is where the run was started: a halt there stops the action too. ``compensates``: the action that
    is taken back.
    """

    run_id: UUID | None = None
    run_unit_id: UUID | None = None
    workflow: str = ""
    step: str = ""
    round: int | None = None
    item: int | None = None
    task_id: UUID | None = None
    key: str = ""
    started_by: str = ""
    unit: BusinessUnit | None = None
    risk: str = "medium"
    owner: str = ""
    purpose: str = "act"
    compensates: UUID | None = None


OUTSIDE = Place()


def place_of_task(actor: User, task_id: UUID) -> Place:
    """The place of a task that the agent ``actor`` holds now. Raises NotFoundError, or ConflictError ``lease_lost``."""
    rows = Task.objects.select_related("run__workflow", "run__started_by").filter(pk=task_id, agent__user=actor)
    task = rows.first()
    if task is None:
        raise NotFoundError
    if task.state != TaskState.CLAIMED or not rows.filter(lease_until__gt=ClockTimestamp()).exists():
        raise ConflictError("The lease on this task is lost.", code="lease_lost")
    return Place(
        run_id=task.run_id,
        run_unit_id=task.run.unit_id,
        workflow=task.run.workflow.slug,
        step=task.step,
        round=task.round,
        item=task.item,
        task_id=task.pk,
        key=task.run.key or "",
        started_by=task.run.started_by.username,
    )


def place_of_action(actor: User, action: Action) -> Place:
    """The place that an action has had since it was asked for; ``actor`` is whoever holds it locked."""
    rows = Run.objects.select_related("workflow__owner", "started_by")
    run = rows.filter(pk=action.run_id).first() if action.run_id else None
    if run is None:
        wanted_by = str(action.verdict.get("facts", {}).get("run.started_by", ""))  # of what is undone: whoever asked
        undone = action.compensates_id
        return Place(unit=action.unit, purpose=action.purpose, compensates=undone, started_by=wanted_by)
    return Place(
        run_id=run.pk,
        run_unit_id=run.unit_id,
        workflow=run.workflow.slug,
        step=action.step,
        round=action.round,
        item=action.item,
        task_id=action.task_id,
        key=run.key or "",
        started_by=run.started_by.username,
        unit=action.unit,
        risk=run.workflow.risk,
        owner=run.workflow.owner.username if run.workflow.owner else "",
        purpose=action.purpose,
        compensates=action.compensates_id,
    )
