"""Statements that run each second, whatever is stored: each begins where an index does."""

import re
from pathlib import Path

import pytest
from django.db import connection

from apps.connectors.services.effects import DUE_OF_ANY

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
BEGINS_AT_NO_INDEX = re.compile(r"[<>]=?\s*clock_timestamp\(\) [-+]")


def plan_of(statement: str) -> str:
    """How PostgreSQL would run it over large tables."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {statement}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_what_happened_lately_is_asked_with_the_time_of_the_statement():
    sources = [path for part in ("apps", "controlplane") for path in (ROOT / part).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): hits
        for path in sources
        if "migrations" not in path.parts and (hits := BEGINS_AT_NO_INDEX.findall(path.read_text()))
    }
    assert found == {}, "clock_timestamp() may differ from row to row, so that all rows are read: statement_timestamp()"
    assert BEGINS_AT_NO_INDEX.search("occurred_at > clock_timestamp() - interval '5 seconds'")


def test_what_is_due_is_read_in_its_order():
    plan = plan_of(DUE_OF_ANY.replace("%s", "20"))
    assert "effect_open" in plan
    assert "Index Cond: (COALESCE(" in plan
    assert "Sort" not in plan
