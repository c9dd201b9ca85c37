"""What changes while people decide: a published policy judges again and never loosens, a changed operation ends."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import advance, record
from apps.connectors.selectors import permitted_operation_for
from apps.connectors.selectors.pins import why_gone
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.core.services import one_by_one, system_user
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Kind
from apps.oversight.selectors import changed_since_judged
from apps.oversight.services.decisions import close_groups, ending_payload, lock_item, void_votes
from apps.oversight.services.edits import facts_of, joined_bulk, joined_demands
from apps.oversight.services.hiding import hide_in_item
from apps.oversight.services.stages import follow_stages
from apps.oversight.services.stops import OPEN, settle_clocks
from apps.policies.rules import Effect, Verdict, is_stricter, verdict_of
from apps.policies.selectors import release_number
from apps.policies.services import evaluate_action

BATCH = 100


def reweigh_pending() -> int:
    """Judge again what waits under an older release than the one in force, one transaction each; how many."""
    number = release_number()
    waiting = Escalation.objects.filter(state=EscalationState.PENDING, kind=Kind.ACTION, release__lt=number)
    plane = system_user("plane")
    return sum(_reweigh(plane, pk, number) for pk in waiting.order_by("release").values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def _reweigh(plane: User, escalation_id: UUID, number: int) -> int:
    item = lock_item(escalation_id)
    action = item.action
    if item.state != EscalationState.PENDING or action is None or action.state != ActionState.PENDING_APPROVAL:
        return 0
    try:
        permitted = permitted_operation_for(action.principal, action.operation)
        if permitted.errors(action.parameters):
            _invalidate(plane, item, action, why="parameters_no_longer_fit")
            return 1
        verdict = evaluate_action(plane, facts=facts_of(item, action, permitted, action.parameters))
    except NotFoundError:
        _invalidate(plane, item, action, why=why_gone(action.principal, action.operation))
        return 1
    except InvalidError:
        _invalidate(plane, item, action, why="parameters_no_longer_fit")
        return 1
    hide_in_item(item, action, permitted, verdict)
    if verdict.effect is Effect.DENY:
        _invalidate(plane, item, action, why="denied_by_policy", verdict=verdict)
        return 1
    if is_stricter(verdict, verdict_of(item.verdict)):
        _tighten(plane, item, action, verdict)
    else:
        _keep(plane, item, action, verdict, number)
    return 1


def invalidate_changed() -> int:
    """End what waits for people whose operation, connector or agent's version is not the one judged; how many.

    Follows such a change at once. The clock asks too: an action may be written down while the change commits.
    """
    waiting = Escalation.objects.filter(state__in=OPEN, kind=Kind.ACTION)
    judged = ("operation", "definition_digest", "version")
    kinds = Action.objects.filter(escalations__in=waiting).select_related("version").order_by(*judged).distinct(*judged)
    changed = Q(pk__in=[])
    for one in kinds:
        if changed_since_judged(one):
            changed |= Q(**{f"action__{name}": getattr(one, name) for name in judged})
    plane = system_user("plane")
    ids = waiting.filter(changed).order_by("id").values_list("pk", flat=True)
    return one_by_one(lambda pk: _end_changed(plane, pk), ids)


@transaction.atomic
def _end_changed(plane: User, escalation_id: UUID) -> int:
    item = lock_item(escalation_id)
    if item.state not in OPEN or item.action is None or not (why := changed_since_judged(item.action)):
        return 0
    _invalidate(plane, item, item.action, why=why)
    return 1


def _invalidate(plane: User, item: Escalation, action: Action, *, why: str, verdict: Verdict | None = None) -> None:
    """Nobody can approve this any more: the item and its action end, with the reason."""
    void_votes(plane, item, why="invalidated")
    settle_clocks(item)
    payload = {**ending_payload(item, EscalationState.INVALIDATED), "why": why}
    unsaid = dict.fromkeys(("claimed_by", "claimed_until", "decided_by", "decided_at", "releases_at"))
    advance(plane, item, EscalationState.INVALIDATED, payload=payload, ended_at=ClockTimestamp(), reason=why, **unsaid)
    close_groups(item)
    judged: dict[str, Any] = {"verdict": verdict.as_json(), "release_number": verdict.release} if verdict else {}
    told = {"escalation": item.pk, "why": why}
    error = {"code": why, "message": ""}
    advance(plane, action, ActionState.DENIED, payload=told, error=error, finished_at=ClockTimestamp(), **judged)


def _tighten(plane: User, item: Escalation, action: Action, verdict: Verdict) -> None:
    """The new demands join the old ones; what was voted was voted on something else."""
    void_votes(plane, item, why="policy")
    columns = joined_demands(item, verdict)
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(version=F("version") + 1, **columns)
    item.refresh_from_db(fields=["version", "risk", "expires_at"])
    follow_stages(plane, item)
    Action.objects.filter(pk=action.pk, state=ActionState.PENDING_APPROVAL).update(
        verdict=columns["verdict"], release_number=verdict.release
    )
    told = {"version": item.version, "release": verdict.release, "risk": item.risk, "stricter": True}
    record(plane, item, "escalation.reweighed", payload=told)


def _keep(plane: User, item: Escalation, action: Action, verdict: Verdict, number: int) -> None:
    """As strict as before or milder: people decide as they were asked to. What is no longer required is only told.

    Fewer at once takes back nothing that was said one by one: it is kept for those who decide from now on.
    """
    bulk = joined_bulk(item, verdict)
    narrows = bulk is not None and bulk != item.bulk_let().as_json()
    columns = {"release": number, **({"bulk": bulk} if narrows else {})}
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(**columns)
    Action.objects.filter(pk=action.pk, state=ActionState.PENDING_APPROVAL).update(release_number=number)
    if narrows:
        record(plane, item, "escalation.narrowed", payload={"release": number, "bulk": bulk})
    if verdict.effect is Effect.ALLOW:
        record(plane, item, "escalation.no_longer_required", payload={"release": number})
