"""Erasing a whole trail: what people and agents wrote, with everything that proves what was decided left in place."""

from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, JSONField, Value, When
from django.db.models.functions import JSONObject
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.services import erase_actions
from apps.audit.models import Entry
from apps.audit.rules import ERASURE_ASKED
from apps.audit.services import erase_payloads, record
from apps.connectors.services import erase_effects
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import blank_answers
from apps.oversight.services import erase_items, erase_jobs
from apps.policies.services import erase_proposals
from apps.workflows.models import Attempt, Compensation, ErasureRequest, InterruptCall, Run, Step, Task
from apps.workflows.rules.states import ERASURE_WITHIN_S, ErasureEnd
from apps.workflows.selectors.erasing import Trail, may_erase, reach_of, trail_of, why_not_by, why_not_erasable

MAX_REASON = 500
CODE = Case(
    When(error__isnull=False, then=JSONObject(code=F("error__code"), message=Value(""))),
    default=Value(None),
    output_field=JSONField(),
)
"""An error without its words."""


@transaction.atomic
def ask_erasure(actor: User, *, trail_id: UUID, reason: str) -> ErasureRequest:
    """Ask to erase what was written on a run's or an action's trail. Somebody else has to agree within seven days.

    For people with ``audit.erase_payload`` in every unit on it who had no part in it; NotAllowedError says why not.
    Raises NotFoundError, InvalidError without a reason, ConflictError ``invalid_state`` while anything of it is open,
    nobody knows what an effect did, nothing is left to erase or somebody asked already; it says what to do.
    """
    require_human(actor)
    reason = _reason(reason)
    trail = _locked_trail(actor, trail_id)
    ErasureRequest.objects.filter(trail_id=trail_id, ended_at=None, expires_at__lte=ClockTimestamp()).update(
        ended_at=F("expires_at"), outcome=ErasureEnd.EXPIRED
    )
    if not reach_of(actor, trail)["entries"]:
        raise ConflictError(_("Everything that was written here is erased already."))
    try:
        with transaction.atomic():
            asked = ErasureRequest.objects.create(
                trail_id=trail_id,
                reason=reason,
                asked_by=actor,
                expires_at=ClockTimestamp() + timedelta(seconds=ERASURE_WITHIN_S),
            )
    except IntegrityError as error:
        raise ConflictError(_("Somebody asked for it already; it waits for somebody else to agree.")) from error
    asked.refresh_from_db()
    record(actor, trail.subject, ERASURE_ASKED, trail=trail_id, payload={"reason": reason})
    return asked


@transaction.atomic
def drop_erasure(actor: User, *, trail_id: UUID, reason: str = "") -> ErasureRequest:
    """Withdraw what one asked for, or refuse what somebody else did (then with a reason). Nothing is erased."""
    require_human(actor)
    trail = trail_of(actor, trail_id)
    asked = _asked(trail_id)
    is_own = asked.asked_by_id == actor.pk
    if not is_own and (why := why_not_by(actor, trail)):
        raise NotAllowedError(why)
    reason = reason.strip() if is_own else _reason(reason)
    _end(asked, actor, ErasureEnd.WITHDRAWN if is_own else ErasureEnd.REFUSED)
    told = {"reason": reason[:MAX_REASON], "asked_by": asked.asked_by.username}
    name = "erasure.withdrawn" if is_own else "erasure.refused"
    record(actor, trail.subject, name, trail=trail_id, payload=told)
    return asked


@transaction.atomic
def erase_trail(actor: User, *, trail_id: UUID) -> Entry:
    """Agree with an erasure that somebody else asked for: it is done, for ever; the entry that says so and how much.

    Who agrees may do what who asked may, who still has to. States, digests, decisions, amounts, who and when stay, so
    that every proof and every figure stays. Raises as ``ask_erasure`` does, and ConflictError where nobody asked or it
    was too long ago.
    """
    require_human(actor)
    trail = _locked_trail(actor, trail_id)
    asked = _asked(trail_id)
    if asked.asked_by_id == actor.pk:
        raise NotAllowedError(_("You asked for it. Somebody else has to agree."))
    if not may_erase(asked.asked_by, trail):
        raise ConflictError(_("%s may not erase this any more. Ask for it anew.") % asked.asked_by)
    _end(asked, actor, ErasureEnd.ERASED)
    return erase_words(actor, trail, reason=asked.reason, asked_by=asked.asked_by.username)


