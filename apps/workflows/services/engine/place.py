"""What everything that does a planner's command needs to know."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apps.core.models import User
from apps.core.services import system_user
from apps.workflows.models import Run, Task
from apps.workflows.rules.definition import Definition, StepDef
from apps.workflows.rules.planner.state import RunView


def principal_of(workflow: str) -> str:
    """The name of the system user in whose name a workflow asks for operations."""
    return f"workflow:{workflow}"


@dataclass
class Spot:
    """One advance of one run: who caused it, the run, the planner's state, the database's time.

    ``tried`` is the task whose try ended, ``released`` whether the run gave up its exclusive key.
    """

    actor: User
    run: Run
    definition: Definition
    view: RunView
    now: Any
    tried: Task | None = None
    released: bool = False

    @cached_property
    def principal(self) -> User:
        """The workflow's own user."""
        return system_user(principal_of(self.run.workflow.slug))

    def step(self, name: str) -> StepDef:
        """A step's definition."""
        return self.definition.steps[name]
