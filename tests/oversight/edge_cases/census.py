"""Everything that is stored, counted: what a block added, moved and left alone, table by table and state by state."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from apps.core.services import system_user

KINDS = {
    "audit_entry": "name",
    "oversight_vote": "CASE WHEN voided_at IS NULL THEN 'live' ELSE 'void' END",
    "oversight_escalationgroup": "CASE WHEN is_open THEN 'open' ELSE 'closed' END",
}
"""What tells the rows of a table apart, where it is not their ``state``."""
DELIVERIES, PAYLOADS = "audit_delivery", "audit_payload"


def census() -> Counter[str]:
    """How many rows every table holds, by state where they have one: ``escalation pending``, ``entry vote.cast``."""
    with connection.cursor() as cursor:
        cursor.execute(  # the catalogue itself: information_schema took longer than all the counting
            "SELECT relname, EXISTS (SELECT FROM pg_attribute"
            " WHERE attrelid = pg_class.oid AND attname = 'state' AND NOT attisdropped) FROM pg_class"
            " WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace"
            " AND has_any_column_privilege(oid, 'SELECT')"
        )
        kinds = {table: KINDS.get(table, "state" if has_state else "''") for table, has_state in cursor.fetchall()}
        parts = [f"SELECT '{table}', {kind}, count(*) FROM \"{table}\" GROUP BY 2" for table, kind in kinds.items()]
        cursor.execute(" UNION ALL ".join(parts))
        return Counter({f"{table} {kind or ''}".rstrip(): number for table, kind, number in cursor.fetchall()})


def differences(before: Counter[str], after: Counter[str]) -> list[str]:
    """What changed between two counts, in words: ``+1 vote live``, ``-1 escalation pending``."""
    told_by_entries = {DELIVERIES, PAYLOADS}
    names = [name for name in sorted(before | after) if after[name] != before[name] and name not in told_by_entries]
    return [f"{after[name] - before[name]:+d} {name.partition('_')[2]}" for name in names]


def _written(before: Counter[str], after: Counter[str]) -> int:
    """How many payloads there must be more: one an entry, less what was erased."""
    entries = sum(after[name] - before[name] for name in after if name.startswith("audit_entry "))
    return entries - (after["audit_erasure"] - before["audit_erasure"])


def _rung(before: Counter[str], after: Counter[str]) -> int:
    """How many reactions the new entries ring: as many deliveries must be new."""
    names = {name.partition(" ")[2]: after[name] - before[name] for name in after if name.startswith("audit_entry ")}
    return sum(number * len(settings.REACTIONS.get(name, ())) for name, number in names.items())


@contextmanager
def only(*wanted: str) -> Iterator[None]:
    """Assert that the block changes these counts and no other: ``only("+1 vote live", "+1 entry vote.cast")``.

    What is written in the new entries and whom they ring is not named: it must be as the ledger and the bell board say.
    """
    system_user("plane")  # made when first needed: it is part of the house, not of what happens
    before = census()
    yield
    after = census()
    found = Counter(differences(before, after))
    more, less = sorted(found - Counter(wanted)), sorted(Counter(wanted) - found)
    assert (more, less) == ([], []), f"Happened and should not have: {more}. Should have happened and did not: {less}."
    assert after[DELIVERIES] - before[DELIVERIES] == _rung(before, after)
    assert after[PAYLOADS] - before[PAYLOADS] == _written(before, after)
