"""Whether two samples differ, stratum by stratum: ranks, medians by days, shares. Pure.

numpy is imported where it is needed: who compares nothing does not load it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from apps.core.statistics import wilson_interval
from apps.kpis.rules.statistics import COVERAGE, has_sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    type Numbers = NDArray[np.float64]
    type Places = NDArray[np.int64]

SURE = 0.05
"""What chance alone does less often than this is told as a change."""
RESAMPLES = 2_000
SEED = 20_260_101
"""The same question has the same answer, today and tomorrow."""
CELLS = 2_000_000
"""So many numbers at once: a resample of all values of a side is one row."""
ALIKE = 1e-9
"""Weights and probabilities closer than this are the same."""
NEVER = 1e-40
"""What is less likely than this does not happen."""
FEWEST_DAYS = 7
"""Fewer days say nothing of how much days differ, nor of weekends."""
FEWEST_OF_STRATUM = 5
"""Nor do fewer of one stratum: draws of days would take it for known, and the interval would be too narrow."""
POWER_Z = 2.8016
"""The 97.5 % point of the normal distribution and its 80 % point together: a change seen four times in five."""
RANK_EFFICIENCY = 0.955
"""Of the rank test against the t test where values are normal: 3 / pi."""
WATCHED_MEDIAN = 0.2
"""A change of a median or a mean by this share is one that people care about."""
WATCHED_SHARE = (0.01, 0.05)
"""Half of a share is one too, but never less or more than these."""


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of one side in any unit, the local day on which each ended (any number), and its stratum."""

    values: Sequence[float]
    days: Sequence[int]
    strata: Sequence[int]

    @property
    def cells(self) -> set[tuple[int, int]]:
        """Each stratum with each of its days."""
        return set(zip(self.strata, self.days, strict=True))

    def only(self, kept: Sequence[int]) -> "Times":
        """Those of some strata, which are numbered anew in this order."""
        places = {stratum: place for place, stratum in enumerate(kept)}
        held = [at for at, stratum in enumerate(self.strata) if stratum in places]
        return Times(
            [self.values[at] for at in held],
            [self.days[at] for at in held],
            [places[self.strata[at]] for at in held],
        )


@dataclass(frozen=True, slots=True)
class Share:
    """``top`` out of ``of``, in one stratum of one side."""

    top: int
    of: int


