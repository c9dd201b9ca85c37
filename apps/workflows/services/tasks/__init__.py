"""The router: agents take tasks under a lease, and say what came of them."""

from apps.workflows.services.tasks.claims import claim_tasks, heartbeat_task, release_task
from apps.workflows.services.tasks.forgotten import raise_forgotten
from apps.workflows.services.tasks.handovers import end_drained, return_tasks_of_version
from apps.workflows.services.tasks.outcomes import complete_task, fail_task
from apps.workflows.services.tasks.questions import ask_about_task, take_answer
from apps.workflows.services.tasks.sweeps import expire_leases, fire_timers, offer_scheduled

__all__ = [
    "ask_about_task",
    "claim_tasks",
    "complete_task",
    "end_drained",
    "expire_leases",
    "fail_task",
    "fire_timers",
    "heartbeat_task",
    "offer_scheduled",
    "raise_forgotten",
    "release_task",
    "return_tasks_of_version",
    "take_answer",
]
