"""What access knows without asking anybody: names of permissions, open hours, ladders, rotas, absences."""

from apps.access.rules.absences import (
    MAX_CHAIN,
    closes_circle,
    represented,
    stand_in,
)
from apps.access.rules.calendars import (
    HORIZON,
    WEEKDAYS,
    OpenHours,
    due_after,
    hours_errors,
    moved_on,
    open_hours,
    part_of,
)
from apps.access.rules.ladders import (
    MAX_LEVELS,
    MAX_REPEAT,
    Policy,
    Rung,
    Target,
    TargetKind,
    ladder,
    level_errors,
    target_of,
)
from apps.access.rules.permissions import (
    ADMINISTRATOR,
    ADMINISTRATOR_PERMISSIONS,
    PERMISSIONS,
    is_permission,
)
from apps.access.rules.rotas import MAX_DAYS, MAX_EXCEPTIONS, MAX_PEOPLE, Turns, rota_errors, turns_of

__all__ = [
    "ADMINISTRATOR",
    "ADMINISTRATOR_PERMISSIONS",
    "HORIZON",
    "MAX_CHAIN",
    "MAX_DAYS",
    "MAX_EXCEPTIONS",
    "MAX_LEVELS",
    "MAX_PEOPLE",
    "MAX_REPEAT",
    "PERMISSIONS",
    "WEEKDAYS",
    "OpenHours",
    "Policy",
    "Rung",
    "Target",
    "TargetKind",
    "Turns",
    "closes_circle",
    "due_after",
    "hours_errors",
    "is_permission",
    "ladder",
    "level_errors",
    "moved_on",
    "open_hours",
    "part_of",
    "represented",
    "rota_errors",
    "stand_in",
    "target_of",
    "turns_of",
]
