"""Looking up what a system has on file, beside what is proposed: a read, by the plane, on behalf of who looks.

Nothing is stored of the answer; the ledger notes who looked, where, and how it went.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import EffectClass
from apps.audit.services import record
from apps.connectors.adapters.http import Call, send
from apps.connectors.models import Operation
from apps.connectors.rules import CallEnd, CallResult, ConnectorState, parameter_errors
from apps.connectors.rules.health import Purpose
from apps.connectors.services.calls import NotConfiguredError, call_to
from apps.connectors.services.noting import note_call
from apps.connectors.services.operations import EXPRESSIONS
from apps.core.errors import HaltedError
from apps.core.expressions import ContextError, EvaluationError, ExpressionError, compile_expression
from apps.core.models import User
from apps.core.rules import ValueProblem
from apps.halts.selectors import require_running

READ_TIMEOUT_S = 3.0
"""A person waits: a system that is slower than this is read another time."""
FINE = range(200, 300)
NOT_THERE = {404, 410}
AT_ONCE = BoundedSemaphore(6)
"""A system that hangs takes no more threads than these from those who decide."""


@dataclass(frozen=True, slots=True)
class OnFile:
    """What the system said. ``values``: by the proposed parameters' names; None with a ``problem`` in words.

    ``is_absent``: it answered that it has no such record, which is no problem of the reading.
    """

    operation: str
    at: datetime
    values: dict[str, Any] | None = None
    problem: str = ""
    duration_ms: int = 0
    is_absent: bool = False


class CannotLookError(Exception):
    """Why nothing was asked, in words."""


def read_on_file(actor: User, *, action: Action, trail: UUID) -> OnFile | None:
    """Ask the system of record what it holds now; None where the operation names nothing to look at.

    ``actor`` may see the action: the caller asked a selector. ``trail``: where it is written down that they looked.
    Never inside a transaction. Never raises for what stands in the way (a halt, a missing secret, the network):
    deciding does not depend on it.
    """
    named = Operation.objects.filter(slug=action.operation).values_list("on_file", flat=True).first()
    if not named:
        return None
    slug = str(named.get("operation", ""))
    try:
        operation, call = prepared_read(slug, named, action.parameters, environment=action.environment)
        require_running(units=[action.unit_id], connector=operation.connector.slug, operation=slug)
    except (CannotLookError, NotConfiguredError) as problem:
        return OnFile(slug, timezone.now(), problem=str(problem))
    except HaltedError:
        return OnFile(slug, timezone.now(), problem=_("A halt is engaged, so the system is not asked."))
    if not AT_ONCE.acquire(blocking=False):
        return OnFile(slug, timezone.now(), problem=_("Too many are looking at once; ask again in a moment."))
    try:
        result = send(replace(call, timeout_s=min(READ_TIMEOUT_S, call.timeout_s)))
    finally:
        AT_ONCE.release()
    found = _told(slug, named, action, result)
    with transaction.atomic():
        note_call(
            operation.connector, purpose=Purpose.LOOK_UP, call=result, operation=operation, action_id=action.pk,
            environment=action.environment,
        )  # fmt: skip
        payload = {"action": action.pk, "status": result.status, "end": result.end, "duration_ms": result.duration_ms}
        record(actor, operation, "operation.looked_up", trail=trail, unit=action.unit_id, payload=payload)
    return found


def prepared_read(
    slug: str, named: Mapping[str, Any], request: Mapping[str, Any], response: Any = None, *, environment: str
) -> tuple[Operation, Call]:
    """The read that an operation names, and its call; ``parameters`` are made of request and response.

    A test is read at the test address; where there is none the system is not asked.

    Raises CannotLookError, NotConfiguredError.
    """
    operation = Operation.objects.select_related("connector__unit").filter(slug=slug).first()
    if operation is None or ConnectorState.ACTIVE not in {operation.state} & {operation.connector.state}:
        raise CannotLookError(_("%s is not in use.") % slug)
    if operation.effect != EffectClass.READ or operation.method != "GET":
        raise CannotLookError(_("%s does more than read, so it is not called.") % slug)
    if operation.connector.place(environment) is None:
        raise CannotLookError(_("This is a test, so the system is not asked."))
    parameters = filled(named.get("parameters", {}), {"request": dict(request), "response": response or {}})
    if parameter_errors(operation.parameters, parameters):
        raise CannotLookError(_("The parameters of %s cannot be made of what is proposed.") % slug)
    try:
        return operation, call_to(operation, operation.connector, parameters, environment=environment)
    except ValueProblem as problem:
        raise CannotLookError(str(problem)) from problem


def filled(sources: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Each expression's value; what has none is left out."""
    try:
        activation = EXPRESSIONS.activation(values)
        found = {
            name: compile_expression(str(source), EXPRESSIONS).evaluate(activation) for name, source in sources.items()
        }
    except (ContextError, ExpressionError) as error:
        raise CannotLookError(str(error)) from error
    return {name: value for name, value in found.items() if not isinstance(value, EvaluationError)}


def _told(slug: str, named: Mapping[str, Any], action: Action, result: CallResult) -> OnFile:
    at, took = timezone.now(), result.duration_ms
    if result.end == CallEnd.ANSWERED and result.status in NOT_THERE:
        return OnFile(slug, at, problem=_("It answered %s.") % result.status, duration_ms=took, is_absent=True)
    if result.end != CallEnd.ANSWERED or result.status not in FINE or not isinstance(result.result, dict):
        said = _("It answered %s.") % result.status if result.status else result.error
        return OnFile(slug, at, problem=said or _("It gave no usable answer."), duration_ms=took)
    same = {name: value for name, value in result.result.items() if name in action.parameters}
    try:
        chosen = filled(named.get("values", {}), {"request": action.parameters, "response": result.result})
    except CannotLookError as error:
        return OnFile(slug, at, problem=str(error), duration_ms=took)
    return OnFile(slug, at, values={**same, **chosen}, duration_ms=took)