def hold_off_erasures() -> None:
    """Let no trail be erased until this transaction ends, and wait for those that just are.

    For whoever adds words to trails and then looks which are erased: without it, words that are committed after an
    erasure looked for them, by somebody who looked before it was committed, would stay. Call it last, with nothing
    else left to wait for.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('workflows.erasing', 0))")


def _hold_erasing() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('workflows.erasing', 0))")


def erase_words(actor: User, trail: Trail, *, reason: str, **told: object) -> Entry:
    """Erase a trail that the caller locked and nothing stands in the way of; ``told`` stands in the entry about it."""
    _hold_erasing()
    trail_id = trail.subject.pk
    entry = erase_payloads(actor, trail.subject, trail=trail_id, reason=reason, **told, **trail.counts())
    erase_actions(actor, ids=trail.action_ids)
    erase_effects(actor, action_ids=trail.action_ids)
    erase_items(actor, ids=trail.item_ids)
    erase_jobs(actor, ids=trail.item_ids, reason=reason)
    erase_proposals(actor, items=trail.item_ids, reason=reason)
    tasks = Task.objects.filter(run=trail.run).values_list("pk", flat=True) if trail.run else ()
    interrupts = InterruptCall.objects.filter(action__in=trail.action_ids).values_list("interrupt", flat=True)
    blank_answers(ids=[trail_id, *trail.action_ids, *trail.item_ids, *tasks, *interrupts])
    if trail.run:
        _erase_run(actor, trail.run)
    return entry


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    return reason


def _locked_trail(actor: User, trail_id: UUID) -> Trail:
    """The trail, locked, for somebody who may erase it, once nothing of it is open."""
    Run.objects.select_for_update().filter(pk=trail_id).first()
    trail = trail_of(actor, trail_id)
    list(Action.objects.select_for_update().filter(pk__in=trail.action_ids).order_by("id").values("pk"))
    trail = trail_of(actor, trail_id)
    if why := why_not_by(actor, trail):
        raise NotAllowedError(why)
    if why := why_not_erasable(actor, trail):
        raise ConflictError(why)
    return trail


def _asked(trail_id: UUID) -> ErasureRequest:
    """What waits for somebody to agree. Raises ConflictError where nothing does."""
    found = ErasureRequest.objects.select_related("asked_by").filter(ErasureRequest.open(), trail_id=trail_id).first()
    if found is None:
        raise ConflictError(_("Nobody asked for it, or it was too long ago. Ask for it first."))
    return found


def _end(asked: ErasureRequest, actor: User, outcome: ErasureEnd) -> None:
    ended = {"ended_at": ClockTimestamp(), "ended_by": actor, "outcome": outcome}
    if ErasureRequest.objects.filter(ErasureRequest.open(), pk=asked.pk).update(**ended) != 1:
        raise ConflictError(_("Somebody else answered it at the same time."))
    asked.refresh_from_db()


def _erase_run(actor: User, run: Run) -> None:
    """What went in, what came out, and what was tried; of errors their codes stay."""
    mark = {"erased_at": ClockTimestamp(), "erased_by": actor.username}
    Run.objects.filter(pk=run.pk).update(input={}, output=None, error=CODE, **mark)
    Step.objects.filter(run=run).update(output=None, items=None, error=CODE)
    Attempt.objects.filter(run=run).update(output=None, reasoning="", sources=[], error=CODE)
    Compensation.objects.filter(run=run).update(parameters=None, error=CODE)
    Task.objects.filter(run=run).update(input=None, answers=[], held=None)
