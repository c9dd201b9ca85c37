"""Engaging and lifting halts, the breakers that engage them by themselves, and drills that measure one."""

from apps.halts.services.breakers import (
    PROPOSED,
    decline_breaker_change,
    end_breaker,
    release_breaker_change,
    save_breaker,
    take_breakers_along,
)
from apps.halts.services.drills import perform_drill, start_drill
from apps.halts.services.halts import engage_halt, lift_halt, open_breaker

__all__ = [
    "PROPOSED",
    "decline_breaker_change",
    "end_breaker",
    "engage_halt",
    "lift_halt",
    "open_breaker",
    "perform_drill",
    "release_breaker_change",
    "save_breaker",
    "start_drill",
    "take_breakers_along",
]