@dataclass(frozen=True, slots=True)
class Sum:
    """What came together on one local day (any number) in one stratum of one side: ``top``, for ``of`` of something."""

    stratum: int
    day: int
    top: float
    of: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What the newer side has more than the older, with its 95 % interval, and how likely chance alone is so far off.

    ``needed``: about how many of each side would show a change that people care about, four times in five.
    """

    value: float
    low: float
    high: float
    p: float
    needed: int

    @property
    def is_apart(self) -> bool:
        """Whether no difference at all lies outside of the interval."""
        return self.low > 0 or self.high < 0


def on_enough_days(now: Iterable[tuple[int, int]], was: Iterable[tuple[int, int]]) -> list[int]:
    """The strata that both sides had on enough days to say how much their days differ. Pairs: a stratum, a day."""
    days = [Counter(stratum for stratum, _day in set(side)) for side in (now, was)]
    return sorted(one for one in days[0] if min(side[one] for side in days) >= FEWEST_OF_STRATUM)


def only_of(side: Iterable[Sum], kept: Sequence[int]) -> list[Sum]:
    """What came together in some strata, which are numbered anew in this order."""
    places = {stratum: place for place, stratum in enumerate(kept)}
    return [replace(one, stratum=places[one.stratum]) for one in side if one.stratum in places]


def time_difference(now: Times, was: Times, weights: Sequence[float]) -> Difference | None:
    """Medians of both sides, each stratum with its weight; None where a side has under seven days.

    Every stratum holds values of both sides (``on_enough_days``). Interval: bootstrap of whole days, since the runs of
    one day have its weather in common; a stratum that is missing from a draw is there as it is over all days.
    """
    import numpy as np

    if min(len(set(now.days)), len(set(was.days))) < FEWEST_DAYS:
        return None
    sides, random = (_Side.of(now, weights), _Side.of(was, weights)), np.random.default_rng(SEED)
    newer, older = (side.medians(np.ones((1, side.days), dtype=np.int64))[0] for side in sides)
    moved = sides[0].resampled(random) - sides[1].resampled(random)
    low, high = np.quantile(moved, COVERAGE)
    return Difference(
        float(newer - older), float(low), float(high), rank_test(now, was), needed_for_times(_spread(now, was))
    )


def share_difference(now: Sequence[Share], was: Sequence[Share], weights: Sequence[float]) -> Difference:
    """Shares of both sides, each stratum with its weight; one place of either list is one stratum, none is empty.

    Interval: from the Wilson intervals of every stratum and side (Newcombe 1998; over strata as Zou and Donner 2008
    recover variances). Chance: Fisher's exact test, over strata all at once.
    """
    moved = under = over = 0.0
    for newer, older, weight in zip(now, was, weights, strict=True):
        first, second = newer.top / newer.of, older.top / older.of
        one, two = (wilson_interval(side.top, side.of) or (0.0, 1.0) for side in (newer, older))
        moved += weight * (first - second)
        under += weight**2 * ((first - one[0]) ** 2 + (two[1] - second) ** 2)
        over += weight**2 * ((one[1] - first) ** 2 + (second - two[0]) ** 2)
    top, of = (sum(getattr(side, name) for side in (*now, *was)) for name in ("top", "of"))
    return Difference(
        moved,
        max(-1.0, moved - math.sqrt(under)),
        min(1.0, moved + math.sqrt(over)),
        exact_test(now, was),
        needed_for_shares(top / of),
    )


def mean_difference(now: Sequence[Sum], was: Sequence[Sum], weights: Sequence[float]) -> Difference | None:
    """Tops over ofs of both sides, each stratum with its weight; None where a side has under seven days.

    Every stratum has something of both sides (``on_enough_days``). Interval: bootstrap of whole days, widened by what
    few days hide (n / (n - 1)), where a stratum that is missing from a draw keeps its mean; chance: the normal
    distribution with the same deviation.
    """
    import numpy as np

    if min(len({one.day for one in side}) for side in (now, was)) < FEWEST_DAYS:
        return None
    random, each, spreads = np.random.default_rng(SEED), [], []
    for side in (now, was):
        tops, ofs = _by_day(side, len(weights))
        days = len(tops)
        drawn = random.multinomial(days, np.full(days, 1 / days), size=RESAMPLES)
        whole = float(_weighed(np.ones((1, days)), tops, ofs, weights)[0])
        tried = whole + (_weighed(drawn, tops, ofs, weights) - whole) * math.sqrt(days / (days - 1))
        each.append((whole, tried))
        if whole:
            spreads.append(float(tried.std()) / abs(whole) * math.sqrt(float(ofs.sum())))
    value, moved = each[0][0] - each[1][0], each[0][1] - each[1][1]
    low, high = np.quantile(moved, COVERAGE)
    off = float(moved.std())
    chance = math.erfc(abs(value) / off / math.sqrt(2)) if off else float(not value)
    usual = math.sqrt(sum(one**2 for one in spreads) / len(spreads)) if spreads else 0.0
    return Difference(value, float(low), float(high), chance, needed_for_means(usual))


def rank_test(now: Times, was: Times) -> float:
    """How likely ranks so far apart are by chance, 0..1: van Elteren's test; with one stratum Mann and Whitney's U.

    Two-sided, by the normal distribution, ties corrected, without continuity correction.
    """
    import numpy as np

    values = np.asarray([*now.values, *was.values], dtype=np.float64)
    strata = np.asarray([*now.strata, *was.strata], dtype=np.int64)
    is_newer = np.arange(len(values)) < len(now.values)
    moved = variance = 0.0
    for stratum in np.unique(strata):
        held = strata == stratum
        ranks, tied = _ranks(values[held])
        newer, both = int(is_newer[held].sum()), int(held.sum())
        older = both - newer
        if not newer or not older:
            continue
        weight = 1 / (both + 1)
        moved += weight * (float(ranks[is_newer[held]].sum()) - newer * (both + 1) / 2)
        ties = tied / (both * (both - 1)) if both > 1 else 0.0
        variance += weight**2 * newer * older / 12 * (both + 1 - ties)
    return math.erfc(abs(moved) / math.sqrt(2 * variance)) if variance > 0 else 1.0


def exact_test(now: Sequence[Share], was: Sequence[Share]) -> float:
    """How likely shares so far apart are by chance, 0..1: Fisher's exact test; over strata, of the sum over them.

    Two-sided: everything that is no likelier than what was seen. Each stratum keeps its totals.
    """
    import numpy as np

    chances, least = np.ones(1), 0
    for newer, older in zip(now, was, strict=True):
        first, each = _hypergeometric(newer.of, older.of, newer.top + older.top)
        chances, least = np.convolve(chances, each), least + first
    place = sum(side.top for side in now) - least
    if not 0 <= place < len(chances):
        return 0.0
    return min(1.0, float(chances[chances <= chances[place] * (1 + 1e-7)].sum()))


def adjusted(chances: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's values of several tests asked at once, in their order: below 5 % one in twenty is false.

    Benjamini and Hochberg 1995.
    """
    ranked = sorted(range(len(chances)), key=lambda place: chances[place], reverse=True)
    found, least = [1.0] * len(chances), 1.0
    for after, place in enumerate(ranked):
        least = min(least, chances[place] * len(chances) / (len(chances) - after))
        found[place] = least
    return found


