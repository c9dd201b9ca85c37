"""What the end of an action means for the run that asked for it, and who decided what people decided."""

from typing import Any

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.core.rules import canonical_json
from apps.oversight.models import Escalation, Vote
from apps.oversight.rules import OUTCOME, EscalationState, VoteVerdict
from apps.workflows.models import Attempt, Compensation, Run
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import AttemptState, CompensationState
from apps.workflows.services.engine.chance import jitter

MAX_OUTPUT_BYTES = 64 * 1024
FOR_GOOD = frozenset(
    {"permission", "fields", "limit", "agent_inactive", "binding_mismatch", "egress_refused", "not_configured"}
)
CLIENT_ERRORS = range(400, 500)
PASSING = frozenset({408, 409, 423, 425, 429})
"""Answers of systems that another try may change."""
REFUSED = {
    ActionState.REJECTED: "rejected",
    ActionState.EXPIRED: "expired",
    ActionState.CHANGES_REQUESTED: "changes_requested",
}


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
    keep_attempt(run, action, problem, number=done.count() + 1)
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
    if action.state == ActionState.DENIED:
        return "denied", reason_of(action), False
    error = action.error or {}
    code = str(error.get("code") or action.state)
    retryable = action.state == ActionState.FAILED and not _fails_for_good(code, error.get("status"))
    return code, str(error.get("message") or error.get("detail") or code)[:1000], retryable


def _fails_for_good(code: str, status: Any) -> bool:
    """Whether asking again would only be told the same: no permission, or a plain no of the system."""
    return code in FOR_GOOD or (isinstance(status, int) and status in CLIENT_ERRORS and status not in PASSING)


def keep_attempt(run: Run, action: Action, problem: tuple[str, str, bool] | None = None, *, number: int = 1) -> None:
    """Keep how an action of a step ended; once that is kept, its end means nothing more to the run."""
    assert action.round is not None
    assert action.item is not None
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


def reason_of(action: Action) -> str:
    """Why policy denied, in the rules' own words."""
    rules = action.verdict.get("rules") or []
    said = [str(rule.get("message")) for rule in rules if isinstance(rule, dict) and rule.get("message")]
    return " ".join(said) or str(action.verdict.get("reason") or "No rule allows it.")


def answer_of(item: Escalation) -> dict[str, Any]:
    """Who decided an item, when and why; nobody for what ended by itself."""
    said = {outcome: verdict for verdict, outcome in OUTCOME.items()}
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
