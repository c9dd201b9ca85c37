"""Having runs that failed begin anew: asked for together, done one by one, never twice."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import advance, record
from apps.core.errors import ConflictError, DomainError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.core.queue import ring
from apps.workflows.models import Retry, Run
from apps.workflows.rules.retrying import RetryState
from apps.workflows.selectors.retrying import failed_runs_for, operable_for, unsafe_runs_of
from apps.workflows.services.runs import MAX_REASON, start_run

MOST_AT_ONCE = 200
LANE = "retries"
HELD_FOR = timedelta(seconds=30)
"""So long after a worker took a retry and died, another takes it."""


@transaction.atomic
def retry_runs(actor: User, *, run_ids: Sequence[UUID], reason: str) -> int:
    """Ask that these failed runs begin anew; how many will. What is not safe, not theirs or asked for already is left.

    Raises InvalidError without a reason or with too many runs, NotAllowedError where ``actor`` may do so with none.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    if not 0 < len(run_ids) <= MOST_AT_ONCE:
        raise InvalidError(errors={"runs": [_("Between 1 and %d runs.") % MOST_AT_ONCE]})
    seen = set(failed_runs_for(actor).filter(pk__in=run_ids).values_list("pk", flat=True))
    runs = list(Run.objects.select_for_update().select_related("unit").filter(pk__in=seen).order_by("pk"))
    mine = operable_for(actor, runs)
    if not mine:
        raise NotAllowedError
    unsafe = unsafe_runs_of(actor, runs)
    chosen = [run for run in runs if run.pk in mine and run.pk not in unsafe]
    for run in chosen:
        _ask(actor, run, reason)
    if chosen:
        ring(LANE)
    return len(chosen)


def _ask(actor: User, run: Run, reason: str) -> None:
    """The run is locked: of two who ask, the second finds the first one's row."""
    before = Retry.objects.filter(run=run, state=RetryState.REFUSED)
    if not before.update(state=RetryState.WAITING, asked_by=actor, code="", not_before=ClockTimestamp()):
        Retry.objects.create(run=run, asked_by=actor)
    record(actor, run, "run.retry_asked", payload={"reason": reason})


def perform_due_retries() -> int:
    """Begin one run anew that waits for it; 1, or 0 where none does. Taken first, so that no failure is met twice."""
    with transaction.atomic():
        due = Retry.objects.select_for_update(skip_locked=True).filter(
            state=RetryState.WAITING, not_before__lte=ClockTimestamp()
        )
        taken = due.order_by("not_before").values_list("pk", flat=True).first()
        if taken is None:
            return 0
        Retry.objects.filter(pk=taken).update(not_before=ClockTimestamp() + HELD_FOR)
    _perform(taken)
    return 1


@transaction.atomic
def _perform(retry_id: UUID) -> None:
    """The new run and the note of it are one transaction: what is not noted has not begun."""
    row = Retry.objects.filter(pk=retry_id, state=RetryState.WAITING)
    retry = row.select_for_update(of=("self",)).select_related("asked_by").first()
    if retry is None:
        return
    actor, started, code = retry.asked_by, None, ""
    try:
        with transaction.atomic():
            started = _begin(actor, retry.run_id)
    except DomainError as error:
        code = error.code
    state = RetryState.STARTED if started else RetryState.REFUSED
    told = {"run": started.pk if started else None, "code": code}
    advance(actor, retry, state, payload=told, started=started, code=code)


def _begin(actor: User, run_id: UUID) -> Run:
    """Everything is asked again: what was safe when somebody looked may not be any more."""
    failed = (
        Run.objects.select_for_update(of=("self",)).select_related("workflow", "unit", "on_behalf_of").get(pk=run_id)
    )
    if failed.pk not in operable_for(actor, [failed]):
        raise NotAllowedError
    if unsafe_runs_of(actor, [failed], asked=False):
        raise ConflictError(_("It is not safe to begin anew any more."), code="not_safe")
    return start_run(
        actor,
        workflow=failed.workflow.slug,
        input=failed.input,
        key=failed.key,
        business_unit=failed.unit.slug,
        on_behalf_of=failed.on_behalf_of.username if failed.on_behalf_of else None,
        again=failed,
    )
