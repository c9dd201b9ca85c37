"""Which workflows, runs and tasks an actor may see."""

from apps.workflows.selectors.definitions import (
    catalogue,
    version_for,
    versions_for,
    workflow_for,
    workflows_for,
    workflows_in_use,
)
from apps.workflows.selectors.runs import run_for, runs_for

__all__ = [
    "catalogue",
    "run_for",
    "runs_for",
    "version_for",
    "versions_for",
    "workflow_for",
    "workflows_for",
    "workflows_in_use",
]
