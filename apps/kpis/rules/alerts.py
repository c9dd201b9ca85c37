"""Whether a workflow's open work grows beyond chance, and what is found worth a look beside unusual hours. Pure.

A backlog grows when the day's end leaves more open than any of the 56 before, and in the last 7 or 28 days more runs
started than ended beyond chance: where neither outweighs the other, each of these events is as likely a start as an
end, so starts are binomial with one half (the exact test of two Poisson rates: Przyborowski and Wilenski, Biometrika
31, 1940). What is as large at each end of a month is no new height. Measured by simulation of years of days: queues
that keep up (busy up to 95 %, 3 to 100 starts a day, with and without weekends) give less than one such backlog in ten
years of a workflow; 20 starts a day that become 25 where 21 can be done are found after 3 weeks, 30 after 5 days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from apps.kpis.rules.anomalies import Unusual, binomial_tail

HEIGHT_DAYS = 56
"""A height is new when none of so many days before reached it."""
SPANS = (7, 28)
"""Over so many days, the last of them included, starts are held against ends."""
YOUNGEST_DAYS = 28
"""A workflow is judged from so many whole days on: at first, work always piles up."""
GROWTH = 10
"""Fewer more open runs are nothing to tell."""
RARE = 1e-3
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing worth a look; the places of ``Anomaly`` say what its numbers are."""

    kind: Unusual
    figure: str = ""
    began_at: datetime
    until: datetime
    count: int
    of: int
    value: float | None = None
    expected: float
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """So many were open at a day's end (``now``), at most ``highest`` in 56 days before."""

    now: int
    highest: int
    chance: float


def growth_of(opened: int, days: Sequence[tuple[int, int]]) -> Growth | None:
    """The growth at the end of the last of 57 days, each (started, ended); ``opened``: open before the first of them.

    None where it is no new height, or may be chance.
    """
    ends = _ends(opened, days)
    now, highest = ends[-1], max(ends[:-1])
    if now <= highest:
        return None
    chances = [_chance(days[-span:]) for span in SPANS]
    return Growth(now, highest, min(chances)) if min(chances) < RARE else None


def still_grows(opened: int, days: Sequence[tuple[int, int]]) -> bool:
    """Whether more is open at the last day's end than a week before."""
    ends = _ends(opened, days)
    return ends[-1] > ends[-1 - SPANS[0]]


def open_after(opened: int, days: Sequence[tuple[int, int]]) -> int:
    """What is open at the end of the last day."""
    return _ends(opened, days)[-1]


def more_of(opened: int, days: Sequence[tuple[int, int]]) -> int:
    """How many more are open than 28 days before; none of fewer."""
    ends = _ends(opened, days)
    return max(0, ends[-1] - ends[-1 - SPANS[1]])


def _ends(opened: int, days: Sequence[tuple[int, int]]) -> list[int]:
    """What was open before the first day, and at the end of each."""
    return list(accumulate((started - ended for started, ended in days), initial=opened))


def _chance(days: Sequence[tuple[int, int]]) -> float:
    """How likely chance alone lets as many of these events be starts; 1 of growth that is nothing to tell."""
    started, ended = (sum(one) for one in zip(*days, strict=True))
    return binomial_tail(started, started + ended, HALF) if started - ended >= GROWTH else 1.0
