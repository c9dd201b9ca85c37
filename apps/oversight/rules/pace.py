"""How long deciding takes, and what is due before when: estimates, from what was measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

ASSUMED_S = 45
"""What a decision is taken to last where nothing was measured yet."""
P95 = 0.95


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds a decision takes at the median. ``source``: ``own``, ``others`` or ``assumed``."""

    seconds: float
    source: str

    def minutes_for(self, items: int) -> int:
        """About so many minutes for ``items`` decisions, at least one."""
        return max(1, round(self.seconds * items / 60))


def first_deadline(due: Iterable[datetime], now: datetime) -> tuple[int, datetime] | None:
    """``(3, 14:00)``: how many are due before the full hour behind the first deadline to come; None without one."""
    ahead = sorted(moment for moment in due if moment > now)
    if not ahead:
        return None
    first = ahead[0]
    hour = first.replace(minute=0, second=0, microsecond=0)
    until = hour + timedelta(hours=1)
    return sum(moment < until for moment in ahead), until


def percentile(values: Sequence[int], share: float = P95) -> int | None:
    """The smallest value that ``share`` of the values do not exceed; None without values."""
    if not values:
        return None
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
