"""Pure parts of the KPIs: definitions, intervals, buckets, formats, sentences, costs, invented history."""

from apps.kpis.rules.buckets import MAX_BUCKETS, Bucket, BucketSize, Period, RangeName
from apps.kpis.rules.definitions import CARDS, DEFINITIONS, LIVE, Behind, Definition, Direction, Kind, Unit
from apps.kpis.rules.figures import Delta, Figure, Status, Trend, figure_of
from apps.kpis.rules.sentences import Sentence, Verdict

__all__ = [
    "CARDS",
    "DEFINITIONS",
    "LIVE",
    "MAX_BUCKETS",
    "Behind",
    "Bucket",
    "BucketSize",
    "Definition",
    "Delta",
    "Direction",
    "Figure",
    "Kind",
    "Period",
    "RangeName",
    "Sentence",
    "Status",
    "Trend",
    "Unit",
    "Verdict",
    "figure_of",
]
