"""One writer of facts at a time."""

from django.db import connection

PROJECTION_LOCK = "projection:kpis"
RATES_LOCK = "rates:kpis"


def hold_projection() -> None:
    """Wait for, then hold until the transaction ends, the lock under which facts are written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [PROJECTION_LOCK])


def hold_rates() -> None:
    """Of two who set a rate at once the second sees what the first one set."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [RATES_LOCK])


def is_alone(lock: str) -> bool:
    """Hold ``lock`` until the transaction ends; False, at once, where somebody else does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [lock])
        return bool(cursor.fetchone()[0])
