"""Open time within many intervals, by one calendar: as ``OpenHours.between``, for a whole batch at once."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from apps.access.rules import OpenHours

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)

type Interval = tuple[datetime, datetime]


def open_ms_of(hours: OpenHours, intervals: Sequence[Interval]) -> list[int]:
    """Milliseconds of open time in each interval (start, end); 0 where the end is not later.

    The slots from the earliest start to the latest end are laid out once, in UTC, so that a clock change counts as it
    was; each interval is then a difference of two sums.
    """
    if not intervals:
        return []
    first = min(start for start, _ in intervals).astimezone(hours.zone).date() - DAY
    last = max(end for _, end in intervals).astimezone(hours.zone).date() + DAY
    slots = [slot for number in range((last - first).days + 1) for slot in hours.slots_of(first + number * DAY)]
    begins = [begin for begin, _ in slots]
    before = list(accumulate((end - begin for begin, end in slots), initial=timedelta()))

    def until(moment: datetime) -> timedelta:
        at = bisect_right(begins, moment.astimezone(UTC))
        if not at:
            return timedelta()
        begin, end = slots[at - 1]
        return before[at - 1] + min(moment, end) - begin

    return [max(0, round((until(end) - until(start)) / MILLISECOND)) for start, end in intervals]
