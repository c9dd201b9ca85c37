"""Commands on requests for access: agents ask, people grant or refuse. Nothing changes before somebody does."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.agents.selectors import require_working_agent
from apps.audit.services import record
from apps.connectors.models import AccessRequest, OperationPermission
from apps.connectors.rules.requests import (
    AGAIN_AFTER_S,
    DAYS,
    LAPSES_S,
    MAX_A_DAY,
    MAX_DAYS,
    MAX_OPEN,
    OPERATION_MAX,
    REASON_MAX,
    RequestEnd,
    together,
)
from apps.connectors.selectors import operation_for, permitted_operation_for
from apps.connectors.selectors.pins import refuse_quarantined
from apps.connectors.services.permissions import authorise, grant_operation
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError, RateLimitedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import system_user

DAY = timedelta(days=1)
FIELDS_MAX, FIELD_MAX = 50, 200


@transaction.atomic
def request_access(
    actor: User, *, operation: str, reason: str, fields: Sequence[str] | None = None, days: int = DAYS
) -> tuple[AccessRequest, bool]:
    """Ask people for an operation; the request, and whether it is new. What waits already counts one more time.

    It says nothing of whether there is such an operation. Raises ConflictError where it waits with other parameters,
    ``previously_rejected`` for what people refused a short while ago; RateLimitedError beyond what people can be asked.
    """
    if not actor.is_agent:
        raise NotAllowedError
    require_working_agent(actor, tests=True)
    wanted = None if fields is None else sorted(set(fields))
    _check(operation, reason, wanted, days)
    agent = (
        Agent.objects.select_for_update(of=("self",), no_key=True)
        .select_related("unit", "owner")
        .get(pk=actor.agent.pk)
    )
    _require_lacking(actor, operation, wanted)
    if waiting := _waiting(agent, operation):
        _require_covered(waiting, wanted)
        AccessRequest.objects.filter(pk=waiting.pk).update(times=F("times") + 1)
        waiting.refresh_from_db()
        return waiting, False
    _require_bounds(agent, operation)
    made = AccessRequest.objects.create(
        agent=agent,
        operation=operation,
        fields=wanted,
        days=days,
        reason=reason.strip(),
        expires_at=ClockTimestamp() + timedelta(seconds=LAPSES_S),
    )
    made.refresh_from_db()
    told = {"operation": operation, "fields": wanted, "days": days, "reason": made.reason}
    record(actor, agent, "agent.access_requested", payload=told)
    return made, True


@transaction.atomic
def grant_request(
    actor: User, *, request: AccessRequest, reason: str, until: datetime | None = None
) -> OperationPermission:
    """Give what was asked for, besides what the agent has; until then, or so many days as it asked for.

    What it has without end, or for longer, stays so, and so does the limit to its amounts, also of a permission that
    has run out. Raises NotFoundError where whoever grants sees no such operation.
    """
    agent = _authorise(actor, request)
    operation = operation_for(actor, request.operation)
    rows = OperationPermission.objects.filter(user=agent.user, content_object=operation)
    had = rows.select_for_update().first()
    held = rows.filter(OperationPermission.live()).first()
    end = until or database_now() + timedelta(days=request.days)
    if held and (held.until is None or held.until > end):
        end = held.until
    fields = together(held.fields if held else [], request.fields)
    _end(request, actor, RequestEnd.GRANTED, reason)
    permission, _outcome = grant_operation(
        actor,
        holder=agent.user,
        operation=operation,
        fields=fields,
        until=end,
        limit=had.limit if had else None,
        reason=reason,
    )
    told = {"operation": request.operation, "reason": request.answer, "until": permission.until}
    record(actor, agent, "agent.access_granted", payload=told)
    return permission


@transaction.atomic
def refuse_request(actor: User, *, request: AccessRequest, reason: str) -> AccessRequest:
    """Say no, with a reason; the agent does not ask for the same again for a week."""
    agent = _authorise(actor, request)
    _end(request, actor, RequestEnd.REFUSED, reason)
    record(actor, agent, "agent.access_refused", payload={"operation": request.operation, "reason": request.answer})
    return request


def _check(operation: str, reason: str, fields: list[str] | None, days: int) -> None:
    errors: dict[str, list[str]] = {}
    if not operation.isprintable() or not 1 <= len(operation) <= OPERATION_MAX:
        errors["operation"] = [_("The name of an operation.")]
    if not reason.strip() or len(reason) > REASON_MAX:
        errors["reason"] = [_("Say why, in at most %d characters.") % REASON_MAX]
    if fields is not None and not (0 < len(fields) <= FIELDS_MAX and all(len(name) <= FIELD_MAX for name in fields)):
        errors["fields"] = [_("From 1 to %d names of parameters; left out: all of them.") % FIELDS_MAX]
    if not 1 <= days <= MAX_DAYS:
        errors["days"] = [_("From 1 to %d.") % MAX_DAYS]
    if errors:
        raise InvalidError(errors=errors)


def _require_lacking(actor: User, operation: str, fields: list[str] | None) -> None:
    try:
        held = permitted_operation_for(actor, operation)
    except NotFoundError:
        refuse_quarantined(actor, operation)
        return
    if held.fields is None or (fields is not None and set(fields) <= set(held.fields)):
        raise ConflictError(_("You may use this already."))


def _waiting(agent: Agent, operation: str) -> AccessRequest | None:
    """What waits already; what lapsed meanwhile ends here, for another."""
    rows = AccessRequest.objects.select_related("agent").filter(agent=agent, operation=operation, ended_at=None)
    if found := rows.filter(AccessRequest.open()).first():
        return found
    if rows.update(ended_at=ClockTimestamp(), outcome=RequestEnd.LAPSED):
        record(system_user("plane"), agent, "agent.access_lapsed", payload={"operation": operation})
    return None


def _require_covered(waiting: AccessRequest, wanted: list[str] | None) -> None:
    """What people may be reading stays as it is, so more than that does not join it unheard."""
    if waiting.fields is not None and (wanted is None or not set(wanted) <= set(waiting.fields)):
        said = _("It waits with other parameters. Ask for these once people have answered.")
        raise ConflictError(said, fields=waiting.fields)


def _require_bounds(agent: Agent, operation: str) -> None:
    rows = AccessRequest.objects.filter(agent=agent)
    since = ClockTimestamp() - timedelta(seconds=AGAIN_AFTER_S)
    refused = rows.filter(operation=operation, outcome=RequestEnd.REFUSED, ended_at__gt=since).order_by("-id").first()
    if refused and refused.ended_at:
        again = (refused.ended_at + timedelta(seconds=AGAIN_AFTER_S)).isoformat()
        raise ConflictError(
            _("People refused this."), code="previously_rejected", reason=refused.answer, retry=f"after:{again}"
        )
    if rows.filter(AccessRequest.open()).count() >= MAX_OPEN:
        raise RateLimitedError(_("%d requests wait for people; wait for an answer.") % MAX_OPEN, retry_after_s=3600)
    if rows.filter(created_at__gt=ClockTimestamp() - DAY).count() >= MAX_A_DAY:
        raise RateLimitedError(_("At most %d requests in a day.") % MAX_A_DAY, retry_after_s=3600)


def _authorise(actor: User, request: AccessRequest) -> Agent:
    require_human(actor)
    agent = authorise(actor, request.agent.user, None)
    assert agent is not None, "an agent asked"
    return agent


def _end(request: AccessRequest, actor: User, outcome: RequestEnd, reason: str) -> None:
    said = reason.strip()
    if not said or len(said) > REASON_MAX:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % REASON_MAX]})
    ended = {"ended_at": ClockTimestamp(), "ended_by": actor, "outcome": outcome, "answer": said}
    if AccessRequest.objects.filter(AccessRequest.open(), pk=request.pk).update(**ended) != 1:
        raise ConflictError(_("It is over: somebody answered it, or it was too long ago."))
    request.refresh_from_db(fields=list(ended))
