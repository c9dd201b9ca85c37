"""Classes of data, without asking anybody: what names them, what carries them, and marks in their place."""

from apps.classification.rules.marks import (
    Veil,
    carried,
    mark_of,
    marked,
    restored,
    united,
    unmarked,
    values_at,
)
from apps.classification.rules.schemas import ANYTHING, KEYWORD, classed_by, covers, named, position_of
from apps.classification.rules.terms import MAX_RETENTION_DAYS, SLUG, Classed, Place, Sensitivity

__all__ = [
    "ANYTHING",
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
    "mark_of",
    "marked",
    "named",
    "position_of",
    "restored",
    "united",
    "unmarked",
    "values_at",
]