def needed_for_times(spread: float) -> int:
    """How many of each side show a median that moved by a fifth; ``spread``: the deviation of their logarithms."""
    return math.ceil(2 * POWER_Z**2 * spread**2 / RANK_EFFICIENCY / math.log(1 - WATCHED_MEDIAN) ** 2)


def needed_for_means(spread: float) -> int:
    """How many of each side show a mean that moved by a fifth; ``spread``: the deviation of one, by the mean."""
    return math.ceil(2 * POWER_Z**2 * spread**2 / WATCHED_MEDIAN**2)


def needed_for_shares(share: float) -> int:
    """How many of each side show a share that moved by half, but by at least one and at most five points."""
    rare = min(share, 1 - share)
    step = min(max(rare / 2, WATCHED_SHARE[0]), WATCHED_SHARE[1])
    middle = max(rare, step / 2)
    return math.ceil(2 * POWER_Z**2 * middle * (1 - middle) / step**2)


def has_both(now: int, was: int) -> bool:
    """Whether both sides are large enough to be held against each other at all."""
    return has_sample(now) and has_sample(was)


def shows(now: int, was: int, needed: int) -> bool:
    """Whether sides of these sizes would show what people care about; unequal sides count as their harmonic mean."""
    return 2 * now * was >= needed * (now + was)


def _by_day(side: Sequence[Sum], strata: int) -> "tuple[Numbers, Numbers]":
    """Tops and ofs: a row for each day, a column for each stratum."""
    import numpy as np

    days = {day: place for place, day in enumerate(sorted({one.day for one in side}))}
    tops, ofs = np.zeros((len(days), strata)), np.zeros((len(days), strata))
    for one in side:
        tops[days[one.day], one.stratum] += one.top
        ofs[days[one.day], one.stratum] += one.of
    return tops, ofs


def _weighed(drawn: Any, tops: "Numbers", ofs: "Numbers", weights: Sequence[float]) -> "Numbers":
    """Top over of for each row of ``drawn``: how often each day is in it.

    A stratum that a row lacks is there as it is over all days: left out, its weight would fall to the others, and rows
    would jump from one level to another.
    """
    import numpy as np

    top, of, all_of = drawn @ tops, drawn @ ofs, ofs.sum(axis=0)
    weight = np.where(all_of > 0, np.asarray(weights), 0.0)
    whole = np.divide(tops.sum(axis=0), all_of, out=np.zeros_like(all_of), where=all_of > 0)
    each = np.divide(top, of, out=np.tile(whole, (len(top), 1)), where=of > 0)
    return np.asarray(each @ weight / max(float(weight.sum()), ALIKE), dtype=np.float64)


