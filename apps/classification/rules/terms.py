"""Words and shapes of data classes."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

ANY = "*"
"""In a path: every item of a list, every name of an object."""
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
MAX_RETENTION_DAYS = 36_500

type Classed = Mapping[str, Sequence[Sequence[str]]]
"""The paths that carry each class."""


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
