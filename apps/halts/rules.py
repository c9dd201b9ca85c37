"""What a halt can stop."""

from enum import StrEnum


class HaltScope(StrEnum):
    """What a halt stops; all but ``everything`` name a target by slug."""

    EVERYTHING = "everything"
    UNIT = "unit"
    WORKFLOW = "workflow"
    AGENT = "agent"
    VERSION = "version"
    CONNECTOR = "connector"
    OPERATION = "operation"
