"""What a span belongs to, and how that is known."""

from enum import StrEnum
from uuid import UUID

Link = tuple[UUID | None, UUID | None, UUID | None]
"""Run, task, action."""
NOTHING: Link = (None, None, None)


class LinkedBy(StrEnum):
    """How it is known what a span belongs to; the surest first."""

    ATTRIBUTE = "attribute"
    ABOVE = "above"
    TRACE = "trace"
    CONVERSATION = "conversation"
    HAND = "hand"
