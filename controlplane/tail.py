"""The tail of the ledger: what was recorded last, and who was told of it."""

from typing import Any, cast

from django.db import close_old_connections, connection

TAIL = """
(SELECT id, subject_kind, subject_id, trail_id FROM audit_entry
 WHERE occurred_at > statement_timestamp() - interval '5 seconds' ORDER BY id DESC LIMIT 5000)
UNION ALL
(SELECT n.entry_id, 'notice', d.recipient_id, d.recipient_id
 FROM notifications_delivery d JOIN notifications_notice n ON n.id = d.notice_id
 WHERE d.channel = 'in_app' AND d.created_at > statement_timestamp() - interval '5 seconds' LIMIT 5000)
ORDER BY 1 DESC
"""
"""The newest entries, and who was told of them: by the same numbers, whoever asks.

``clock_timestamp()`` may differ from row to row, so that no index begins there: the whole ledger would be read.
"""


def read_tail() -> list[tuple[int, str, Any, Any]]:
    """The entries of the last seconds, oldest first."""
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute(TAIL)
        rows = cast("list[tuple[int, str, Any, Any]]", cursor.fetchall())
    connection.close()
    return rows[::-1]
