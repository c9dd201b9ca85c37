"""Leases: who holds a task, by the database's clock."""

from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.agents.selectors import require_working_agent
from apps.core.errors import ConflictError, NotAllowedError, NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.rules.states import AttemptState, TaskState
from apps.workflows.services.engine import locked_run

LEASE_S = 60
LEASE_DIGITS = 9


def agent_of(actor: User) -> Agent:
    """The agent that calls. Raises NotAllowedError for people, and for agents that may not work now."""
    if not actor.is_agent:
        raise NotAllowedError(_("Tasks are taken by agents."))
    require_working_agent(actor)
    return actor.agent


def fence_of(lease: str) -> int:
    """The fence in a lease's token; -1 for what is no token of ours."""
    return int(lease) if lease.isascii() and lease.isdigit() and len(lease) <= LEASE_DIGITS else -1


def held_by(agent: Agent, fence: int) -> Q:
    """The condition under which ``agent`` holds a task with this fence, now."""
    return Q(state=TaskState.CLAIMED, agent=agent, fence=fence, lease_until__gt=ClockTimestamp())


def held_task(agent: Agent, task_id: UUID, lease: str) -> tuple[Run, Task]:
    """The run and the task, both locked, if ``agent`` holds it. Raises NotFoundError, ConflictError ``lease_lost``."""
    run_id = Task.objects.filter(pk=task_id).values_list("run_id", flat=True).first()
    if run_id is None:
        raise lost(agent, task_id)
    run = locked_run(run_id)
    task = (
        Task.objects.select_for_update(of=("self",))
        .filter(held_by(agent, fence_of(lease)), pk=task_id)
        .select_related("agent", "workflow")
        .first()
    )
    if task is None:
        raise lost(agent, task_id)
    task.run = run
    return run, task


def lost(agent: Agent, task_id: UUID) -> ConflictError | NotFoundError:
    """Why ``agent`` does not hold the task: it is another's or over; 404 if it never was this agent's to see."""
    known = Q(workflow__permissions__user=agent.user)
    if Task.objects.filter(Q(agent=agent) | known, pk=task_id).exists():
        return ConflictError(_("The lease has expired or belongs to another."), code="lease_lost")
    if Attempt.objects.filter(task_id=task_id, agent=agent).exists():
        return ConflictError(_("The lease has expired or belongs to another."), code="lease_lost")
    return NotFoundError()


def ended_lease(agent: Agent, task_id: UUID, lease: str) -> Attempt | None:
    """The attempt with which this very lease ended."""
    rows = Attempt.objects.filter(task_id=task_id, fence=fence_of(lease), agent=agent)
    return rows.exclude(state=AttemptState.LATE).select_related("run").first()


def back_to_queue(task: Task, **changes: Any) -> None:
    """Nobody holds the task any more; the next holder gets the next fence."""
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.READY,
        agent=None,
        version=None,
        lease_until=None,
        claimed_at=None,
        timeout_at=None,
        number=F("number") + 1,
        **changes,
    )
