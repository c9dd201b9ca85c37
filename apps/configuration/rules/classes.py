"""What a document says of a class of data."""

from apps.classification.rules import MAX_RETENTION_DAYS, Place, Sensitivity
from apps.configuration.rules.shapes import Keys, ListOf, Maybe, OneOf, Text, Whole

DATA_CLASS = Keys(
    {
        "slug": Text(63, 1, r"[a-z0-9][a-z0-9_-]*", "A slug (small letters, digits, - and _)"),
        "sensitivity": OneOf(tuple(Sensitivity)),
    },
    {
        "name": Text(120, 1),
        "purpose": Text(500),
        "retention_days": Maybe(Whole(1, MAX_RETENTION_DAYS)),
        "visible_to": ListOf(Text(80, 1)),
        "redact_in": ListOf(OneOf(tuple(Place))),
    },
)
