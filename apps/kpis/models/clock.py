"""The one zone in which the organisation reports, and the one currency."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection


def reporting_zone() -> ZoneInfo:
    """The zone of every rollup: ``ACP_REPORTING_TZ``."""
    return ZoneInfo(settings.ACP_REPORTING_TZ)


def reporting_currency() -> str:
    """The currency of every cost."""
    return str(getattr(settings, "ACP_REPORTING_CURRENCY", "EUR"))


def database_now() -> datetime:
    """The database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now
