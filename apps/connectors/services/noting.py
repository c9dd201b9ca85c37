"""Writing down that a system was called: when, what for, how it ended, how long it took; never what was said."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.agents.rules import Environment
from apps.connectors.models import Connector, ConnectorCall, Effect, Operation
from apps.connectors.rules import CallEnd, CallResult, EffectState, Outcome, in_trouble, outcome_of
from apps.connectors.rules.health import Purpose
from apps.core.errors import RateLimitedError
from apps.core.models import ClockTimestamp

SAID_MAX = 200
KEEP, MINUTE = timedelta(days=35), timedelta(minutes=1)


@transaction.atomic
def note_call(
    connector: Connector,
    *,
    purpose: Purpose,
    call: CallResult,
    operation: Operation | None = None,
    outcome: Outcome | None = None,
    action_id: UUID | None = None,
    environment: str = Environment.LIVE,
) -> None:
    """One line of what a system was asked. ``outcome``: of an effect; a read's is worked out.

    Of a refusal by the egress guard the plane's own words are kept, of everything else a code.
    """
    if call.end == CallEnd.NOT_CALLED:
        return
    found = outcome or _outcome(call)
    ConnectorCall.objects.create(
        connector=connector,
        operation=operation,
        purpose=purpose,
        end=call.end,
        status=call.status,
        code=found.code,
        said=_said(call),
        in_trouble=in_trouble(call, found),
        duration_ms=call.duration_ms,
        action_id=action_id,
        environment=environment,
    )


def _said(call: CallResult) -> str:
    if call.stood_in:
        return str(_("The system did not take the new secret; the one before was tried."))
    return call.error[:SAID_MAX] if call.end == CallEnd.REFUSED else ""


def _outcome(call: CallResult) -> Outcome:
    if call.end == CallEnd.ANSWERED and call.status is None:  # a probe: it only connects
        return Outcome(EffectState.SUCCEEDED)
    return outcome_of(call, effect="read", idempotency="none", repeats=0, deferrals=0)


def forget_calls() -> int:
    """Delete the lines that are older than five weeks; how many."""
    return ConnectorCall.objects.filter(created_at__lt=ClockTimestamp() - KEEP).delete()[0]


def require_room(connector: Connector, *, environment: str) -> None:
    """Raise RateLimitedError while the system's limits leave no room for one more effect of an environment.

    Call inside the claim's transaction: whoever claims for the same system waits for the lock until it is committed.
    """
    limits = connector.limits
    if not limits.keys() & {"concurrent", "per_minute"}:
        return
    Connector.objects.select_for_update(no_key=True, of=("self",)).get(pk=connector.pk)
    flying = Effect.objects.filter(
        Q(state__in=[EffectState.CLAIMED, EffectState.DISPATCHED], lease_until__gt=ClockTimestamp()),
        connector=connector,
        action__environment=environment,
    ).count()
    if flying >= limits.get("concurrent", flying + 1):
        raise RateLimitedError(retry_after_s=1)
    if "per_minute" in limits:
        lately = ConnectorCall.objects.filter(
            connector=connector,
            purpose=Purpose.EFFECT,
            environment=environment,
            created_at__gt=ClockTimestamp() - MINUTE,
        )
        if flying + lately.count() >= limits["per_minute"]:
            raise RateLimitedError(retry_after_s=5)
