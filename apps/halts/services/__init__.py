"""Engaging and lifting halts, the breakers that engage them by themselves, and drills that measure one."""

from apps.halts.services.drills import perform_drill, start_drill
from apps.halts.services.halts import end_breaker, engage_halt, lift_halt, open_breaker, save_breaker

__all__ = [
    "end_breaker",
    "engage_halt",
    "lift_halt",
    "open_breaker",
    "perform_drill",
    "save_breaker",
    "start_drill",
]