def _ranks(values: "Numbers") -> "tuple[Numbers, float]":
    """Ranks from 1, tied ones in the middle, and the sum of t^3 - t over groups of t ties."""
    import numpy as np

    _found, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle = last - (counts - 1) / 2
    sizes = counts.astype(np.float64)
    return middle[place], float((sizes**3 - sizes).sum())


def _hypergeometric(newer: int, older: int, tops: int) -> "tuple[int, Numbers]":
    """How likely each number of ``tops`` falls to the newer side, from the first number that is not next to impossible.

    Without the tails a sum over strata of many thousands stays quick.
    """
    import numpy as np

    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, newer + older + 1)))))

    def choose(of: int, some: Any) -> Any:
        return logs[of] - logs[some] - logs[of - some]

    held = np.arange(max(0, tops - older), min(newer, tops) + 1)
    chances = np.exp(choose(newer, held) + choose(older, tops - held) - choose(newer + older, tops))
    likely = np.flatnonzero(chances > NEVER)
    first, last = int(likely[0]), int(likely[-1])
    kept = np.asarray(chances[first : last + 1] / chances.sum(), dtype=np.float64)
    return int(held[first]), kept


def _spread(*sides: Times) -> float:
    """The deviation of the logarithms within every side and stratum; below a second all is alike."""
    import numpy as np

    off, n = 0.0, 0
    for side in sides:
        logs, strata = np.log(np.maximum(np.asarray(side.values), 1.0)), np.asarray(side.strata)
        for stratum in np.unique(strata):
            held = logs[strata == stratum]
            off += float(((held - held.mean()) ** 2).sum())
            n += len(held) - 1
    return math.sqrt(off / n) if n else 0.0


@dataclass(frozen=True, slots=True)
class _Side:
    """One side, its values ranked: where each one's day and stratum stand, and what a stratum weighs."""

    values: "Numbers"
    day: "Places"
    stratum: "Places"
    weights: "Numbers"
    days: int

    @classmethod
    def of(cls, side: Times, weights: Sequence[float]) -> "_Side":
        import numpy as np

        values = np.asarray(side.values, dtype=np.float64)
        order = np.argsort(values, kind="stable")
        known, day = np.unique(np.asarray(side.days), return_inverse=True)
        stratum = np.asarray(side.strata, dtype=np.int64)[order]
        return cls(values[order], day[order], stratum, np.asarray(weights, dtype=np.float64), len(known))

    def resampled(self, random: "np.random.Generator") -> "Numbers":
        """The medians of as many days as there are, drawn with replacement, again and again."""
        import numpy as np

        rows = max(1, CELLS // len(self.values))
        drawn = random.multinomial(self.days, np.full(self.days, 1 / self.days), size=RESAMPLES)
        return np.concatenate([self.medians(drawn[at : at + rows]) for at in range(0, RESAMPLES, rows)])

    def medians(self, drawn: "Places") -> "Numbers":
        """The weighted median of each row; ``drawn``: how often each day is in it.

        Where just half of the weight lies below a value, the middle between it and the next, as everywhere.
        """
        import numpy as np

        weights = drawn[:, self.day].astype(np.float64)
        if len(self.weights) > 1:
            for one, weight in enumerate(self.weights):
                of_it = self.stratum == one
                held = weights[:, of_it].sum(axis=1)
                weights[np.ix_(held == 0, of_it)] = 1.0  # left out, its weight would fall to the others
                held[held == 0] = of_it.sum() or 1
                weights[:, of_it] *= weight / held[:, None]
        below = np.cumsum(weights, axis=1)
        half, slack = below[:, -1:] / 2, below[:, -1:] * ALIKE
        first = (below >= half - slack).argmax(axis=1)
        second = (below > half + slack).argmax(axis=1)
        return np.asarray((self.values[first] + self.values[second]) / 2, dtype=np.float64)
