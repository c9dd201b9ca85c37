"""The one zone in which the organisation reports, and the one currency."""

from zoneinfo import ZoneInfo

from django.conf import settings

from apps.core.models import database_now

__all__ = ["database_now", "reporting_currency", "reporting_zone"]


def reporting_zone() -> ZoneInfo:
    """The zone of every rollup: ``ACP_REPORTING_TZ``."""
    return ZoneInfo(settings.ACP_REPORTING_TZ)


def reporting_currency() -> str:
    """The currency of every cost."""
    return str(getattr(settings, "ACP_REPORTING_CURRENCY", "EUR"))
