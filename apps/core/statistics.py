"""Shares and how sure one may be of them."""

import math
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)
"""The 97.5 % point of the normal distribution: both sides together leave 5 %."""


def wilson_interval(numerator: int, denominator: int) -> tuple[float, float] | None:
    """The 95 % Wilson score interval of a share, 0..1; None over nothing. Wilson 1927."""
    if denominator <= 0:
        return None
    share, z2 = numerator / denominator, Z95 * Z95
    centre = share + z2 / (2 * denominator)
    spread = Z95 * math.sqrt(share * (1 - share) / denominator + z2 / (4 * denominator * denominator))
    scale = 1 + z2 / denominator
    low = 0.0 if numerator == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if numerator == denominator else min(1.0, (centre + spread) / scale)
    return min(low, share), max(high, share)


def difference_interval(
    numerator: int, denominator: int, numerator_before: int, denominator_before: int
) -> tuple[float, float] | None:
    """The 95 % interval of a share less the one before, -1..1; None where either is over nothing.

    Newcombe's hybrid score interval from the Wilson intervals of both. Newcombe 1998, Statistics in Medicine 17,
    873-890, method 10.
    """
    if denominator <= 0 or denominator_before <= 0:
        return None
    now = wilson_interval(numerator, denominator) or (0.0, 1.0)
    before = wilson_interval(numerator_before, denominator_before) or (0.0, 1.0)
    share, share_before = numerator / denominator, numerator_before / denominator_before
    difference = share - share_before
    low = difference - math.hypot(share - now[0], before[1] - share_before)
    high = difference + math.hypot(now[1] - share, share_before - before[0])
    return max(-1.0, low), min(1.0, high)
