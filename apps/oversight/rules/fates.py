"""What became of a decision: a word for each end, as the person who decided is told."""

from enum import StrEnum


class Fate(StrEnum):
    """Where the thing that was decided on is now. ``went_on``: a step or question, so the work went on."""

    OVERTURNED = "overturned"
    REVERSED = "reversed"
    MISMATCH = "mismatch"
    VERIFIED = "verified"
    CARRIED_OUT = "carried_out"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDER_WAY = "under_way"
    WAITING = "waiting"
    UNUSED = "unused"
    SENT_BACK = "sent_back"
    NOT_RUN = "not_run"
    OPEN = "open"
    WENT_ON = "went_on"
