"""What workflows keep: definitions, runs and their steps, the hot queue, and what is bound to a time or a key."""

from apps.workflows.models.definitions import Workflow, WorkflowPermission, WorkflowVersion
from apps.workflows.models.erasures import ErasureRequest
from apps.workflows.models.interrupts import Interrupt, InterruptCall
from apps.workflows.models.retries import Retry
from apps.workflows.models.runs import Compensation, Exclusive, Run, Step, Timer
from apps.workflows.models.tasks import Attempt, Task

__all__ = [
    "Attempt",
    "Compensation",
    "ErasureRequest",
    "Exclusive",
    "Interrupt",
    "InterruptCall",
    "Retry",
    "Run",
    "Step",
    "Task",
    "Timer",
    "Workflow",
    "WorkflowPermission",
    "WorkflowVersion",
]
