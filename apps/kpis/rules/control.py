"""Whether a week is out of line with the weeks before: control charts of weekly values. Pure.

Durations: individuals chart (XmR), limits at mean ± 2.66 × the mean moving range (3 / d2; d2 = 1.128 for two points).
Shares: the week's Wilson interval at three standard deviations does not hold the baseline's share (a p-chart that stays
right for few runs), and more than one run is behind it. Either way also eight weeks in a row on one side. What is found
is worth a look, and no alarm: without any change, half a year of weekly medians has such a week in one series of three.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from apps.kpis.rules.definitions import gettext_noop
from apps.kpis.rules.sentences import Sentence

BASELINE = 24
"""So many weeks at least say what is usual."""
FEWEST = 5
"""A week of fewer runs is no point."""
RANGE_FACTOR = 2.66
IN_A_ROW = 8
SIGMAS = 3.0
SAME = 1e-9
"""Relative differences below this are the rounding of a mean."""


class Why(StrEnum):
    """What makes a point worth a look."""

    ABOVE = "above"
    BELOW = "below"
    RUN_ABOVE = "run_above"
    RUN_BELOW = "run_below"


WORDS: Mapping[Why, str] = {
    Why.ABOVE: gettext_noop("Above what is usual"),
    Why.BELOW: gettext_noop("Below what is usual"),
    Why.RUN_ABOVE: gettext_noop("Eight weeks or more in a row above the middle"),
    Why.RUN_BELOW: gettext_noop("Eight weeks or more in a row below the middle"),
}


@dataclass(frozen=True, slots=True)
class Week:
    """One point: ``value`` over ``n`` runs; of a share, ``value`` is the share. None where there was nothing."""

    value: float | None
    n: int

    @property
    def counts(self) -> bool:
        """Whether it is a point at all."""
        return self.value is not None and self.n >= FEWEST


@dataclass(frozen=True, slots=True)
class Control:
    """A series held against its own baseline. ``first`` and ``last`` are the places of the baseline's ends.

    ``low`` and ``high`` are the limits at every point; None where there is no point to hold against them.
    """

    centre: float
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    first: int
    last: int
    signals: tuple[tuple[int, Why], ...]


def baseline_places(weeks: Sequence[Week], changes: Sequence[int]) -> list[int] | None:
    """The places of the first ``BASELINE`` points since the newest change that has so many after it; None of fewer.

    ``changes``: the places at which another version came. Limits stay those of a baseline until a newer one is whole.
    """
    for start in sorted({0, *changes}, reverse=True):
        found = [place for place in range(start, len(weeks)) if weeks[place].counts]
        if len(found) >= BASELINE:
            return found[:BASELINE]
    return None


def of_durations(weeks: Sequence[Week], changes: Sequence[int] = ()) -> Control | None:
    """The individuals chart of durations in any unit; None where no baseline is whole yet."""
    places = baseline_places(weeks, changes)
    if places is None:
        return None
    base = [weeks[place].value or 0.0 for place in places]
    centre = sum(base) / len(base)
    moved = [abs(later - earlier) for earlier, later in pairwise(base)]
    reach = RANGE_FACTOR * sum(moved) / len(moved)
    low, high = max(0.0, centre - reach), centre + reach
    return _control(weeks, places, centre, [(low, high) if week.counts else (None, None) for week in weeks])


def of_shares(weeks: Sequence[Week], changes: Sequence[int] = ()) -> Control | None:
    """The chart of shares from 0 to 1; None where no baseline is whole yet. A single run is never out of line."""
    places = baseline_places(weeks, changes)
    if places is None:
        return None
    n = sum(weeks[place].n for place in places)
    centre = sum((weeks[place].value or 0.0) * weeks[place].n for place in places) / n
    return _control(weeks, places, centre, [_reach(centre, week.n) if week.counts else (None, None) for week in weeks])


def _reach(share: float, n: int) -> tuple[float, float]:
    """Which shares of ``n`` are within reach of ``share``: those whose Wilson interval at three sigmas holds it.

    Wilson's interval is the inversion of the score test, so they lie within three standard errors of ``share``. Of what
    never or always happened before, one run of the other kind is within reach, too.
    """
    reach = SIGMAS * math.sqrt(share * (1 - share) / n)
    return max(0.0, min(share - reach, 1 - 1 / n)), min(1.0, max(share + reach, 1 / n))


def control_sentence(control: Control | None, labels: Sequence[str], points: int) -> Sentence:
    """What a chart says in words: which weeks after the baseline began are worth a look."""
    if control is None:
        values = {"n": str(points), "needed": str(BASELINE), "few": str(FEWEST)}
        text = gettext_noop("%(n)s of %(needed)s weeks with at least %(few)s runs: too few to say what is usual.")
        return Sentence(text, values)
    values = {"first": labels[control.first], "last": labels[control.last]}
    if not control.signals:
        return Sentence(gettext_noop("No week is out of line with %(first)s to %(last)s."), values)
    place, why = control.signals[-1]
    values |= {"n": str(len(control.signals)), "week": labels[place]}
    return Sentence(LAST[why], values)


LAST: Mapping[Why, str] = {
    Why.ABOVE: gettext_noop(
        "Worth a look, against %(first)s to %(last)s: %(n)s of the weeks, the last %(week)s, above what is usual."
    ),
    Why.BELOW: gettext_noop(
        "Worth a look, against %(first)s to %(last)s: %(n)s of the weeks, the last %(week)s, below what is usual."
    ),
    Why.RUN_ABOVE: gettext_noop(
        "Worth a look, against %(first)s to %(last)s: %(n)s of the weeks, the last %(week)s, the eighth or "
        "later in a row above the middle."
    ),
    Why.RUN_BELOW: gettext_noop(
        "Worth a look, against %(first)s to %(last)s: %(n)s of the weeks, the last %(week)s, the eighth or "
        "later in a row below the middle."
    ),
}


def _control(
    weeks: Sequence[Week], places: list[int], centre: float, limits: Sequence[tuple[float | None, float | None]]
) -> Control:
    low, high = tuple(one for one, _ in limits), tuple(one for _, one in limits)
    return Control(centre, low, high, places[0], places[-1], tuple(_signals(weeks, places[0], centre, limits)))


def _signals(
    weeks: Sequence[Week], first: int, centre: float, limits: Sequence[tuple[float | None, float | None]]
) -> list[tuple[int, Why]]:
    found: list[tuple[int, Why]] = []
    side, length = 0, 0
    for place in range(first, len(weeks)):
        value, (low, high) = weeks[place].value, limits[place]
        if value is None or low is None or high is None:
            continue
        same = SAME * max(abs(centre), abs(value))
        now = (value > centre + same) - (value < centre - same)
        side, length = now, length + 1 if now == side and now else 1
        if value > high + same or value < low - same:
            found.append((place, Why.ABOVE if value > high else Why.BELOW))
        elif now and length >= IN_A_ROW:
            found.append((place, Why.RUN_ABOVE if now > 0 else Why.RUN_BELOW))
    return found
