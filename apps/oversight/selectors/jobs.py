"""A job as the person who asked for it sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Abs
from django.utils.translation import gettext_lazy

from apps.connectors.rules import money_text
from apps.core.errors import NotFoundError
from apps.core.gate import require_carried
from apps.core.models import User
from apps.core.rules import Risk
from apps.oversight.models import Escalation, Job, JobItem
from apps.oversight.rules import (
    MAX_BULK,
    VERDICTS,
    BulkVerdict,
    Candidate,
    EscalationState,
    JobItemState,
    Kind,
    VoteVerdict,
    apart,
    beyond,
    bulk_problem,
    limit_problem,
    most_together,
    outliers,
    together,
)
from apps.oversight.selectors.details import why_not_for
from apps.oversight.selectors.eligibility import VIEW, standing_for
from apps.oversight.selectors.escalations import INBOX_ORDER, decidable_for, escalations_for

BULK_PROBLEMS = {
    "operation": gettext_lazy("They do not ask for the same. Approve one kind at a time."),
    "rules": gettext_lazy(
        "Different rules, or versions of one, ask for a person. Approve those of one rule at a time."
    ),
    "currency": gettext_lazy("Their currencies differ, so their amounts cannot be compared."),
    "risk": gettext_lazy("Their rules let only items of %(tier)s risk be approved together."),
    "step_up": gettext_lazy("A rule wants you to sign in again for each of these."),
    "kind": gettext_lazy("A question is answered, not approved."),
    "one_by_one": gettext_lazy("A rule wants each of these approved by itself."),
    "items": gettext_lazy("A rule lets at most %(most)s of these be approved at once."),
    "amount": gettext_lazy("A rule bounds their sum, and of one the amount is not known. Decide that one alone."),
    "total": gettext_lazy("A rule lets at most %(total)s be approved at once."),
}
APART = {
    "operation": gettext_lazy("asks for something else"),
    "rules": gettext_lazy("another rule, or another version, asks for people"),
    "currency": gettext_lazy("is in another currency"),
    "risk": gettext_lazy("its risk is too high to go with others"),
    "step_up": gettext_lazy("a rule wants you to sign in again for it"),
    "kind": gettext_lazy("is answered, not approved"),
    "one_by_one": gettext_lazy("a rule wants it approved by itself"),
    "items": gettext_lazy("more than a rule lets be approved at once"),
    "amount": gettext_lazy("its amount is not known, and a rule bounds the sum"),
    "total": gettext_lazy("with it the sum is beyond what a rule lets be approved at once"),
}
TIERS = {
    Risk.LOW: gettext_lazy("low"),
    Risk.MEDIUM: gettext_lazy("low or medium"),
}


def job_for(actor: User, job_id: UUID) -> Job:
    """One's own job. Raises NotFoundError."""
    require_carried(actor, VIEW)
    if found := Job.objects.select_related("person").filter(pk=job_id, person=actor).first():
        return found
    raise NotFoundError


def jobs_for(actor: User) -> QuerySet[Job]:
    """One's own jobs, newest first, with ``total``, ``done`` and ``failed``: how many items, how many are behind it."""
    require_carried(actor, VIEW)
    failed = Q(items__state__in=[JobItemState.FAILED, JobItemState.EXCLUDED])
    return (
        Job.objects.filter(person=actor)
        .annotate(
            total=Count("items"),
            done=Count("items", ~Q(items__state=JobItemState.WAITING)),
            failed=Count("items", failed),
        )
        .order_by("-id")
    )


def results_for(actor: User, job: Job) -> list[JobItem]:
    """One line per item, in the order in which they were named."""
    assert job.person_id == actor.pk
    return list(job.items.select_related("escalation__action").order_by("position"))


@dataclass(frozen=True, slots=True)
class Matching:
    """Of all that match: what can be told something at once, and how many not.

    ``later``: more than go at once. ``others``: what the person cannot tell that.
    """

    items: list[Escalation]
    later: int = 0
    others: int = 0


