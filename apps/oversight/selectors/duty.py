"""Whom rotas were asked for, while that waits."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

ASKED = """
SELECT g.escalation_id, c.value ->> 'rota', c.value ->> 'user'
FROM oversight_escalationgroup g, jsonb_array_elements(g.called) c
WHERE g.is_open AND g.called <> '[]' AND c.value ? 'rota'
ORDER BY g.id
"""


@dataclass(frozen=True, slots=True)
class OnCall:
    """A rota was asked for an item, and somebody was called by it."""

    escalation_id: UUID
    rota: str
    username: str


def called_by_rotas() -> list[OnCall]:
    """Who is called to what waits because they were on duty. One query along the index of what ladders called."""
    with connection.cursor() as cursor:
        cursor.execute(ASKED)
        return [OnCall(*row) for row in cursor.fetchall()]
