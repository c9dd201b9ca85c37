"""What is paid each month whether anything runs or not, by days."""

from calendar import monthrange
from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from apps.kpis.rules.buckets import DAY, Period, local_day, local_midnight
from apps.kpis.rules.rates import RateKind, RateSeen, Subject


def fixed_micro_in(
    rates: Collection[RateSeen], period: Period, *, zone: ZoneInfo, now: datetime, currency: str, micro_per_minor: int
) -> int | None:
    """The fixed cost of the part of a period that has passed, in millionths; None where none holds on any of its days.

    A day costs the month's amount by the days of its month, a part of a day its part of the day's real length. A cost
    begins with the local day in which it begins. While one in another currency holds, nobody knows what is paid: its
    days cost nothing here.
    """
    known = _by_subject([one for one in rates if one.kind == RateKind.FIXED])
    if not known:
        return None
    found, total, day = False, Decimal(0), local_day(period.start, zone)
    end = min(period.end, now)
    while (start := local_midnight(day, zone)) < end:
        after = local_midnight(day + DAY, zone)
        length = after - start  # nothing where a zone skipped the day
        part = Decimal((min(after, end) - max(start, period.start)) / length) if length else Decimal(0)
        for some in known.values():
            if (rate := _on(some, day, zone)) is not None and rate.currency == currency:
                found = True
                total += rate.minor * part / monthrange(day.year, day.month)[1]
        day += DAY
    return int((total * micro_per_minor).quantize(Decimal(1), ROUND_HALF_UP)) if found else None


def _by_subject(rates: Collection[RateSeen]) -> dict[Subject, list[RateSeen]]:
    found: dict[Subject, list[RateSeen]] = {}
    for one in sorted(rates, key=lambda rate: rate.since, reverse=True):
        found.setdefault(one.subject, []).append(one)
    return found


def _on(rates: Sequence[RateSeen], day: date, zone: ZoneInfo) -> RateSeen | None:
    return next((one for one in rates if local_day(one.since, zone) <= day), None)
