"""Classes of data, without asking anybody: what names them, what carries them, and marks in their place."""

from apps.classification.rules.marks import (
    Veil,
    carried,
    hidden_by_rules,
    mark_of,
    marked,
    restored,
    united,
    unmarked,
    values_at,
)
from apps.classification.rules.schemas import ANYTHING, KEYWORD, classed_by, covers, named, position_of
from apps.classification.rules.terms import (
    BY_RULE,
    MAX_RETENTION_DAYS,
    SLUG,
    Classed,
    Place,
    Sensitivity,
    data_classes_in,
)

__all__ = [
    "ANYTHING",
    "BY_RULE",
    "KEYWORD",
    "MAX_RETENTION_DAYS",
    "SLUG",
    "Classed",
    "Place",
    "Sensitivity",
    "Veil",
    "carried",
    "classed_by",
    "covers",
    "data_classes_in",
    "hidden_by_rules",
    "mark_of",
    "marked",
    "named",
    "position_of",
    "restored",
    "united",
    "unmarked",
    "values_at",
]
