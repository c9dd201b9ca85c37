"""Which halts are engaged, whether one stops a piece of work, and what drills measured."""

from apps.halts.selectors.breakers import (
    breaker_change_for,
    breaker_changes_for,
    breaker_changes_of,
    breaker_for,
    breaker_releasers_of,
    breakers_for,
    may_release_breaker_change,
    opened_of,
    waiting_breaker_changes_for,
)
from apps.halts.selectors.drills import drill_for, drills_for, is_drill_due_for, may_see_drills, may_start_drill
from apps.halts.selectors.halts import (
    FENCE,
    Scopes,
    affecting_for,
    engaged_for,
    halt_for,
    halt_since,
    halts_for,
    require_running,
    take_fence,
)

__all__ = [
    "FENCE",
    "Scopes",
    "affecting_for",
    "breaker_change_for",
    "breaker_changes_for",
    "breaker_changes_of",
    "breaker_for",
    "breaker_releasers_of",
    "breakers_for",
    "drill_for",
    "drills_for",
    "engaged_for",
    "halt_for",
    "halt_since",
    "halts_for",
    "is_drill_due_for",
    "may_release_breaker_change",
    "may_see_drills",
    "may_start_drill",
    "opened_of",
    "require_running",
    "take_fence",
    "waiting_breaker_changes_for",
]
