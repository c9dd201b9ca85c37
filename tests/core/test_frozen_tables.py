"""Tables whose rows PostgreSQL keeps from change are kept from being emptied as well, whoever asks."""

import psycopg
import pytest
from django.db import connection

from tests.audit.test_payloads import as_owner

ROW, BEFORE, INSERT, DELETE, UPDATE, TRUNCATE = 1, 2, 4, 8, 16, 32
"""The bits of ``pg_trigger.tgtype``."""
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, tgtype, tgenabled FROM pg_trigger
JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace
"""
KNOWN = {
    "agents_agentversion", "audit_entry", "audit_erasure", "audit_leaf", "audit_payload", "halts_haltdrill",
    "kpis_baseline", "oversight_escalation", "oversight_viewsnapshot", "policies_policyversion", "policies_release",
    "workflows_attempt", "workflows_workflowversion",
}  # fmt: skip


def triggers() -> list[tuple[str, str, int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        return list(cursor.fetchall())


def freezes(kind: int) -> bool:
    """Whether a trigger looks at each row that is changed or removed, and not at new ones."""
    return bool(kind & ROW and kind & BEFORE and kind & (UPDATE | DELETE) and not kind & INSERT)


def frozen() -> set[str]:
    return {table for table, _name, kind, _enabled in triggers() if freezes(kind)}


@pytest.mark.django_db
def test_every_frozen_table_has_a_trigger_that_keeps_it_from_being_emptied():
    assert frozen() == KNOWN
    kept = {table for table, _name, kind, _enabled in triggers() if kind & BEFORE and kind & TRUNCATE}
    assert frozen() - kept == set()


@pytest.mark.django_db
def test_they_hold_also_where_changes_are_replicated():
    sleeping = {name for _table, name, kind, enabled in triggers() if freezes(kind | ROW) and enabled != "A"}
    sleeping |= {name for _table, name, kind, enabled in triggers() if kind & TRUNCATE and enabled != "A"}
    assert sleeping == set()


def test_not_even_the_owner_empties_one(real_db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgfoid::regproc::text FROM pg_trigger WHERE tgtype & 32 > 0")
        refusing = dict(cursor.fetchall())
    assert set(refusing) == KNOWN
    for table, function in refusing.items():
        with pytest.raises(psycopg.Error) as refused:
            as_owner(f"TRUNCATE {table} CASCADE")
        assert f"function {function}()" in str(refused.value.diag.context), table