def matching_for(actor: User, rows: QuerySet[Escalation], verdict: str) -> Matching:
    """What of ``rows`` (a list that ``actor`` got of a selector) they can tell ``verdict``.

    The most urgent ones, as many as one job takes; of what is to be approved, as many as the rules let be at once.
    Where they let not even one be, all: their page says why.
    """
    kinds = [kind for kind in Kind if verdict == BulkVerdict.SNOOZE or verdict in VERDICTS[kind]]
    wanted = decidable_for(actor, rows.filter(kind__in=kinds))
    found = list(wanted.order_by(*INBOX_ORDER)[:MAX_BULK])
    standing = standing_for(actor)
    able = [item for item in found if why_not_for(actor, item, standing) is None]
    fit = most_together([candidate_of(item) for item in able]) if verdict == BulkVerdict.APPROVE else frozenset[UUID]()
    taken = [item for item in able if item.pk in fit] or able
    decidable = wanted.count() - (len(found) - len(able))
    return Matching(taken, later=decidable - len(taken), others=rows.count() - decidable)


def failed_for(actor: User, job: Job) -> tuple[list[Escalation], frozenset[UUID]]:
    """The items of ``actor``'s own job that were not decided and still wait for them, in its order.

    And which of those are not any more what ``actor`` saw when the job began.
    """
    assert job.person_id == actor.pk
    rows = job.items.filter(state=JobItemState.FAILED, escalation__state=EscalationState.PENDING).order_by("position")
    seen = {key: (version, digest) for key, version, digest in rows.values_list("escalation", "version", "digest")}
    found = {item.pk: item for item in escalations_for(actor).filter(pk__in=seen)}
    standing = standing_for(actor)
    able = [found[key] for key in seen if key in found and why_not_for(actor, found[key], standing) is None]
    return able, frozenset(item.pk for item in able if (item.version, item.digest) != seen[item.pk])


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
        bulk=item.bulk_let(),
    )


def left_out_for(actor: User, items: Sequence[Escalation]) -> tuple[str, frozenset[UUID]]:
    """Why ``items`` are not approved together (nothing where they are), and which of them stand out.

    What is decided already is reported by its own line and does not count here.
    """
    assert actor.is_active
    waiting = [candidate_of(item) for item in items if item.state == EscalationState.PENDING]
    standing_out = outliers(waiting)
    rest = [found for found in waiting if found.item not in standing_out]
    problem = bulk_problem(rest) or limit_problem(rest)
    if any(VoteVerdict.APPROVE not in VERDICTS[Kind(item.kind)] for item in items):
        problem = "kind"
    return _words(problem, rest) if problem else "", standing_out


def apart_for(actor: User, items: Sequence[Escalation]) -> dict[UUID, str]:
    """Which of ``items`` keep the others from being approved together, each with why in a few words."""
    assert actor.is_active
    waiting = [item for item in items if item.state == EscalationState.PENDING]
    others = [item for item in waiting if VoteVerdict.APPROVE not in VERDICTS[Kind(item.kind)]]
    found = {item.pk: "kind" for item in others} | apart([candidate_of(one) for one in waiting if one not in others])
    return {item: str(APART[problem]) for item, problem in found.items()}


def no_longer_with_for(actor: User, job: Job, item: Escalation) -> str:
    """Why the locked ``item`` of a job is not approved with the job's others any more; nothing where it is.

    Its rules may let fewer be approved at once than when the job began. What is done already counts, what failed not.
    """
    assert job.person_id == actor.pk
    amount = F("escalation__action__amount_minor")
    rows = job.items.filter(state__in=[JobItemState.WAITING, JobItemState.DONE], escalation__drill_for=None)
    found = rows.aggregate(count=Count("pk"), known=Count(amount), total=Sum(Abs(amount)))
    total = found["total"] if found["known"] == found["count"] else None
    one = candidate_of(item)
    problem = bulk_problem([one]) or beyond(one.bulk, found["count"], total)
    return _words(problem, [one]) if problem else ""


def _words(problem: str, candidates: Sequence[Candidate]) -> str:
    bulk = together(candidates)
    return str(BULK_PROBLEMS[problem]) % {
        "tier": TIERS[bulk.risk],
        "most": bulk.items,
        "total": "" if bulk.total_minor is None else money_text(bulk.total_minor, candidates[0].currency),
    }


def job_json(actor: User, job: Job) -> dict[str, Any]:
    """The job as the public interface names it."""
    rows = results_for(actor, job)
    return {
        "id": job.pk,
        "state": job.state,
        "verdict": job.verdict,
        "total": len(rows),
        "done": sum(row.state != JobItemState.WAITING for row in rows),
        "failed": sum(row.state in {JobItemState.FAILED, JobItemState.EXCLUDED} for row in rows),
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
