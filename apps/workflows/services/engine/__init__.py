"""The engine: an event in, the planner's commands done, rows and entries written, all in the caller's transaction."""

from apps.workflows.services.engine.cycle import advance_run
from apps.workflows.services.engine.loading import locked_run
from apps.workflows.services.engine.resuming import (
    complete_operation_step,
    resume_operation_step,
    resume_step,
)

__all__ = [
    "advance_run",
    "complete_operation_step",
    "locked_run",
    "resume_operation_step",
    "resume_step",
]
