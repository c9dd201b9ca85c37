"""What came of a task: completed or failed. The run goes on in the same transaction."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.audit.services import Change, record_many
from apps.core.errors import ConflictError, InvalidError, NotFoundError, TooLargeError
from apps.core.models import User
from apps.core.rules import ValueProblem, canonical_json, check_values, digest_of
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.answers import output_errors
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import AttemptState, RunState, TaskState
from apps.workflows.selectors.veils import marks_of
from apps.workflows.services.engine import advance_run
from apps.workflows.services.engine.chance import jitter
from apps.workflows.services.engine.ending import attempt_of
from apps.workflows.services.tasks.leases import agent_of, ended_lease, fence_of, held_task

MAX_OUTPUT_BYTES = 64 * 1024
MAX_WORDS = 20_000
ENDED_BY_AGENT = frozenset({AttemptState.DONE, AttemptState.FAILED})


def complete_task(
    actor: User,
    *,
    task_id: UUID,
    lease: str,
    output: Any,
    reasoning: str = "",
    confidence: float | None = None,
    sources: list[Any] | None = None,
) -> Run:
    """Hand in the output; the run goes on in the same transaction.

    The same completion again changes nothing. Raises InvalidError for an output that misses the step's schema (the task
    stays held), TooLargeError, ConflictError ``completion_conflict`` for another completion and ``lease_lost`` for a
    late one, which is kept as evidence.
    """
    agent = agent_of(actor)
    _check_output(output)
    words = {"output": output, "reasoning": reasoning[:MAX_WORDS], "confidence": confidence, "sources": sources or []}
    digest = digest_of(words)
    try:
        return _complete(actor, agent, task_id, lease, words, digest)
    except ConflictError as error:
        if error.code == "lease_lost":
            _keep_late(actor, agent, task_id, lease, words, digest)
        raise


def _check_output(output: Any) -> None:
    try:
        check_values(output)
        size = len(canonical_json(output))
    except ValueProblem as problem:
        raise InvalidError(errors={f"output.{problem.path}".rstrip("."): [str(problem)]}) from problem
    if size > MAX_OUTPUT_BYTES:
        raise TooLargeError(_("An output has at most %d bytes.") % MAX_OUTPUT_BYTES)


@transaction.atomic
def _complete(actor: User, agent: Agent, task_id: UUID, lease: str, words: dict[str, Any], digest: str) -> Run:
    if ended := _answered(agent, task_id, lease, digest):
        return ended
    try:
        run, task = held_task(agent, task_id, lease)
    except (ConflictError, NotFoundError):
        # It may have ended between the two looks.
        if ended := _answered(agent, task_id, lease, digest):
            return ended
        raise
    _check_schema(run, task, words["output"])
    attempt = attempt_of(task, AttemptState.DONE)
    attempt.digest = digest
    for name, value in words.items():
        setattr(attempt, name, value)
    attempt.save(force_insert=True)
    record_many(actor, [Change(task, "completed", _payload(task, agent, confidence=words["confidence"]))])
    if run.state == RunState.PAUSED:
        Task.objects.filter(pk=task.pk).update(state=TaskState.HELD, held=words["output"], lease_until=None)
        return run
    Task.objects.filter(pk=task.pk).delete()
    event = on.ItemDone(task.step, task.round, task.item, words["output"], agent.slug)
    return advance_run(actor, run=run, events=[event], tried=task)


def _answered(agent: Agent, task_id: UUID, lease: str, digest: str) -> Run | None:
    """The run if this lease ended with this very completion. Raises ConflictError if it ended with another."""
    ended = ended_lease(agent, task_id, lease)
    if ended is None or ended.state not in ENDED_BY_AGENT:
        return None
    if ended.state == AttemptState.DONE and ended.digest == digest:
        return ended.run
    raise ConflictError(_("This task was handed in with another content."), code="completion_conflict")


def _check_schema(run: Run, task: Task, output: Any) -> None:
    schema = definition_of_version(run.version_id).steps[task.step].schema
    if schema is not None and (errors := output_errors(schema, output, "output")):
        raise InvalidError(_("The output does not fit the step's schema."), errors=errors)


def _payload(task: Task, agent: Agent, **more: Any) -> dict[str, Any]:
    place = {"step": task.step, "round": task.round, "item": task.item, "try": task.number}
    return {"workflow": task.workflow.slug, **place, "agent": agent.slug, **more}


@transaction.atomic
def _keep_late(actor: User, agent: Agent, task_id: UUID, lease: str, words: dict[str, Any], digest: str) -> None:
    """Keep what came too late: it changes nothing and may explain much. Once per content."""
    if Attempt.objects.filter(task_id=task_id, agent=agent, state=AttemptState.LATE, digest=digest).exists():
        return
    task = Task.objects.filter(pk=task_id).select_related("workflow").first()
    before = Attempt.objects.filter(task_id=task_id).select_related("run").order_by("-id").first()
    known = task or before
    if known is None:
        return
    late = Attempt(
        run_id=known.run_id,
        task_id=task_id,
        step=known.step,
        round=known.round,
        item=known.item,
        number=known.number,
        fence=max(fence_of(lease), 0),
        state=AttemptState.LATE,
        capability=known.capability,
        agent=agent,
        version_id=agent.version_id,
        digest=digest,
        **words,
    )
    late.save(force_insert=True)
    record_many(actor, [Change(late, "attempt.late", {"step": known.step, "item": known.item, "agent": agent.slug})])


@transaction.atomic
def fail_task(actor: User, *, task_id: UUID, lease: str, code: str, message: str, retryable: bool) -> Run:
    """Say that it did not work. The step's ``retry`` and ``on_error`` say what follows.

    The same again changes nothing. Raises ConflictError ``lease_lost`` or ``completion_conflict``.
    """
    agent = agent_of(actor)
    error = {"code": code[:80], "message": message[:1000]}
    digest = digest_of({"error": error, "retryable": retryable})
    ended = ended_lease(agent, task_id, lease)
    if ended is not None and ended.state in ENDED_BY_AGENT:
        if ended.state == AttemptState.FAILED and ended.digest == digest:
            return ended.run
        raise ConflictError(_("This task was handed in with another content."), code="completion_conflict")
    run, task = held_task(agent, task_id, lease)
    attempt = attempt_of(task, AttemptState.FAILED)
    attempt.digest, attempt.error = digest, error
    attempt.save(force_insert=True)
    told = marks_of(run).over(error)
    record_many(actor, [Change(task, "failed", _payload(task, agent, **told, retryable=retryable))])
    return end_try(actor, run, task, code=error["code"], message=error["message"], retryable=retryable)


def end_try(actor: User, run: Run, task: Task, *, code: str, message: str, retryable: bool) -> Run:
    """Take a failed try to the run (locked). While the run is paused the task waits as if it had been given back."""
    if run.state == RunState.PAUSED:
        Task.objects.filter(pk=task.pk).update(
            state=TaskState.BLOCKED,
            paused_from=TaskState.READY,
            agent=None,
            version=None,
            lease_until=None,
            claimed_at=None,
            timeout_at=None,
            number=F("number") + 1,
            failures=F("failures") + 1,
        )
        return run
    task.failures += 1
    Task.objects.filter(pk=task.pk).delete()
    event = on.ItemFailed(
        task.step,
        task.round,
        task.item,
        code,
        message,
        retryable,
        task.failures,
        jitter(),
        task.capability,
        task.agent.slug if task.agent else "",
    )
    return advance_run(actor, run=run, events=[event], tried=task)
