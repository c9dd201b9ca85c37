"""Addresses of actions, runs, tasks and workflows."""

from django.urls import URLPattern, path

from apps.workflows.api import actions, comments, compensating, definitions, failures, interrupts, runs, tasks
from apps.workflows.views import definitions as workflow_pages
from apps.workflows.views import failures as failure_pages
from apps.workflows.views import runs as run_pages

pages: list[URLPattern] = [
    path("runs/", run_pages.runs, name="runs"),
    path("runs/failures/", failure_pages.failures, name="failures"),
    path("runs/failures/retry/", failure_pages.retry_failed, name="retry-failed"),
    path("runs/<uuid:run_id>/", run_pages.run, name="run"),
    path("runs/<uuid:run_id>/pause/", run_pages.pause, name="run-pause"),
    path("runs/<uuid:run_id>/resume/", run_pages.resume, name="run-resume"),
    path("runs/<uuid:run_id>/cancel/", run_pages.cancel, name="run-cancel"),
    path("workflows/", workflow_pages.workflows, name="workflows"),
    path("workflows/<slug:slug>/", workflow_pages.workflow, name="workflow"),
    path("workflows/<slug:slug>/rollback/", workflow_pages.rollback, name="workflow-rollback"),
]

endpoints = [
    path("actions/", actions.Actions.as_view(), name="actions"),
    path("actions/check/", actions.ActionCheck.as_view(), name="action-check"),
    path("actions/<uuid:action_id>/", actions.ActionDetail.as_view(), name="action"),
    path("actions/<uuid:action_id>/cancel/", actions.ActionCancel.as_view(), name="action-cancel"),
    path("actions/<uuid:action_id>/comments/", comments.ActionComments.as_view(), name="action-comments"),
    path("actions/<uuid:action_id>/compensate/", compensating.ActionCompensate.as_view(), name="action-compensate"),
    path("actions/<uuid:action_id>/consume/", actions.ActionConsume.as_view(), name="action-consume"),
    path("actions/<uuid:action_id>/outcome/", actions.ActionOutcome.as_view(), name="action-outcome"),
    path("interrupts/", interrupts.Interrupts.as_view(), name="interrupts"),
    path("interrupts/<uuid:interrupt_id>/", interrupts.InterruptDetail.as_view(), name="interrupt"),
    path("interrupts/<uuid:interrupt_id>/resume/", interrupts.InterruptResume.as_view(), name="interrupt-resume"),
    path("runs/", runs.Runs.as_view(), name="runs"),
    path("runs/failures/", failures.RunFailures.as_view(), name="run-failures"),
    path("runs/retry/", failures.RunsRetry.as_view(), name="runs-retry"),
    path("runs/<uuid:run_id>/", runs.RunDetail.as_view(), name="run"),
    path("runs/<uuid:run_id>/cancel/", runs.RunCancel.as_view(), name="run-cancel"),
    path("runs/<uuid:run_id>/pause/", runs.RunPause.as_view(), name="run-pause"),
    path("runs/<uuid:run_id>/resume/", runs.RunResume.as_view(), name="run-resume"),
    path("tasks/claim/", tasks.TaskClaim.as_view(), name="task-claim"),
    path("tasks/<uuid:task_id>/", tasks.TaskDetail.as_view(), name="task"),
    path("tasks/<uuid:task_id>/heartbeat/", tasks.TaskHeartbeat.as_view(), name="task-heartbeat"),
    path("tasks/<uuid:task_id>/complete/", tasks.TaskComplete.as_view(), name="task-complete"),
    path("tasks/<uuid:task_id>/fail/", tasks.TaskFail.as_view(), name="task-fail"),
    path("tasks/<uuid:task_id>/release/", tasks.TaskRelease.as_view(), name="task-release"),
    path("tasks/<uuid:task_id>/ask/", tasks.TaskAsk.as_view(), name="task-ask"),
    path("workflows/", definitions.Workflows.as_view(), name="workflows"),
    path("workflows/<slug:slug>/", definitions.WorkflowDetail.as_view(), name="workflow"),
    path("workflows/<slug:slug>/check/", definitions.WorkflowCheck.as_view(), name="workflow-check"),
    path("workflows/<slug:slug>/publish/", definitions.WorkflowPublish.as_view(), name="workflow-publish"),
    path("workflows/<slug:slug>/rollback/", definitions.WorkflowRollback.as_view(), name="workflow-rollback"),
]
