"""Two workers that look at the same minute."""

import psycopg

from apps.kpis.models import MinuteSpell
from apps.kpis.services.uptime import LOCK
from tests.kpis.test_uptime import START, an_agent, look


def test_only_one_looks_at_a_time(real_db: str) -> None:
    """Another worker that holds the lock looks already."""
    an_agent()
    with psycopg.connect(real_db) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])
        assert look(START) == 0
        assert not MinuteSpell.objects.exists()
        other.rollback()
        assert look(START) == 1
