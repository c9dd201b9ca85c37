"""Many items told the same at once: asked for in one transaction, done by workers, a few in each of theirs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from apps.audit.services import advance, record, recorded_together
from apps.core.errors import ConflictError, DomainError, InvalidError, NotFoundError
from apps.core.gate import recall, remembering, require_carried, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot, planned_once
from apps.core.queue import ring
from apps.core.reasons import sentence_of
from apps.oversight.models import Escalation, Job, JobItem
from apps.oversight.rules import (
    MAX_BULK,
    MAX_REASON,
    BulkVerdict,
    EscalationState,
    JobItemState,
    JobState,
)
from apps.oversight.selectors import WHY_NOT, drill_of, escalations_for, left_out_for, no_longer_with_for
from apps.oversight.selectors.eligibility import DECIDE
from apps.oversight.services.decisions import refuse_ended
from apps.oversight.services.timing import snooze_escalation
from apps.oversight.services.votes import REASON_CODE_MAX, Words, lock_for_votes, vote_on

MESSAGE_MAX, CODE_MAX = 300, 40


@transaction.atomic
def start_bulk(
    actor: User,
    *,
    verdict: str,
    ids: Sequence[UUID],
    reason: str = "",
    reason_code: str = "",
    versions: Mapping[UUID, int] | None = None,
    until: datetime | None = None,
) -> Job:
    """Tell many items the same. What follows is done by a worker, item by item, in the actor's name.

    Approving: one operation, one version of the rules, one currency, as many and as grave as these rules let be at
    once; amounts that stand out are left out and named. What does not wait now is not decided, though it wait again
    before its turn comes: nobody compared it. ``versions``: what the person saw; without it what stands now.
    ``until``: for snoozing. Raises InvalidError; NotAllowedError for a token that does not carry the right to decide,
    since workers know nothing of tokens.
    """
    require_human(actor)
    require_carried(actor, DECIDE)
    items = _items(actor, ids, verdict)
    _require_words(verdict, reason, reason_code, until)
    left_out = _require_alike(actor, items) if verdict == BulkVerdict.APPROVE else frozenset()
    job = Job.objects.create(person=actor, verdict=verdict, reason=reason.strip(), reason_code=reason_code, until=until)
    seen = versions or {}
    rows = [
        JobItem(
            job=job,
            escalation=item,
            position=position,
            version=seen.get(item.pk, item.version),
            digest=item.digest,
            **(_OUTLIER if item.pk in left_out else _ended(actor, item))._asdict(),
        )
        for position, item in enumerate(items)
    ]
    JobItem.objects.bulk_create(rows)
    told = {"verdict": verdict, "items": [str(item.pk) for item in items], "left_out": sorted(map(str, left_out))}
    record(actor, job, JobState.RUNNING, payload={**told, "reason": job.reason, "reason_code": reason_code})
    if not any(row.state == JobItemState.WAITING for row in rows):
        _finish_if_done(actor, job.pk)
    ring("jobs")
    job.refresh_from_db()
    return job


class Result(NamedTuple):
    """What became of one item, as its row says it."""

    state: str = JobItemState.WAITING
    outcome: str = ""
    code: str = ""
    message: str = ""


_OUTLIER = Result(
    JobItemState.EXCLUDED, code="outlier", message="Its amount stands out from the others. Look at it alone."
)


def _ended(actor: User, item: Escalation) -> Result:
    """What a job says at once of an item that does not wait; of one that does, that it waits."""
    try:
        refuse_ended(actor, item)
    except DomainError as error:
        return _failed(error)
    return Result()


def _items(actor: User, ids: Sequence[UUID], verdict: str) -> list[Escalation]:
    """The items in the order they were named. What one may not see is not there.

    Their parts come with them where they are compared, which only those to be approved are.
    """
    wanted = list(dict.fromkeys(ids))
    if not 1 <= len(wanted) <= MAX_BULK:
        raise InvalidError(errors={"ids": [_("From 1 to %d items.") % MAX_BULK]})
    rows = escalations_for(actor).filter(pk__in=wanted)
    if verdict != BulkVerdict.APPROVE:
        rows = rows.prefetch_related(None).select_related("decided_by")
    found = {item.pk: item for item in rows}
    if lost := [str(pk) for pk in wanted if pk not in found]:
        raise InvalidError(errors={"ids": [_("There is no item %s.") % pk for pk in lost]})
    return [found[pk] for pk in wanted]


def _require_words(verdict: str, reason: str, reason_code: str, until: datetime | None) -> None:
    errors: dict[str, list[str]] = {}
    if verdict not in list(BulkVerdict):
        errors["verdict"] = [_("One of: %s.") % ", ".join(BulkVerdict)]
    if verdict == BulkVerdict.REJECT and not (reason.strip() or reason_code):
        errors["reason"] = [_("Say why.")]
    if len(reason) > MAX_REASON:
        errors["reason"] = [_("At most %d characters.") % MAX_REASON]
    if len(reason_code) > REASON_CODE_MAX:
        errors["reason_code"] = [_("At most %d characters.") % REASON_CODE_MAX]
    if (verdict == BulkVerdict.SNOOZE) != (until is not None):
        errors["until"] = [_("Say until when; only with snooze.")]
    if errors:
        raise InvalidError(errors=errors)


def _require_alike(actor: User, items: Sequence[Escalation]) -> frozenset[UUID]:
    """The items that stand out. Raises InvalidError where they are not approved together at all."""
    problem, standing_out = left_out_for(actor, items)
    if problem:
        raise InvalidError(errors={"ids": [problem]})
    return standing_out


AT_ONCE = 10
"""Items that a worker claims together: what one that dies holds up for a second."""

CLAIM = """
WITH due AS (
    SELECT id FROM oversight_jobitem WHERE state = 'waiting' AND not_before <= clock_timestamp()
    ORDER BY not_before, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE oversight_jobitem AS claimed SET attempts = attempts + 1,
       not_before = clock_timestamp() + least(power(2, attempts), 60) * interval '1 second'
FROM due WHERE claimed.id = due.id
RETURNING claimed.id, claimed.attempts = 1 AS is_new,
          EXISTS (SELECT FROM oversight_jobitem o WHERE o.state = 'waiting' AND o.not_before <= clock_timestamp()
                  AND o.id NOT IN (SELECT id FROM due)) AS is_shared,
          NOT EXISTS (SELECT FROM oversight_jobitem o WHERE o.state = 'waiting' AND o.job_id = claimed.job_id
                      AND o.id NOT IN (SELECT id FROM due)) AS is_last
"""


def perform_due_items(at_once: int = AT_ONCE) -> int:
    """Do up to ``at_once`` items of jobs that are due; how many were done.

    Claiming postpones first and commits, so that a worker that dies holds up nothing but these items, for a second. The
    vote and the note that it was cast are one transaction: what was not noted was not cast. Items that are tried for
    the first time share one; an error takes it back whole, and from then on each is tried alone.
    What is wrong with one is raised when the others have been done.
    """
    with transaction.atomic(), planned_once(), connection.cursor() as cursor:
        cursor.execute(CLAIM, [at_once])
        claimed = cursor.fetchall()
        if any(is_shared for _id, _is_new, is_shared, _is_last in claimed):
            ring("jobs")  # so that workers share them
    if not claimed:
        _finish_left_open()
    alone = [[item_id] for item_id, is_new, _is_shared, _is_last in claimed if not is_new]
    together = [item_id for item_id, is_new, _is_shared, _is_last in claimed if is_new]
    jobs = _perform_each([together, *alone])
    if any(is_last for _id, _is_new, _is_shared, is_last in claimed):
        for job in {job.pk: job for job in jobs}.values():
            _finish_if_done(job.person, job.pk)
    return len(claimed)


def _perform_each(groups: Sequence[Sequence[UUID]]) -> list[Job]:
    if not groups:
        return []
    try:
        jobs = _perform(groups[0])
    finally:
        others = _perform_each(groups[1:])
    return [*jobs, *others]


_claimed = Prepared(
    lambda: (
        JobItem.objects.select_for_update(of=("self",))
        .select_related("job__person")
        .filter(pk__any_of=Slot("items"), state=JobItemState.WAITING)
        .order_by("not_before", "pk")
    )
)


@transaction.atomic
def _perform(item_ids: Sequence[UUID]) -> list[Job]:
    """Do these items in one transaction; their jobs.

    What a person's rights are is read once for all items that the transaction decides for them, under its fence.
    """
    rows: dict[Job, list[JobItem]] = {}
    for row in _claimed(items=list(item_ids)) if item_ids else ():
        rows.setdefault(row.job, []).append(row)
    for job, of_job in rows.items():
        with remembering(job.person), recorded_together():
            _perform_of(job, of_job)
    return list(rows)


def _perform_of(job: Job, rows: Sequence[JobItem]) -> None:
    """Tell each of a job's items, and note what came of it: what came of several alike by one statement."""
    try:
        items = _locked(job, [row.escalation_id for row in rows])
    except DomainError as error:  # whoever asked has left
        _note(_failed(error), [row.pk for row in rows])
        return
    results: dict[Result, list[UUID]] = {}
    for row in rows:
        result = _perform_one(job, row, items)
        if result.state == JobItemState.DONE:
            results.setdefault(result, []).append(row.pk)
        else:  # at once: what failed does not count towards what may be approved together
            _note(result, [row.pk])
    for result, done in results.items():
        _note(result, done)


def _locked(job: Job, ids: Sequence[UUID]) -> dict[UUID, Escalation]:
    """Those that are voted on, by id; who only puts items aside locks each alone."""
    if job.verdict == BulkVerdict.SNOOZE:
        return {}
    return {item.pk: item for item in lock_for_votes(job.person, ids)}


def _note(result: Result, done: Sequence[UUID]) -> None:
    JobItem.objects.filter(pk__any_of=done).update(**result._asdict())


def _perform_one(job: Job, row: JobItem, items: Mapping[UUID, Escalation]) -> Result:
    try:
        with recorded_together():
            item = _tell(job, row, items)
    except NotFoundError as error:  # whoever asked saw it then, and no item is ever deleted
        return _failed(error)._replace(message=_("You may not see it any more, so nothing was decided."))
    except DomainError as error:
        return _failed(error)
    return Result(JobItemState.DONE, outcome=str(item.state), message=_said_of_drill(job.person, item))


def _finish_left_open() -> None:
    """End jobs in which nothing waits: the last two were done at once, or the worker of the last one died."""
    waiting = JobItem.objects.filter(job=OuterRef("pk"), state=JobItemState.WAITING)
    left = Job.objects.filter(~Exists(waiting), state=JobState.RUNNING).select_related("person")
    for job in left:
        _finish_if_done(job.person, job.pk)


def _said_of_drill(person: User, item: Escalation) -> str:
    """What a person is told of a drill that they decided with other items; nothing of real work."""
    drill = drill_of(person, item)
    if drill is None:
        return ""
    return _("This was a drill. You caught it.") if drill.is_caught else _("This was a drill, and you approved it.")


def _tell(job: Job, row: JobItem, items: Mapping[UUID, Escalation]) -> Escalation:
    """What one item is told; the item then. Everything is asked again as if the person had said it here.

    Each command is atomic by itself: what it refuses leaves nothing behind in the transaction of the note.
    """
    if job.verdict == BulkVerdict.SNOOZE:
        return snooze_escalation(job.person, escalation_id=row.escalation_id, until=job.until)
    item = items.get(row.escalation_id)
    if item is None:
        raise NotFoundError
    if job.verdict == BulkVerdict.APPROVE:
        _require_together(job, item)
    told = job.items.exclude(state=JobItemState.EXCLUDED)
    together = recall(job.person, f"job.{job.pk}.told", told.count)
    said = Words(reason=job.reason, reason_code=job.reason_code, together=together)
    return vote_on(job.person, item, verdict=job.verdict, version=row.version, **said)


def _require_together(job: Job, item: Escalation) -> None:
    """Raise ConflictError ``not_together`` where the item's rules have come to let fewer be approved at once."""
    if item.state == EscalationState.PENDING and (why := no_longer_with_for(job.person, job, item)):
        raise ConflictError(why, code="not_together")


def _failed(error: DomainError) -> Result:
    return Result(JobItemState.FAILED, code=error.code[:CODE_MAX], message=_words(error))


def _words(error: DomainError) -> str:
    """What the person is told; the stable words are in ``code``."""
    if isinstance(winner := error.members.get("winner"), dict):
        return f"{winner.get('name')}: {winner.get('verdict')}"[:MESSAGE_MAX]
    texts = [text for found in error.errors.values() for text in found] if error.errors else []
    said, why = " ".join(texts) or str(error.message), str(error.members.get("why"))
    return (str(WHY_NOT[why]) if why in WHY_NOT else f"{said} {sentence_of(why)}".strip())[:MESSAGE_MAX]


@transaction.atomic
def _finish_if_done(actor: User, job_id: UUID) -> None:
    """End a job in which nothing waits any more, once."""
    job = Job.objects.select_for_update(of=("self",)).get(pk=job_id)
    if job.state != JobState.RUNNING or job.items.filter(state=JobItemState.WAITING).exists():
        return
    counts = {state.value: job.items.filter(state=state).count() for state in JobItemState}
    advance(actor, job, JobState.DONE, payload={"counts": counts}, done_at=ClockTimestamp())
