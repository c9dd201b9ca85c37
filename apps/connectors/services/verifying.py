"""Reading the system of record back after an effect: succeeded, then verified, or a mismatch.

As with effects: taken and committed under a lease, read without a transaction, recorded.
"""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from apps.audit.services import advance, record
from apps.connectors.adapters.http import send
from apps.connectors.models import Effect
from apps.connectors.rules import CallEnd, CallResult, EffectState
from apps.connectors.rules.health import Purpose
from apps.connectors.rules.verifying import ReadBack, Reading, again_in_s, read_back_of
from apps.connectors.services.calls import NotConfiguredError
from apps.connectors.services.noting import note_call
from apps.connectors.services.reads import CannotLookError, prepared_read
from apps.core.errors import ConflictError, HaltedError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User, database_now
from apps.halts.selectors import require_running

HALTED_AGAIN_S = 3
KEPT_BYTES = 16 * 1024
"""More of an answer than this is not kept: whoever looks at the item looks into the system."""

TAKE = """
UPDATE connectors_effect SET verify_at = clock_timestamp() + interval '150 s', verify_tries = verify_tries + 1
WHERE id = (SELECT id FROM connectors_effect WHERE state = 'succeeded' AND verify_at <= clock_timestamp()
            ORDER BY verify_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""
"""The lease is longer than any call may take. Whoever dies meanwhile has only looked."""


@transaction.atomic
def take_check() -> Effect | None:
    """An effect whose system is to be read back now, nobody else's for as long as a call may take; None without one."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE)
        found: tuple[UUID] | None = cursor.fetchone()
    return _effects().get(pk=found[0]) if found else None


def read_back(effect: Effect) -> ReadBack | None:
    """Look at the system. None while a halt is engaged there. Never inside a transaction."""
    verify = effect.operation.verify
    if not verify:
        return ReadBack(Reading.UNREAD, problem=_("The operation is not verified any more."))
    request, response = effect.action.parameters, (effect.response or {}).get("body")
    try:
        operation, call = prepared_read(
            str(verify.get("operation", "")), verify, request, response, environment=effect.action.environment
        )
        require_running(units=[effect.action.unit_id], connector=operation.connector.slug, operation=operation.slug)
    except HaltedError:
        return None
    except (CannotLookError, NotConfiguredError) as problem:
        result = CallResult(CallEnd.UNPREPARED, error=str(problem))
    else:
        result = send(call)
        note_call(
            operation.connector, purpose=Purpose.READ_BACK, call=result, operation=operation,
            action_id=effect.action_id,
        )  # fmt: skip
    return read_back_of(str(verify.get("expect", "")), request=request, response=response, call=result)


@transaction.atomic
def settle_check(actor: User, *, effect: Effect, seen: ReadBack | None) -> Effect | None:
    """Record what reading back showed; the effect as it is now, None where it is looked at again or somebody else did.

    ``verified`` or ``mismatch``; what cannot be read in the end stays ``succeeded``, and ``effect.unverified`` says so.
    """
    mine = Q(verify_tries=effect.verify_tries, verify_at__isnull=False)
    fresh = _effects().select_for_update(of=("self",)).filter(mine, pk=effect.pk, state=EffectState.SUCCEEDED).first()
    if fresh is None:
        return None
    if seen is None:  # a halt: nobody has looked
        later = ClockTimestamp() + timedelta(seconds=HALTED_AGAIN_S)
        Effect.objects.filter(pk=fresh.pk).update(verify_at=later, verify_tries=F("verify_tries") - 1)
        return None
    again = _again(fresh, seen)
    if again is not None:
        Effect.objects.filter(pk=fresh.pk).update(verify_at=ClockTimestamp() + timedelta(seconds=again))
        return None
    told = {**_payload(fresh), "status": seen.status, "attempts": fresh.verify_tries, "duration_ms": seen.duration_ms}
    kept: dict[str, Any] = {"verify_at": None, "read_back_at": ClockTimestamp(), "read_back": _kept(fresh, seen)}
    if seen.reading == Reading.UNREAD:
        Effect.objects.filter(pk=fresh.pk).update(**kept)
        record(actor, fresh, "effect.unverified", payload={**told, "code": "unread"})
        fresh.refresh_from_db(fields=list(kept))
        return fresh
    to = EffectState.VERIFIED if seen.reading == Reading.HOLDS else EffectState.MISMATCH
    return advance(actor, fresh, to, where=mine, payload=told, **kept)


@transaction.atomic
def accept_mismatch(actor: User, *, effect: Effect, reason: str) -> Effect:
    """A person looked: the system is in order all the same. Raises ConflictError when it is no mismatch any more."""
    if not actor.is_human:
        raise NotAllowedError
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say how you know.")]})
    if effect.state != EffectState.MISMATCH:
        raise ConflictError(state=effect.state)
    told = {**_payload(effect), "reason": reason.strip(), "reconciled": True}
    return advance(actor, effect, EffectState.VERIFIED, payload=told)


def _again(effect: Effect, seen: ReadBack) -> int | None:
    verify = effect.operation.verify
    if not verify:
        return None
    since = (database_now() - effect.settled_at).total_seconds() if effect.settled_at else 0.0
    within = int(verify.get("within_s", 0))
    return again_in_s(seen, tries=effect.verify_tries, since_s=since, within_s=within)


def _payload(effect: Effect) -> dict[str, Any]:
    """What the ledger is told: nothing of the answer."""
    return {"operation": effect.operation.slug, "action": effect.action_id, "run_id": effect.action.run_id}


def _kept(effect: Effect, seen: ReadBack) -> dict[str, Any]:
    is_small = len(json.dumps(seen.found, cls=DjangoJSONEncoder)) <= KEPT_BYTES
    verify = effect.operation.verify or {}
    return {
        "operation": verify.get("operation", ""),
        "expect": verify.get("expect", ""),
        "reading": seen.reading,
        "found": seen.found if is_small else None,
        "problem": seen.problem if is_small else _("The answer is too large to be kept."),
        "status": seen.status,
    }


def _effects() -> QuerySet[Effect]:
    return Effect.objects.select_related("action__principal", "action__unit", "operation__connector__unit", "connector")
