"""Intervals and percentiles: the few formulas on which every figure rests."""

import math
from collections.abc import Sequence

from apps.core.statistics import Z95

SMALL_N = 30
"""Below this a figure is shown grey and compared with nothing."""

COVERAGE = (0.025, 0.975)
"""What lies below the lower and below the upper end of a 95 % interval."""

EXACT_N = 1000
"""Up to so many values ranks are counted out."""

NOTHING_BEYOND = 9
"""So many standard deviations from where a rank is expected nothing is left to count: less than one in a billion."""

MEAN_N = 5
"""Fewer values say too little of how far others would lie apart."""

PERCENTILE_N = {0.9: 10, 0.95: 20}
"""A percentile of fewer values says nothing about the tail."""


def percentile(values: Sequence[float], fraction: float) -> float | None:
    """The exact percentile by linear interpolation (Hyndman and Fan, type 7), as ``percentile_cont`` has it."""
    if not values:
        return None
    ranked = sorted(values)
    position = fraction * (len(ranked) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (position - below)


def percentile_has_sample(fraction: float, n: int) -> bool:
    """Whether ``n`` values are enough to show this percentile at all."""
    return n >= PERCENTILE_N.get(fraction, 1)


def has_sample(n: int) -> bool:
    """Whether ``n`` is enough to colour a figure and to compare it."""
    return n >= SMALL_N


def mean_interval(mean: float, deviation: float, n: int) -> tuple[float, float] | None:
    """The 95 % interval of a mean by Student's distribution; ``deviation``: of the sample (n - 1).

    None below five values, and where all are alike: nothing then says how far others would lie apart. The point of the
    distribution by its expansion (Abramowitz and Stegun 26.7.5), from five values on at most 0.3 % off.
    """
    if n < MEAN_N or not deviation:
        return None
    z, free = Z95, n - 1
    point = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    point += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    width = point * deviation / math.sqrt(n)
    return mean - width, mean + width


def order_ranks(n: int, fraction: float) -> tuple[int | None, int | None]:
    """Ranks (1..n) whose values enclose the percentile with 95 %; None where no such rank exists.

    By the binomial distribution of how many of ``n`` values lie below it (David and Nagaraja, Order Statistics, 7.1):
    for p90 there is no upper rank below n = 36. Beyond a thousand values by the normal distribution, a rank wider.
    """
    if n < 1 or not 0 < fraction < 1:
        return None, None
    if n > EXACT_N:
        width = Z95 * math.sqrt(n * fraction * (1 - fraction))
        return math.floor(n * fraction - width), math.ceil(n * fraction + width) + 1
    spread = math.sqrt(n * fraction * (1 - fraction))
    first = max(0, math.floor(n * fraction - NOTHING_BEYOND * spread))
    ways = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    chance = math.exp(ways + first * math.log(fraction) + (n - first) * math.log1p(-fraction))
    odds = fraction / (1 - fraction)
    cumulative, low, high = 0.0, None, None
    for below in range(first, n):
        cumulative += chance
        if cumulative <= COVERAGE[0]:
            low = below + 1
        if cumulative >= COVERAGE[1]:
            high = below + 1
            break
        chance *= odds * (n - below) / (below + 1)
    return low, high
