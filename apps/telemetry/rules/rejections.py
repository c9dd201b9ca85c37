"""Why spans are not taken."""

from enum import StrEnum


class Rejection(StrEnum):
    """Why a span was not taken; each is counted by agent and day. ``of_others`` is of before such spans were kept."""

    UNREADABLE = "unreadable"
    OUT_OF_TIME = "out_of_time"
    OF_OTHERS = "of_others"
    OVERFULL = "overfull"
    BLOCKED = "blocked"
