"""One at a time says who is there."""

from django.db import connection


def take_turn() -> None:
    """Until this transaction ends nobody else says who is there, who is in which group, or what a group holds.

    Of two at once neither would see what the other says: one name for two people, a role that nothing gives any more.
    Call before anything is locked.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('access.directory', 0))")
