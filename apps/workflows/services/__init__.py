"""Commands on workflows, runs and tasks. Actions have a package of their own: ``services.actions``."""

from apps.workflows.services.definitions import (
    check_source,
    errors_of,
    publish_document,
    publish_version,
    retire_workflow,
    rollback_workflow,
    save_draft,
)
from apps.workflows.services.engine import complete_operation_step, resume_operation_step, resume_step
from apps.workflows.services.erasing import ask_erasure, drop_erasure, erase_trail
from apps.workflows.services.permissions import grant_workflow, revoke_workflow, set_agent_workflows
from apps.workflows.services.retrying import perform_due_retries, retry_runs
from apps.workflows.services.runs import begin_promoted, begin_run, cancel_run, pause_run, resume_run, start_run
from apps.workflows.services.tasks import (
    ask_about_task,
    claim_tasks,
    complete_task,
    end_drained,
    expire_leases,
    fail_task,
    fire_timers,
    heartbeat_task,
    offer_scheduled,
    raise_forgotten,
    release_task,
    return_tasks_of_version,
    take_answer,
)

__all__ = [
    "ask_about_task",
    "ask_erasure",
    "begin_promoted",
    "begin_run",
    "cancel_run",
    "check_source",
    "claim_tasks",
    "complete_operation_step",
    "complete_task",
    "drop_erasure",
    "end_drained",
    "erase_trail",
    "errors_of",
    "expire_leases",
    "fail_task",
    "fire_timers",
    "grant_workflow",
    "heartbeat_task",
    "offer_scheduled",
    "pause_run",
    "perform_due_retries",
    "publish_document",
    "publish_version",
    "raise_forgotten",
    "release_task",
    "resume_operation_step",
    "resume_run",
    "resume_step",
    "retire_workflow",
    "retry_runs",
    "return_tasks_of_version",
    "revoke_workflow",
    "rollback_workflow",
    "save_draft",
    "set_agent_workflows",
    "start_run",
    "take_answer",
]
