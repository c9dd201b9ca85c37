"""The moment of a halt: whoever closes the fence is alone with it."""

from django.db import connection


def close_fence(fence: int) -> None:
    """Take ``fence`` alone until this transaction ends: when this returns, no claim that shares it is under way."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [fence])
