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
    cumulative, low, high = 0.0, None, None
    for below in range(n):
        cumulative += _binomial(n, below, fraction)
        if cumulative <= COVERAGE[0]:
            low = below + 1
        if high is None and cumulative >= COVERAGE[1]:
            high = below + 1
            break
    return low, high


def _binomial(n: int, k: int, p: float) -> float:
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    return math.exp(log)
