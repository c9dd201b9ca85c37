"""Counting what agents ask for again although people rejected it."""

from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from apps.agents.models import Action, Repetition
from apps.agents.rules import FLAG_WHY, REPEATS_FLAGGED, REPEATS_WITHIN_S, Environment
from apps.agents.selectors import dismissible_for
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user

COUNT = """
INSERT INTO agents_repetition AS r (id, rejected_id, agent_id, times, last_at)
VALUES (%s, %s, %s, 1, clock_timestamp())
ON CONFLICT (rejected_id) DO UPDATE SET last_at = excluded.last_at,
    times = CASE WHEN r.last_at > excluded.last_at - %s * interval '1 second'
                  AND (r.dismissed_at IS NULL OR r.dismissed_at < r.last_at) THEN r.times + 1 ELSE 1 END
RETURNING id, times, flagged_at IS NOT NULL AND dismissed_at IS NULL
"""


@transaction.atomic
def note_repetition(actor: User, *, rejected_id: UUID) -> bool:
    """Count that ``actor`` was refused what was rejected before; whether that flagged the agent.

    That happens once, and again only where the flag was dismissed.

    The refused request itself left nothing, so this is called when it is over. However often an agent repeats itself,
    it is one row and one UPDATE each time. What it repeats with a test key is not counted.
    """
    rejected = Action.objects.select_related("agent__unit").filter(pk=rejected_id, principal=actor).first()
    if rejected is None or rejected.agent is None or rejected.environment == Environment.TEST:
        return False
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [uuid7(), rejected.pk, rejected.agent_id, REPEATS_WITHIN_S])
        row_id, times, is_flagged = cursor.fetchone()
    if is_flagged or times < REPEATS_FLAGGED:
        return False
    undismissed: dict[str, Any] = {"dismissed_at": None, "dismissed_by": None, "dismiss_reason": ""}
    Repetition.objects.filter(pk=row_id).update(flagged_at=ClockTimestamp(), **undismissed)
    told = {
        "operation": rejected.operation,
        "reference": rejected.marked_reference,
        "rejected": rejected.pk,
        "times": times,
    }
    record(system_user("plane"), rejected.agent, "agent.flagged", payload={"why": FLAG_WHY, **told})
    return True


@transaction.atomic
def dismiss_flag(actor: User, *, flag: Repetition, reason: str) -> Repetition:
    """Say why a flag says nothing any more: by the agent's owner, or by who may suspend it.

    If it asks as often again, it is flagged again. Raises ConflictError where somebody dismissed it before.
    """
    require_human(actor)
    if flag.agent_id not in dismissible_for(actor):
        raise NotAllowedError(_("The agent's owner, or who may suspend it, dismisses its flags."))
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    done = {"dismissed_at": ClockTimestamp(), "dismissed_by": actor, "dismiss_reason": reason.strip()}
    if not Repetition.objects.filter(Repetition.open(), pk=flag.pk).update(**done):
        flag.refresh_from_db()
        raise ConflictError(_("%s dismissed it before.") % (flag.dismissed_by or _("Somebody")))
    flag.refresh_from_db()
    rejected = flag.rejected
    told = {"operation": rejected.operation, "reference": rejected.marked_reference, "rejected": rejected.pk}
    told |= {"flag": flag.pk, "reason": flag.dismiss_reason}
    record(
        actor, flag.agent, "agent.flag_dismissed", trail=rejected.trail, payload=told
    )  # so that it is erased with it
    return flag
