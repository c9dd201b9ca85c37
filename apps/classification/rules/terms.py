"""Words and shapes of data classes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

ANY = "*"
"""In a path: every item of a list, every name of an object."""
BY_RULE = "@rule"
"""In the place of a class, where a rule hides what it matched; no class is called so."""
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
MAX_RETENTION_DAYS = 36_500

type Classed = Mapping[str, Sequence[Sequence[str]]]
"""The paths that carry each class."""


def data_classes_in(classed: Iterable[str]) -> tuple[str, ...]:
    """The names that are those of classes: what a rule hides belongs to none."""
    return tuple(slug for slug in classed if slug != BY_RULE)


class Sensitivity(StrEnum):
    """How much harm it does where it gets out."""

    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Place(StrEnum):
    """Where it may be hidden from those who may not see it."""

    INBOX = "inbox"
    NOTIFICATION = "notification"
    TRACE = "trace"
    EXPORT = "export"
