"""Erasing a whole trail: what people and agents wrote, with everything that proves what was decided left in place."""

from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, JSONField, Value, When
from django.db.models.functions import JSONObject
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.services import erase_actions
from apps.audit.models import Entry
from apps.audit.services import erase_payloads
from apps.connectors.services import erase_effects
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import blank_answers
from apps.oversight.services import erase_items, erase_jobs
from apps.workflows.models import Attempt, Compensation, InterruptCall, Run, Step, Task
from apps.workflows.selectors.erasing import trail_of, why_not_by, why_not_erasable

MAX_REASON = 500
CODE = Case(
    When(error__isnull=False, then=JSONObject(code=F("error__code"), message=Value(""))),
    default=Value(None),
    output_field=JSONField(),
)
"""An error without its words."""


@transaction.atomic
def erase_trail(actor: User, *, trail_id: UUID, reason: str) -> Entry:
    """Erase what was written on a run's or an action's trail, for ever; the entry that says so and how much it was.

    For people with ``audit.erase_payload`` in every unit on it who had no part in it; NotAllowedError says why not.
    States, digests, decisions, amounts, who and when stay, so that every proof and every figure stays. Raises
    NotFoundError, InvalidError without a reason, ConflictError ``invalid_state`` while anything of it is open or nobody
    knows what an effect did; it says what to do.
    """
    require_human(actor)
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    Run.objects.select_for_update().filter(pk=trail_id).first()
    trail = trail_of(actor, trail_id)
    list(Action.objects.select_for_update().filter(pk__in=trail.action_ids).order_by("id").values("pk"))
    trail = trail_of(actor, trail_id)
    if why := why_not_by(actor, trail):
        raise NotAllowedError(why)
    if why := why_not_erasable(actor, trail):
        raise ConflictError(why)
    entry = erase_payloads(actor, trail.subject, trail=trail_id, reason=reason, **trail.counts())
    erase_actions(actor, ids=trail.action_ids)
    erase_effects(actor, action_ids=trail.action_ids)
    erase_items(actor, ids=trail.item_ids)
    erase_jobs(actor, ids=trail.item_ids, reason=reason)
    tasks = Task.objects.filter(run=trail.run).values_list("pk", flat=True) if trail.run else ()
    asked = InterruptCall.objects.filter(action__in=trail.action_ids).values_list("interrupt", flat=True)
    blank_answers(ids=[trail_id, *trail.action_ids, *trail.item_ids, *tasks, *asked])
    if trail.run:
        _erase_run(actor, trail.run)
    return entry


def _erase_run(actor: User, run: Run) -> None:
    """What went in, what came out, and what was tried; of errors their codes stay."""
    mark = {"erased_at": ClockTimestamp(), "erased_by": actor.username}
    Run.objects.filter(pk=run.pk).update(input={}, output=None, error=CODE, **mark)
    Step.objects.filter(run=run).update(output=None, items=None, error=CODE)
    Attempt.objects.filter(run=run).update(output=None, reasoning="", sources=[], error=CODE)
    Compensation.objects.filter(run=run).update(parameters=None, error=CODE)
    Task.objects.filter(run=run).update(input=None, answers=[], held=None)
