"""The plane's own spans of runs: told when a run is over, with the ids that its agents were handed long before.

A run may wait for days and outlive every process, so nothing is held open for it: what its rows say is told at once,
with the times at which it was. No word that somebody wrote is in it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.rules.traces import span_id_of, trace_id_of
from apps.core.tracing import Told, tell
from apps.workflows.models import Attempt, Run, Step
from apps.workflows.rules.states import AttemptState, RunState, StepState

MOST = 2_000
"""Of each kind that are told of one run: its steps, its tasks, its actions."""
UNDONE = frozenset(
    {ActionState.FAILED, ActionState.UNKNOWN, ActionState.DENIED, ActionState.REJECTED, ActionState.EXPIRED}
)


def tell_run(*, run_id: UUID) -> None:
    """Tell of a run that is over, its steps, tasks and actions; not of a simulated one."""
    run = Run.objects.select_related("workflow", "version").get(pk=run_id)
    if run.simulated or run.finished_at is None:
        return
    root = Told(
        ids=(trace_id_of(run.pk), span_id_of(run.pk)),
        name=f"invoke_workflow {run.workflow.slug}",
        started_at=run.started_at or run.created_at,
        ended_at=run.finished_at,
        failed=run.state == RunState.FAILED,
        attributes={
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": run.workflow.slug,
            "acp.run.id": str(run.pk),
            "acp.run.state": run.state,
        },
    )
    steps = {(step.name, step.round): step for step in run.steps.exclude(opened_at=None).order_by("id")[:MOST]}
    tell([root, *(_step(run, step) for step in steps.values()), *_tasks(run, steps), *_actions(run)])


def _below(run: Run, work: UUID, *, parent: UUID | None, **told: Any) -> Told:
    """A span of the run's trace, below ``parent`` or the run itself."""
    return Told(ids=(trace_id_of(run.pk), span_id_of(work)), parent=span_id_of(parent or run.pk), **told)


def _times(run: Run, began: datetime, ended: datetime | None) -> dict[str, datetime]:
    """What has no end of its own ended with the run; nothing is shorter than nothing."""
    return {"started_at": began, "ended_at": max(began, ended or run.finished_at or began)}


def _step(run: Run, step: Step) -> Told:
    return _below(
        run,
        step.pk,
        parent=None,
        name=f"step {step.name}",
        failed=step.state == StepState.FAILED,
        attributes={"acp.step.kind": step.kind, "acp.step.state": step.state, "acp.step.round": step.round},
        **_times(run, step.opened_at or step.created_at, step.finished_at),
    )


def _tasks(run: Run, steps: dict[tuple[str, int], Step]) -> list[Told]:
    """One span for each task that was claimed, however often: agents' own spans stand below it."""
    tries = Attempt.objects.filter(~Q(task_id=None), ~Q(claimed_at=None), run=run).select_related("agent")
    first, last = dict[UUID, datetime](), dict[UUID, Attempt]()
    for one in tries.order_by("id").defer("output", "error", "reasoning", "sources")[:MOST]:
        if one.task_id and one.claimed_at:
            first.setdefault(one.task_id, one.claimed_at)
            last[one.task_id] = one
    return [
        _below(
            run,
            task_id,
            parent=step.pk if (step := steps.get((one.step, one.round))) else None,
            name=f"task {one.capability}",
            failed=one.state == AttemptState.FAILED,
            attributes={
                "acp.task.id": str(task_id),
                "acp.task.state": one.state,
                "gen_ai.agent.name": one.agent.slug if one.agent else "",
            },
            **_times(run, first[task_id], one.created_at),
        )
        for task_id, one in last.items()
    ]


def _actions(run: Run) -> list[Told]:
    wanted = ("operation", "state", "created_at", "finished_at", "task_id")
    return [
        _below(
            run,
            action.pk,
            parent=action.task_id,
            name=f"execute_tool {action.operation}",
            failed=action.state in UNDONE,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": action.operation,
                "acp.action.id": str(action.pk),
                "acp.action.state": action.state,
            },
            **_times(run, action.created_at, action.finished_at),
        )
        for action in Action.objects.filter(run_id=run.pk).order_by("id").only(*wanted)[:MOST]
    ]
