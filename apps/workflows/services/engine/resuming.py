"""What comes back to a run: the end of an action, a person's decision or answer."""

from typing import Any

from django.db import transaction

from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS, ActionState
from apps.core.models import User
from apps.core.rules import canonical_json
from apps.oversight.models import Escalation, Vote
from apps.oversight.rules import EscalationState, VoteVerdict
from apps.workflows.models import Attempt, Compensation, Run
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import AttemptState, CompensationState, RunState
from apps.workflows.services.engine.chance import jitter
from apps.workflows.services.engine.cycle import advance_run
from apps.workflows.services.engine.loading import locked_run
from apps.workflows.services.engine.people import RESOLUTION

MAX_OUTPUT_BYTES = 64 * 1024
FOR_GOOD = frozenset({"permission", "agent_inactive", "binding_mismatch", "egress_refused", "not_configured"})
CLIENT_ERRORS = range(400, 500)
PASSING = frozenset({408, 409, 423, 425, 429})
"""Answers of systems that another try may change."""
REFUSED = {
    ActionState.REJECTED: "rejected",
    ActionState.EXPIRED: "expired",
    ActionState.CHANGES_REQUESTED: "changes_requested",
}


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


def event_of(run: Run, action: Action) -> on.Event | None:
    """What the end of ``action`` means for its run; None if the run knows it already. Keeps the attempt."""
    if action.purpose == "compensate":
        return _compensation_event(run, action)
    assert action.round is not None
    assert action.item is not None
    if Attempt.objects.filter(action_id=action.pk).exists():
        return None
    step, round_, item = action.step, action.round, action.item
    done = Attempt.objects.filter(run=run, step=step, round=round_, item=item)
    failures = done.filter(state=AttemptState.FAILED).count()
    problem = _problem(action)
    _keep_attempt(run, action, problem, number=done.count() + 1)
    if problem is None:
        return on.ItemDone(step, round_, item, action.result)
    if action.state in REFUSED:
        return on.ItemRefused(step, round_, item, REFUSED[ActionState(action.state)], _refusal(action))
    code, message, retryable = problem
    return on.ItemFailed(step, round_, item, code, message, retryable, failures + 1, jitter())


def _problem(action: Action) -> tuple[str, str, bool] | None:
    """Code, message and whether a further try makes sense; None when it succeeded."""
    if action.state in (ActionState.SUCCEEDED, ActionState.COMPENSATED):
        if action.result is not None and len(canonical_json(action.result)) > MAX_OUTPUT_BYTES:
            return "output_too_large", f"The answer has more than {MAX_OUTPUT_BYTES} bytes.", False
        return None
    error = action.error or {}
    code = str(error.get("code") or action.state)
    retryable = action.state == ActionState.FAILED and not _fails_for_good(code, error.get("status"))
    return code, str(error.get("message") or error.get("detail") or code)[:1000], retryable


def _fails_for_good(code: str, status: Any) -> bool:
    """Whether asking again would only be told the same: no permission, or a plain no of the system."""
    return code in FOR_GOOD or (isinstance(status, int) and status in CLIENT_ERRORS and status not in PASSING)


def _keep_attempt(run: Run, action: Action, problem: tuple[str, str, bool] | None, *, number: int) -> None:
    ended = AttemptState.DONE if problem is None else AttemptState.FAILED
    if action.state == ActionState.CANCELLED:
        ended = AttemptState.CANCELLED
    Attempt.objects.create(
        run=run,
        action_id=action.pk,
        step=action.step,
        round=action.round,
        item=action.item,
        number=number,
        state=ended,
        capability=action.operation[:63],
        queued_at=action.created_at,
        digest=action.digest,
        output=action.result if problem is None else None,
        error={"code": problem[0], "message": problem[1]} if problem else None,
    )


def _refusal(action: Action) -> dict[str, Any]:
    item = Escalation.objects.filter(action=action, kind="action").order_by("-id").first()
    said = answer_of(item) if item else {"reason": "", "decided_by": [], "decided_at": None}
    return {"outcome": str(action.state), **said}


def _compensation_event(run: Run, action: Action) -> on.Event | None:
    row = Compensation.objects.filter(run=run, action_id=action.pk, state=CompensationState.OPEN).first()
    if row is None:
        return None
    problem = _problem(action)
    if problem is None:
        return on.CompensationEnded(row.position, succeeded=True)
    code, message, retryable = problem
    return on.CompensationEnded(row.position, succeeded=False, code=code, message=message, retryable=retryable,
                                jitter=jitter())  # fmt: skip


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
    else:
        outcome = {EscalationState.CHANGES_REQUESTED: "rejected"}.get(EscalationState(item.state), item.state)
    said = answer_of(item)
    if item.kind == "form":
        output: dict[str, Any] = {"decided_by": said["decided_by"]}
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


def answer_of(item: Escalation) -> dict[str, Any]:
    """Who decided an item, when and why; nobody for what ended by itself."""
    said = {EscalationState.APPROVED: VoteVerdict.APPROVE, EscalationState.ANSWERED: VoteVerdict.ANSWER}
    verdict = said.get(EscalationState(item.state), VoteVerdict.REJECT)
    votes = Vote.objects.filter(escalation=item, voided_at=None, verdict=verdict).order_by("id")
    names = list(votes.values_list("voter__username", flat=True)) if item.decided_by_id else []
    if item.decided_by and item.decided_by.username not in names:
        names.append(item.decided_by.username)
    return {
        "reason": item.reason,
        "decided_by": names,
        "decided_at": item.decided_at.isoformat() if item.decided_at and item.decided_by_id else None,
    }
