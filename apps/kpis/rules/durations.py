"""Exact percentiles of durations that lie in pieces: those of a day, a workflow, a version. Pure.

numpy is imported where it is needed: who asks for no percentile does not load it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.kpis.rules.statistics import order_ranks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    type Piece = NDArray[np.int64]

WIDTH = 8
"""Bytes of a duration in a piece: whole milliseconds, the most significant byte first, as PostgreSQL sends them."""


def piece_of(written: bytes | memoryview) -> "Piece":
    """The durations of a piece, in the order in which they were written."""
    import numpy as np

    return np.frombuffer(written, dtype=">i8").astype(np.int64)


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile, and the values that enclose it with 95 %: None where there are too few for one."""

    value: float
    low: float | None
    high: float | None


def percentiles_in(pieces: Sequence["Piece"], fractions: Sequence[float]) -> list[Percentile]:
    """Each percentile of all pieces together by linear interpolation (type 7), as ``percentile_cont`` has it.

    Its interval is that of ``statistics.order_ranks``. Empty where there is no duration. The values are ranked only as
    far as the fractions ask.
    """
    import numpy as np

    values = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
    if not values.size:
        return []
    places = [fraction * (values.size - 1) for fraction in fractions]
    ranks = [order_ranks(values.size, fraction) for fraction in fractions]
    below = [math.floor(place) for place in places]
    above = [min(one + 1, values.size - 1) for one in below]
    values.partition(sorted({*below, *above, *(rank - 1 for pair in ranks for rank in pair if rank)}))

    def at(rank: int | None) -> float | None:
        return None if rank is None else float(values[rank - 1])

    return [
        Percentile(float(values[low] + (values[high] - values[low]) * (place - low)), at(pair[0]), at(pair[1]))
        for place, low, high, pair in zip(places, below, above, ranks, strict=True)
    ]
