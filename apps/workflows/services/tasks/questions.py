"""An agent asks instead of guessing: the task rests while a person answers, and comes back with the answer."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.audit.services import Change, record_many
from apps.classification.rules import classed_by, named
from apps.classification.selectors import known_classes
from apps.core.errors import InvalidError, UnavailableError
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState
from apps.oversight.services import open_escalation
from apps.workflows.models import Run, Step, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import LANE_BONUS_S, AttemptState, Lane, RunState, TaskState
from apps.workflows.selectors.veils import marks_of
from apps.workflows.services.engine import advance_run, locked_run
from apps.workflows.services.engine.ending import attempt_of
from apps.workflows.services.engine.ends import answer_of
from apps.workflows.services.engine.people import nearest_queue
from apps.workflows.services.tasks.leases import agent_of, held_task

MAX_QUESTION = 4000
MAX_QUESTIONS = 20


@transaction.atomic
def ask_about_task(
    actor: User,
    *,
    task_id: UUID,
    lease: str,
    question: str,
    schema: dict[str, Any] | None = None,
    options: list[Any] | None = None,
) -> Escalation:
    """Ask people about a task one holds. The lease ends; the task comes back, to whoever may take it, with the answer.

    Raises ConflictError ``lease_lost``, InvalidError for a question nobody can answer, or whose answer would carry a
    data class that cannot be followed.
    """
    agent = agent_of(actor)
    if not question.strip() or len(question) > MAX_QUESTION:
        raise InvalidError(errors={"question": [_("From 1 to %d characters.") % MAX_QUESTION]})
    _require_followed(schema)
    run, task = held_task(agent, task_id, lease)
    if len(task.answers) >= MAX_QUESTIONS:
        raise InvalidError(errors={"question": [_("At most %d questions per task.") % MAX_QUESTIONS]})
    definition = definition_of_version(run.version_id)
    step = definition.steps[task.step]
    queue = nearest_queue(definition, step, run.unit_id)
    before = Escalation.objects.filter(task_id=task.pk, kind="question").order_by("-id").first()
    is_again = before is not None and before.state == EscalationState.CHANGES_REQUESTED
    if queue is None:
        raise UnavailableError(_("There is no queue that could be asked."))
    veil = marks_of(run)
    subject = {"question": veil.text(question.strip()), "input": task.input}
    item = open_escalation(
        actor,
        kind="question",
        unit=run.unit,
        groups=[(queue, 1)],
        title=f"{step.label} · {run.workflow.name} · {run.key or str(run.pk)[-12:]}",
        consequence=_("The agent goes on with your answer."),
        subject=subject,
        classed=veil.paths_in(subject),
        schema=schema,
        options=options or [],
        risk=step.risk or definition.risk,
        agent=agent,
        workflow=run.workflow.slug,
        run_id=run.pk,
        step=task.step,
        round=task.round,
        item=task.item,
        task_id=task.pk,
        run_starter=run.started_by.username,
        supersedes=before if is_again else None,
    )
    attempt_of(task, AttemptState.ASKED).save(force_insert=True)
    _rest(task)
    Step.objects.filter(run=run, name=task.step, round=task.round).update(asked=True)
    record_many(actor, [Change(task, "asked", {"step": task.step, "agent": agent.slug, "escalation": item.pk})])
    _tell_run(actor, run, task, agent, waits=True)
    return item


def _require_followed(schema: dict[str, Any] | None) -> None:
    if schema and named(schema) and (problems := classed_by(schema, known_classes())[1]):
        raise InvalidError(errors={f"schema.{where}": [message] for where, message in problems.items()})


def _rest(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.BLOCKED,
        agent=None,
        version=None,
        lease_until=None,
        claimed_at=None,
        timeout_at=None,
        answers=[*task.answers, {"asked": True}],
        number=F("number") + 1,
    )


def _tell_run(actor: User, run: Run, task: Task, agent: Agent | None, *, waits: bool) -> None:
    """A run whose only open work waits for an answer waits for people."""
    if run.state not in (RunState.RUNNING, RunState.WAITING):
        return
    advance_run(actor, run=run, events=[on.ItemWaits(task.step, task.round, with_people=waits)])


@transaction.atomic
def take_answer(actor: User, *, escalation: Escalation) -> Task | None:
    """Offer a task again with what people answered, that nobody did, or what they want asked differently.

    None when it is gone.
    """
    if escalation.kind != "question" or escalation.task_id is None or escalation.run_id is None:
        return None
    if escalation.state in (EscalationState.PENDING, EscalationState.HELD):
        return None
    if not Run.objects.filter(pk=escalation.run_id).exists():
        return None
    run = locked_run(escalation.run_id)
    task = Task.objects.select_for_update(of=("self",)).filter(pk=escalation.task_id, state=TaskState.BLOCKED).first()
    if task is None or run.is_over or {"asked": True} not in task.answers:
        return None
    said = answer_of(escalation)
    answer = {
        "question": escalation.subject.get("question", ""),
        "state": escalation.state,
        "answer": escalation.answer,
        "reason": escalation.reason,
        "answered_by": said["decided_by"],
        "answered_at": said["decided_at"],
    }
    paused = run.state == RunState.PAUSED
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.BLOCKED if paused else TaskState.READY,
        paused_from=TaskState.READY if paused else "",
        lane=Lane.HUMAN,
        order_at=ClockTimestamp() - timedelta(seconds=LANE_BONUS_S[Lane.HUMAN]),
        answers=[*(kept for kept in task.answers if kept != {"asked": True}), answer],
    )
    if not paused:
        record_many(actor, [Change(task, "ready", {"step": task.step, "item": task.item, "answered": True})])
    _tell_run(actor, run, task, None, waits=False)
    return task
