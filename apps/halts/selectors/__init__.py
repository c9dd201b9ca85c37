"""Which halts are engaged, whether one stops a piece of work, and what drills measured."""

from apps.halts.selectors.drills import drill_for, drills_for, is_drill_due_for, may_see_drills, may_start_drill
from apps.halts.selectors.halts import (
    FENCE,
    Scopes,
    affecting_for,
    breaker_for,
    breakers_for,
    engaged_for,
    halt_for,
    halt_since,
    halts_for,
    opened_of,
    require_running,
    take_fence,
)

__all__ = [
    "FENCE",
    "Scopes",
    "affecting_for",
    "breaker_for",
    "breakers_for",
    "drill_for",
    "drills_for",
    "engaged_for",
    "halt_for",
    "halt_since",
    "halts_for",
    "is_drill_due_for",
    "may_see_drills",
    "may_start_drill",
    "opened_of",
    "require_running",
    "take_fence",
]
