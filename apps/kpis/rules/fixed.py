"""What is paid each month whether anything runs or not, by days."""

from calendar import monthrange
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.kpis.rules.buckets import DAY, Period, local_day, local_midnight
from apps.kpis.rules.rates import EXACT, RateBook, RateKind, RateSeen, Subject, exchanged, half_up

MOMENT = timedelta(microseconds=1)


def fixed_micro_in(
    rates: Collection[RateSeen],
    period: Period,
    *,
    zone: ZoneInfo,
    now: datetime,
    currency: str,
    micro_per_minor: Callable[[str], int],
) -> int | None:
    """The fixed cost of the part of a period that has passed, in millionths; None where none holds on any of its days.

    A day costs the month's amount by the days of its month, a part of a day its part of the day's real length. A cost
    begins with the local day in which it begins, as do rates of exchange, which are among ``rates``. While one holds in
    another currency of which no rate does, nobody knows what is paid: its days cost nothing here.
    """
    known = _by_subject([one for one in rates if one.kind == RateKind.FIXED])
    if not known:
        return None
    book = RateBook([one for one in rates if one.kind == RateKind.CURRENCY])
    found, total, day = False, Decimal(0), local_day(period.start, zone)
    end = min(period.end, now)
    while (start := local_midnight(day, zone)) < end:
        after = local_midnight(day + DAY, zone)
        length = after - start  # nothing where a zone skipped the day
        part = Decimal((min(after, end) - max(start, period.start)) / length) if length else Decimal(0)
        for some in known.values():
            if (rate := _on(some, day, zone)) is None:
                continue
            micro = EXACT.multiply(rate.minor, Decimal(micro_per_minor(rate.currency)))
            if rate.minor and rate.currency != currency:
                exchange = book.of_currency(rate.currency, after - MOMENT)
                if exchange is None or exchange.currency != currency:
                    continue
                micro = exchanged(micro, exchange, micro_per_minor(currency))
            found = True
            of_day = EXACT.divide(EXACT.multiply(micro, part), Decimal(monthrange(day.year, day.month)[1]))
            total = EXACT.add(total, of_day)
        day += DAY
    return half_up(total) if found else None


def _by_subject(rates: Collection[RateSeen]) -> dict[Subject, list[RateSeen]]:
    found: dict[Subject, list[RateSeen]] = {}
    for one in sorted(rates, key=lambda rate: rate.since, reverse=True):
        found.setdefault(one.subject, []).append(one)
    return found


def _on(rates: Sequence[RateSeen], day: date, zone: ZoneInfo) -> RateSeen | None:
    return next((one for one in rates if local_day(one.since, zone) <= day), None)
