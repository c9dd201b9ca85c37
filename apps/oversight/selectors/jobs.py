"""A job as the person who asked for it sees it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy

from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.core.rules import Risk
from apps.oversight.models import Escalation, Job, JobItem
from apps.oversight.rules import (
    VERDICTS,
    Candidate,
    EscalationState,
    JobItemState,
    Kind,
    VoteVerdict,
    bulk_problem,
    outliers,
)

BULK_PROBLEMS = {
    "operation": gettext_lazy("They do not ask for the same. Approve one kind at a time."),
    "rules": gettext_lazy(
        "Different rules, or versions of one, ask for a person. Approve those of one rule at a time."
    ),
    "currency": gettext_lazy("Their currencies differ, so their amounts cannot be compared."),
    "risk": gettext_lazy("Only items of low risk are approved together."),
    "step_up": gettext_lazy("A rule wants you to sign in again for each of these."),
    "kind": gettext_lazy("A question is answered, not approved."),
}


def job_for(actor: User, job_id: UUID) -> Job:
    """One's own job. Raises NotFoundError."""
    if found := Job.objects.select_related("person").filter(pk=job_id, person=actor).first():
        return found
    raise NotFoundError


def results_for(actor: User, job: Job) -> list[JobItem]:
    """One line per item, in the order in which they were named."""
    assert job.person_id == actor.pk
    return list(job.items.select_related("escalation__action").order_by("position"))


def candidate_of(item: Escalation) -> Candidate:
    """What of an item says with which others it goes."""
    asking = [rule for rule in item.verdict.get("rules", []) if rule.get("effect") == "require_approval"]
    action = item.action
    return Candidate(
        item=item.pk,
        what=action.operation if action else f"{item.workflow}/{item.step}",
        rules=tuple(sorted(f"{rule.get('policy')}@{rule.get('version')}/{rule.get('rule')}" for rule in asking)),
        risk=Risk(item.risk),
        step_up=item.step_up,
        amount_minor=action.amount_minor if action else None,
        currency=action.currency if action else "",
    )


def left_out_for(actor: User, items: Sequence[Escalation]) -> tuple[str, frozenset[UUID]]:
    """Why ``items`` are not approved together (nothing where they are), and which of them stand out.

    What is decided already is reported by its own line and does not count here.
    """
    assert actor.is_active
    waiting = [candidate_of(item) for item in items if item.state == EscalationState.PENDING]
    problem = bulk_problem(waiting)
    if any(VoteVerdict.APPROVE not in VERDICTS[Kind(item.kind)] for item in items):
        problem = "kind"
    return str(BULK_PROBLEMS[problem]) if problem else "", outliers(waiting)


def job_json(actor: User, job: Job) -> dict[str, Any]:
    """The job as the public interface names it."""
    rows = results_for(actor, job)
    return {
        "id": job.pk,
        "state": job.state,
        "verdict": job.verdict,
        "total": len(rows),
        "done": sum(row.state != JobItemState.WAITING for row in rows),
        "created_at": job.created_at,
        "done_at": job.done_at,
        "results": [_result(row) for row in rows],
    }


def _result(row: JobItem) -> dict[str, Any]:
    action = row.escalation.action
    return {
        "escalation": row.escalation_id,
        "title": row.escalation.title,
        "amount_minor": action.amount_minor if action else None,
        "currency": (action.currency or None) if action else None,
        "version": row.version,
        "digest": row.digest or None,
        "state": row.state,
        "outcome": row.outcome or None,
        "code": row.code or None,
        "detail": row.message or None,
    }
