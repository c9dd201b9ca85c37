"""Drills: announcing them in a queue, putting one before a person, and how each ends. Nothing can follow from one."""

from apps.oversight.services.drills.ending import (
    answer_drill,
    end_touched_drill,
    sweep_open_drills,
    withdraw_drills_of,
)
from apps.oversight.services.drills.making import open_due_drills
from apps.oversight.services.drills.plans import end_drills, plan_drills, set_drills

__all__ = [
    "answer_drill",
    "end_drills",
    "end_touched_drill",
    "open_due_drills",
    "plan_drills",
    "set_drills",
    "sweep_open_drills",
    "withdraw_drills_of",
]
