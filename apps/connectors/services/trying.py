"""Trying what is proposed without effect, for those who decide: a call with a guard of its own, never the write.

Nothing is stored of the answer; the ledger notes who tried, where, and how it went.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.audit.services import record
from apps.connectors.adapters.http import Call, send
from apps.connectors.adapters.mcp import call_tool
from apps.connectors.models import Operation
from apps.connectors.rules import CallEnd, CallResult, ConnectorState
from apps.connectors.rules.health import Purpose
from apps.connectors.rules.tools import MCP
from apps.connectors.rules.trying import does_it
from apps.connectors.selectors.beside import writes_beside
from apps.connectors.services.calls import NotConfiguredError, call_to
from apps.connectors.services.noting import note_call
from apps.connectors.services.reads import AT_ONCE, FINE, READ_TIMEOUT_S, CannotLookError
from apps.connectors.services.tools import tool_call_to
from apps.core.errors import HaltedError
from apps.core.models import User
from apps.core.rules import ValueProblem
from apps.halts.selectors import require_running


@dataclass(frozen=True, slots=True)
class Tried:
    """What the system said at ``at``. ``would_fit``: it would take the request; None with a ``problem``: not known."""

    at: datetime
    would_fit: bool | None = None
    status: int | None = None
    said: Any = None
    problem: str = ""
    duration_ms: int = 0


def try_out(actor: User, *, action: Action, trail: UUID) -> Tried | None:
    """Ask the system whether it would take the action; None where its operation has no dry run.

    ``actor`` may see the action: the caller asked a selector. Never inside a transaction. Never raises for what stands
    in the way (a halt, a missing secret, the network): deciding does not depend on it.
    """
    operation = Operation.objects.select_related("connector__unit").filter(slug=action.operation).first()
    if operation is None or not operation.dry_run:
        return None
    if operation.connector.place(action.environment) is None:
        return Tried(timezone.now(), problem=_("This is a test, so the system is not asked."))
    try:
        require_running(units=[action.unit_id], connector=operation.connector.slug, operation=operation.slug)
        carry = _planned(operation, action)
    except HaltedError:
        return Tried(timezone.now(), problem=_("A halt is engaged, so the system is not asked."))
    except (CannotLookError, NotConfiguredError, ValueProblem) as problem:
        return Tried(timezone.now(), problem=str(problem))
    if not AT_ONCE.acquire(blocking=False):
        return Tried(timezone.now(), problem=_("Too many are looking at once; ask again in a moment."))
    try:
        result = carry()
    finally:
        AT_ONCE.release()
    with transaction.atomic():
        note_call(
            operation.connector, purpose=Purpose.DRY_RUN, call=result, operation=operation, action_id=action.pk,
            environment=action.environment,
        )  # fmt: skip
        told = {"action": action.pk, "status": result.status, "end": result.end, "duration_ms": result.duration_ms}
        record(actor, operation, "operation.tried", trail=trail, unit=action.unit_id, payload=told)
    return _told(result)


def _planned(operation: Operation, action: Action) -> Callable[[], CallResult]:
    """What makes the call that tries it. Raises CannotLookError where it would be a call that does something."""
    if ConnectorState.ACTIVE not in {operation.state} & {operation.connector.state}:
        raise CannotLookError(_("%s is not in use.") % operation.slug)
    plan = operation.dry_run or {}
    if does_it(plan, writes_beside(operation.connector_id, operation)):
        raise CannotLookError(_("Its dry run is a call that does something, so it is not made."))
    planned = copy(operation)
    planned.method, planned.path = str(plan["method"]), str(plan["path"])
    if operation.connector.adapter == MCP:
        planned.tool = None
        asked = tool_call_to(planned, action.parameters, environment=action.environment)
        return partial(call_tool, replace(asked, call=_soon(asked.call)))
    call = call_to(planned, operation.connector, action.parameters, environment=action.environment)
    return partial(send, _soon(call))


def _soon(call: Call) -> Call:
    return replace(call, timeout_s=min(READ_TIMEOUT_S, call.timeout_s))


def _told(result: CallResult) -> Tried:
    at, took = timezone.now(), result.duration_ms
    if result.end != CallEnd.ANSWERED or result.status is None:
        return Tried(at, problem=result.error or _("It gave no usable answer."), duration_ms=took)
    if result.status in FINE:
        return Tried(at, True, result.status, result.result, duration_ms=took)
    return Tried(at, False, result.status, problem=result.error, duration_ms=took)
