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
