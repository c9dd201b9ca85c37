"""When a message may leave: digests by risk, and hours in which somebody wants to be left alone."""

from datetime import datetime, time, timedelta, tzinfo

from apps.core.rules import Risk

MORNING = time(7)
"""When the daily digest leaves, in the recipient's zone."""


def digest_at(now: datetime, risk: Risk, zone: tzinfo) -> datetime:
    """When the next digest with this risk leaves: at the full hour, for low risk at seven in the morning."""
    local = now.astimezone(zone)
    if risk != Risk.LOW:
        return (local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)).astimezone(now.tzinfo)
    day = local.date() + timedelta(days=local.time() >= MORNING)
    return datetime.combine(day, MORNING, zone).astimezone(now.tzinfo)


def after_quiet(when: datetime, begins: time, ends: time, zone: tzinfo) -> datetime:
    """``when``, or the end of the quiet hours in which it falls. They are half open and may pass over midnight."""
    local = when.astimezone(zone)
    at = local.time()
    if begins <= ends:
        is_quiet, day = begins <= at < ends, local.date()
    else:
        is_quiet, day = at >= begins or at < ends, local.date() + timedelta(days=at >= begins)
    return datetime.combine(day, ends, zone).astimezone(when.tzinfo) if is_quiet else when
