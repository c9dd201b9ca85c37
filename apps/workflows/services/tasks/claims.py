"""Taking tasks: one statement checks everything and takes, so that nothing can change between check and act."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.agents.models import Agent
from apps.agents.selectors import require_at_work, require_working
from apps.audit.services import Change, record_many
from apps.core.models import ClockTimestamp, User
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import require_running, take_fence
from apps.oversight.selectors import units_below
from apps.workflows.models import Task
from apps.workflows.rules.states import AttemptState
from apps.workflows.services.actions.room import busy_with, lock_agent
from apps.workflows.services.engine.ending import attempt_of
from apps.workflows.services.tasks.leases import (
    LEASE_S,
    agent_of,
    back_to_queue,
    ended_lease,
    fence_of,
    held_by,
    held_task,
    lost,
)

MAX_CLAIM = 20

CLAIM = """
WITH may AS (
    SELECT p.content_object_id AS workflow_id
    FROM workflows_workflowpermission p
    JOIN auth_permission a ON a.id = p.permission_id
    JOIN workflows_workflow w ON w.id = p.content_object_id
    WHERE p.user_id = %(user)s AND a.codename = 'work_workflow' AND (p.until IS NULL OR p.until > clock_timestamp())
      AND NOT (w.slug = ANY(%(halted_workflows)s))
), picked AS (
    SELECT t.id FROM workflows_task t
    WHERE t.state = 'ready' AND t.capability = ANY(%(capabilities)s)
      AND t.workflow_id IN (SELECT workflow_id FROM may)
      AND NOT (t.unit_id = ANY(%(halted_units)s))
    ORDER BY t.order_at, t.id
    LIMIT %(limit)s
    FOR UPDATE OF t SKIP LOCKED
)
UPDATE workflows_task t
SET state = 'claimed', fence = t.fence + 1, agent_id = %(agent)s, version_id = %(version)s,
    claimed_at = clock_timestamp(),
    lease_until = least(clock_timestamp() + make_interval(secs => %(lease_s)s),
                        clock_timestamp() + make_interval(secs => t.timeout_s)),
    timeout_at = clock_timestamp() + make_interval(secs => t.timeout_s)
FROM picked WHERE t.id = picked.id
RETURNING t.id
"""


@transaction.atomic
def claim_tasks(actor: User, *, limit: int = 1, capabilities: Sequence[str] | None = None) -> list[Task]:
    """Take up to ``limit`` tasks that the agent may, can, and has room for; human-caused work first, then the oldest.

    Raises NotAllowedError ``agent_inactive``, ConflictError ``unknown_version`` where another version took over,
    HaltedError for a halt on the agent, its version, its unit or everything; tasks of a halted workflow or unit are
    passed over.
    """
    take_fence()
    agent = agent_of(actor)
    require_running(units=[agent.unit_id], agent=agent.slug, version=agent.acts_as)
    can = [name for name in agent.capabilities if capabilities is None or name in capabilities]
    # Requests of one agent take turns with each other and with a change of its version: its limit is never exceeded,
    # and none that came in under the version before takes what nobody would give back.
    lock_agent(agent)
    require_working(agent)
    if agent.version:
        agent.version.refresh_from_db(fields=["state"])
    require_at_work(agent)
    room = min(limit, MAX_CLAIM, agent.max_concurrent - busy_with(agent.pk)) if can else 0
    ids = _take(agent, can, room) if room > 0 else []
    rows = Task.objects.filter(pk__in=ids).select_related("workflow", "run").order_by("order_at", "id")
    found = list(rows)
    record_many(actor, [Change(task, "claimed", _payload(task, agent)) for task in found])
    return found


def _take(agent: Agent, capabilities: list[str], limit: int) -> list[UUID]:
    workflows, units = _halted()
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "user": agent.user_id,
                "agent": agent.pk,
                "version": agent.version_id,
                "capabilities": capabilities,
                "limit": limit,
                "lease_s": LEASE_S,
                "halted_workflows": workflows,
                "halted_units": units,
            },
        )
        return [row[0] for row in cursor.fetchall()]


def _halted() -> tuple[list[str], list[UUID]]:
    """Workflows and units whose tasks are passed over."""
    workflows: list[str] = []
    units: list[UUID] = []
    for scope, target in Halt.objects.filter(lifted_at=None).values_list("scope", "target"):
        if scope == HaltScope.WORKFLOW:
            workflows.append(target)
        elif scope == HaltScope.UNIT:
            units.extend(units_below(target))
    return workflows, units


def _payload(task: Task, agent: Agent) -> dict[str, Any]:
    return {
        "workflow": task.workflow.slug,
        "step": task.step,
        "round": task.round,
        "item": task.item,
        "try": task.number,
        "agent": agent.slug,
        "lease_until": task.lease_until,
    }


@transaction.atomic
def heartbeat_task(actor: User, *, task_id: UUID, lease: str) -> tuple[datetime | None, str]:
    """Keep a lease: until when, and ``continue``, ``pause`` or ``cancel``. Writes only past half of the lease.

    Raises ConflictError ``lease_lost``, NotFoundError. A task that was withdrawn answers ``cancel``.
    """
    agent = agent_of(actor)
    rows = Task.objects.filter(held_by(agent, fence_of(lease)), pk=task_id)
    found = rows.select_related("run").annotate(now=ClockTimestamp()).first()
    if found is None:
        ended = ended_lease(agent, task_id, lease)
        if ended is not None and ended.state == AttemptState.CANCELLED:
            return None, "cancel"
        raise lost(agent, task_id)
    until = found.lease_until
    assert until is not None, "A claimed task has a lease."
    wanted = found.now + timedelta(seconds=LEASE_S)
    if found.timeout_at is not None:
        wanted = min(wanted, found.timeout_at)
    if until - found.now < timedelta(seconds=LEASE_S / 2) and wanted > until and rows.update(lease_until=wanted):
        until = wanted
    return until, "pause" if found.run.state == "paused" else "continue"


@transaction.atomic
def release_task(actor: User, *, task_id: UUID, lease: str) -> Task:
    """Give a task back for somebody else. It counts as no try. Raises ConflictError ``lease_lost``."""
    agent = agent_of(actor)
    run, task = held_task(agent, task_id, lease)
    attempt_of(task, AttemptState.RELEASED).save(force_insert=True)
    if run.state == "paused":
        back_to_queue(task, paused_from="ready")
        Task.objects.filter(pk=task.pk).update(state="blocked")
    else:
        back_to_queue(task)
    changes = [Change(task, "released", _payload(task, agent)), Change(task, "ready", {"step": task.step})]
    record_many(actor, changes if run.state != "paused" else changes[:1])
    return task
