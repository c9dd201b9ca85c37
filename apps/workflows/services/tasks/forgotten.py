"""Work that nobody takes: people hear of it, and it stays on offer."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.oversight.services import cancel_escalations, open_escalation
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.states import LANE_BONUS_S, Lane, TaskState
from apps.workflows.services.engine.people import RESOLUTION, nearest_queue

PATIENCE_S = {Lane.HUMAN: 60, Lane.INTERACTIVE: 60, Lane.NORMAL: 60, Lane.BULK: 660}
"""How long a task of a lane may wait while nobody works on its kind."""
SEEN = {"type": "object", "required": [RESOLUTION], "properties": {RESOLUTION: {"enum": ["acknowledge"]}}}


def raise_forgotten() -> int:
    """Tell people of capabilities that nobody serves, one item each; end the items of what was taken. How many."""
    plane = system_user("plane")
    return _end_taken(plane) + sum(_raise(plane, group) for group in _waiting())


def _waiting() -> list[dict[str, Any]]:
    """(workflow, capability) whose tasks wait too long while nobody holds or has lately ended one of them."""
    late = Q()
    for lane, seconds in PATIENCE_S.items():
        late |= Q(lane=lane, order_at__lt=Now() - timedelta(seconds=seconds + LANE_BONUS_S[lane]))
    groups = (
        Task.objects.filter(late, state=TaskState.READY)
        .values("workflow", "workflow__slug", "capability")
        .annotate(oldest=Min("order_at"), waiting=Count("id"))
        .order_by("oldest")[:100]
    )
    return [found for group in groups if not _is_served(found := dict(group))]


def _is_served(group: dict[str, Any]) -> bool:
    mine = Q(capability=group["capability"])
    if Task.objects.filter(mine, workflow=group["workflow"], state=TaskState.CLAIMED).exists():
        return True
    lately = Q(created_at__gt=Now() - timedelta(seconds=60))
    return Attempt.objects.filter(mine, lately, run__workflow=group["workflow"]).exists()


@transaction.atomic
def _raise(plane: User, group: dict[str, Any]) -> int:
    """One item per forgotten task at most: whoever has seen it is not asked again about the same one."""
    ready = Task.objects.filter(workflow=group["workflow"], capability=group["capability"], state=TaskState.READY)
    task = ready.order_by("order_at", "id").first()
    if task is None or Escalation.objects.filter(task_id=task.pk, kind="exception").exists():
        return 0
    run = Run.objects.select_related("workflow", "unit").get(pk=task.run_id)
    definition = definition_of_version(run.version_id)
    queue = nearest_queue(definition, definition.steps[task.step], run.unit_id)
    if queue is None:
        return 0
    open_escalation(
        plane,
        kind="exception",
        unit=run.unit,
        groups=[(queue, 1)],
        title=_("Nobody takes it: %(capability)s · %(workflow)s")
        % {"capability": group["capability"], "workflow": run.workflow.name},
        consequence=_("No active agent with this capability works on it. It stays on offer and starts when one does."),
        subject={"capability": group["capability"], "waiting": group["waiting"], "run": str(run.pk), "step": task.step},
        schema=SEEN,
        risk=definition.risk,
        workflow=run.workflow.slug,
        task_id=task.pk,
    )
    return 1


@transaction.atomic
def _end_taken(plane: User) -> int:
    """A claim closes the item."""
    told = Escalation.objects.filter(kind="exception", state="pending", run_id=None).exclude(task_id=None)
    ids = [task_id for task_id in told.values_list("task_id", flat=True)[:500] if task_id is not None]
    waiting = set(Task.objects.filter(pk__in=ids, state=TaskState.READY).values_list("pk", flat=True))
    gone = [task_id for task_id in ids if task_id not in waiting]
    return sum(cancel_escalations(plane, task_id=one, kind="exception", reason="taken") for one in gone)
