"""Counting what agents ask for again although people rejected it."""

from uuid import UUID

from django.db import connection, transaction
from uuid_utils.compat import uuid7

from apps.agents.models import Action, Repetition
from apps.agents.rules import REPEATS_FLAGGED, REPEATS_WITHIN_S
from apps.audit.services import record
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user

COUNT = """
INSERT INTO agents_repetition AS r (id, rejected_id, agent_id, times, last_at)
VALUES (%s, %s, %s, 1, clock_timestamp())
ON CONFLICT (rejected_id) DO UPDATE SET last_at = excluded.last_at,
    times = CASE WHEN r.last_at > excluded.last_at - %s * interval '1 second' THEN r.times + 1 ELSE 1 END
RETURNING id, times, flagged_at IS NOT NULL
"""


@transaction.atomic
def note_repetition(actor: User, *, rejected_id: UUID) -> bool:
    """Count that ``actor`` was refused what was rejected before; whether that flagged the agent, which happens once.

    The refused request itself left nothing, so this is called when it is over. However often an agent repeats itself,
    it is one row and one UPDATE each time.
    """
    rejected = Action.objects.select_related("agent__unit").filter(pk=rejected_id, principal=actor).first()
    if rejected is None or rejected.agent is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [uuid7(), rejected.pk, rejected.agent_id, REPEATS_WITHIN_S])
        row_id, times, is_flagged = cursor.fetchone()
    if is_flagged or times < REPEATS_FLAGGED:
        return False
    Repetition.objects.filter(pk=row_id).update(flagged_at=ClockTimestamp())
    told = {"operation": rejected.operation, "reference": rejected.reference, "rejected": rejected.pk, "times": times}
    record(system_user("plane"), rejected.agent, "agent.flagged", payload={"why": "previously_rejected", **told})
    return True
