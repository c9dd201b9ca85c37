"""What comes back to a run: the end of an action, a person's decision or answer."""

from typing import Any

from django.db import transaction

from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState
from apps.workflows.models import Run
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import RunState
from apps.workflows.services.engine.cycle import advance_run
from apps.workflows.services.engine.ends import answer_of, event_of
from apps.workflows.services.engine.loading import locked_run
from apps.workflows.services.engine.people import RESOLUTION


@transaction.atomic
def complete_operation_step(actor: User, *, action: Action) -> Run | None:
    """Take the end of an action that a workflow asked for to its run. None for other actions.

    Called in the transaction in which the action ends; again for the same action nothing happens. A paused run takes
    it when it is resumed.
    """
    if action.run_id is None or action.agent_id is not None or action.state not in FINAL_ACTIONS:
        return None
    run = locked_run(action.run_id)
    if run.is_over or run.state == RunState.PAUSED:
        return run
    event = event_of(run, action)
    return advance_run(actor, run=run, events=[event]) if event else run


@transaction.atomic
def resume_operation_step(actor: User, *, action: Action) -> Run | None:
    """The same for an action that people or a clock ended (the ledger tells): rejected, expired, cancelled, denied."""
    return complete_operation_step(actor, action=action)


@transaction.atomic
def resume_step(actor: User, *, escalation: Escalation) -> Run | None:
    """Take what became of a step's inbox item to its run. Once the step has gone on, nothing happens."""
    if escalation.run_id is None or escalation.kind not in {"approval", "form", "exception"}:
        return None
    if not Run.objects.filter(pk=escalation.run_id).exists():
        return None
    run = locked_run(escalation.run_id)
    if run.state == RunState.PAUSED:
        Run.objects.filter(pk=run.pk).update(kept=[*run.kept, str(escalation.pk)])
    if run.is_over or run.state == RunState.PAUSED:
        return run
    event = decision_event(run, escalation)
    return advance_run(actor, run=run, events=[event]) if event else run


def decision_event(run: Run, item: Escalation) -> on.Event | None:
    """What an ended item means for its run; None where it means nothing (it was cancelled with what it was about)."""
    if item.state in (EscalationState.CANCELLED, EscalationState.SUPERSEDED):
        return None
    if item.kind == "exception":
        return _exception_event(item)
    if item.state == EscalationState.INVALIDATED:
        outcome = "expired"
    elif item.state == EscalationState.CHANGES_REQUESTED:
        changes = definition_of_version(run.version_id).steps[item.step].changes
        outcome = changes[0] if changes else "rejected"
    else:
        outcome = item.state
    said = answer_of(item)
    if item.kind == "form":
        output: dict[str, Any] = {"decided_by": said["decided_by"]}
        if item.state == EscalationState.CHANGES_REQUESTED:
            output["reason"] = item.reason
        if item.state == EscalationState.ANSWERED:
            answer = item.answer if isinstance(item.answer, dict) else {"answer": item.answer}
            output = {**answer, **output}
    else:
        output = {"outcome": outcome, **said}
    return on.PeopleAnswered(item.step, item.round or 0, str(outcome), output, overdue=item.overdue_at is not None)


def _exception_event(item: Escalation) -> on.Event | None:
    if item.state != EscalationState.ANSWERED:
        return None
    answer = item.answer if isinstance(item.answer, dict) else {}
    position = item.subject.get("compensation")
    resolution = str(answer.get(RESOLUTION, ""))
    if position is not None:
        return on.CompensationResolved(int(position), resolution)
    note = str(answer.get("note") or "")
    if item.schema is None or RESOLUTION not in item.schema.get("properties", {}):
        return on.ExceptionResolved(item.step, item.round or 0, item.item, "complete", item.answer)
    return on.ExceptionResolved(item.step, item.round or 0, item.item, resolution, note=note)
