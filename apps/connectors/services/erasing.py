"""Erasing what was sent to systems and what they answered."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import F, Value
from django.db.models.functions import JSONObject

from apps.connectors.models import Effect
from apps.core.models import User


def erase_effects(actor: User, *, action_ids: Sequence[UUID]) -> int:
    """Take requests and answers out of the effects of these actions; how many. The caller records it.

    States, keys, attempts, times and codes of errors stay.
    """
    assert actor.is_active
    rows = Effect.objects.filter(action_id__in=action_ids)
    rows.filter(error__isnull=False).update(error=JSONObject(code=F("error__code"), message=Value("")))
    return rows.update(request={}, response=None, read_back=None)
