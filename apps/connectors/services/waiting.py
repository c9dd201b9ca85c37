"""Effects that may not begin now, or never will."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.agents.models import Action
from apps.audit.services import advance, record
from apps.connectors.models import Effect
from apps.connectors.rules import EffectState
from apps.core.models import ClockTimestamp, User

PUT_OFF_A_S = 1_000
"""About so many effects are put off in a second while they are stopped, however many there are."""
WAITING = Q(state=EffectState.PREPARED) | Q(state=EffectState.UNKNOWN, retry_at__isnull=False)
"""To begin or to repeat, and under way nowhere."""


@transaction.atomic
def postpone_effect(*, effect_id: UUID, seconds: int, in_line: bool = False) -> None:
    """Look at a prepared or repeatable effect again later: what holds its key, say. Nothing else of it changes."""
    again_at = ClockTimestamp() + timedelta(seconds=seconds)
    Effect.objects.filter(WAITING, pk=effect_id).update(retry_at=again_at, in_line=in_line)


@transaction.atomic
def postpone_effects(*, actions: QuerySet[Action], seconds: int) -> int:
    """Look later again at all due effects of these actions, which one thing stops; how many.

    One by one they would be the longest due again before the last was looked at, and nothing else would begin. Those
    that somebody is looking at are left out. Of very many it takes longer, as each look writes all of them.
    """
    due = Q(retry_at=None) | Q(retry_at__lte=Now())
    rows = Effect.objects.filter(WAITING, due, action__in=actions)
    held = list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))
    again_at = ClockTimestamp() + timedelta(seconds=seconds + len(held) // PUT_OFF_A_S)
    return Effect.objects.filter(pk__any_of=held).update(retry_at=again_at, in_line=False)


@transaction.atomic
def give_up_repeating(actor: User, *, action: Action, code: str, message: str) -> Effect | None:
    """An unknown effect that may not be repeated any more: it stays unknown, and a person must find out.

    None when there is nothing to give up. The entry is ``effect.given_up``; what it did is still not known.
    """
    effect = Effect.objects.select_related("operation", "action").filter(action=action).first()
    if effect is None:
        return None
    given_up = Effect.objects.filter(pk=effect.pk, state=EffectState.UNKNOWN, retry_at__isnull=False)
    if given_up.update(retry_at=None) != 1:
        return None
    effect.refresh_from_db()
    record(actor, effect, "effect.given_up", payload={"code": code, "message": message})
    return effect


@transaction.atomic
def drop_effect(actor: User, *, action: Action, code: str, message: str) -> Effect | None:
    """End a prepared effect that must not begin any more; None when there is none. Nothing was ever sent."""
    effect = Effect.objects.select_related("operation", "action").filter(action=action).first()
    if effect is None or effect.state != EffectState.PREPARED:
        return None
    error = {"code": code, "message": message, "status": None}
    return advance(
        actor,
        effect,
        EffectState.FAILED,
        payload={"code": code},
        error=error,
        settled_at=ClockTimestamp(),
        retry_at=None,
    )
