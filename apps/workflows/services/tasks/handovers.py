"""When another version of an agent takes over: what the one before holds it finishes, or it goes back to the queue."""

from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from apps.agents.models import Action, AgentVersion
from apps.agents.rules import ActionState, Environment, VersionState
from apps.audit.services import Change, advance, record_many
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.workflows.models import Attempt, Task
from apps.workflows.rules.states import AttemptState, RunState, TaskState
from apps.workflows.services.engine import locked_run
from apps.workflows.services.engine.ending import attempt_of
from apps.workflows.services.tasks.leases import back_to_queue

UNDER_WAY = (ActionState.PROPOSED, ActionState.PENDING_APPROVAL, ActionState.APPROVED, ActionState.EXECUTING)


def return_tasks_of_version(plane: User, *, version_id: UUID) -> int:
    """Give the tasks that a version holds back to the queue, run by run; how many. It counts as no try and as no loss.

    In a paused run they go as the sweep puts them aside: their leases end now.
    """
    runs = Task.objects.filter(version=version_id, state=TaskState.CLAIMED).order_by("run_id")
    return sum(_return_of_run(plane, version_id, pk) for pk in runs.values_list("run_id", flat=True).distinct())


@transaction.atomic
def _return_of_run(plane: User, version_id: UUID, run_id: UUID) -> int:
    """The same of one run, which is locked before its tasks, as by who holds them: neither waits for the other."""
    run = locked_run(run_id)
    held = Task.objects.filter(version=version_id, state=TaskState.CLAIMED, run=run)
    if run.state == RunState.PAUSED:
        held.update(lease_until=ClockTimestamp())
        return 0
    tasks = list(held.select_for_update(of=("self",)).order_by("id"))
    Attempt.objects.bulk_create(attempt_of(task, AttemptState.RELEASED) for task in tasks)
    for task in tasks:
        back_to_queue(task)
    told = [(task, {"step": task.step, "item": task.item, "try": task.number, "why": "new_version"}) for task in tasks]
    record_many(plane, [Change(task, "released", payload) for task, payload in told])
    record_many(plane, [Change(task, "ready", {"step": task.step}) for task in tasks])
    return len(tasks)


def end_drained() -> int:
    """Supersede the versions that have finished what they held; how many. What a test key asked holds up nothing."""
    plane = system_user("plane")
    tasks = Task.objects.filter(version=OuterRef("pk"), state=TaskState.CLAIMED)
    actions = Action.objects.filter(version=OuterRef("pk"), state__in=UNDER_WAY, environment=Environment.LIVE)
    rows = AgentVersion.objects.filter(~Exists(tasks), ~Exists(actions), state=VersionState.DRAINING)
    return sum(_end(plane, version) for version in rows.select_related("agent__unit"))


@transaction.atomic
def _end(plane: User, version: AgentVersion) -> bool:
    try:
        with transaction.atomic():
            advance(plane, version, VersionState.SUPERSEDED, payload={"why": "drained"})
    except ConflictError:
        return False  # somebody went back to it at the same time
    return True
