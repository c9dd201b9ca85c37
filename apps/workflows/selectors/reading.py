"""A run as it is shown: every step of its definition with what is known of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.workflows.models import Attempt, Run, Step, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.states import StepState
from apps.workflows.selectors.waiting import Waiting


@dataclass(frozen=True, slots=True)
class StepShown:
    """One round of one step; a step that has no row is pending."""

    name: str
    label: str
    kind: str
    round: int
    state: str
    current: bool
    outcome: str | None
    started_at: datetime | None
    finished_at: datetime | None
    agent: str
    attempts: int
    items: str
    error: Any
    output: Any
    waiting_for: list[Waiting]

    @property
    def look(self) -> str:
        """The state whose look its badge has: what waits for people looks like waiting."""
        if self.state == StepState.OPEN:
            return "waiting" if any(waiting.kind == "people" for waiting in self.waiting_for) else "running"
        return "skipped" if self.state == StepState.PENDING else self.state

    @property
    def word(self) -> str:
        """Its state in a word."""
        words = {StepState.PENDING: _("Not yet"), StepState.OPEN: _("Now"), StepState.DEAD: _("Not taken")}
        return words.get(StepState(self.state), "")


def steps_of(actor: User, run: Run, waits: list[Waiting]) -> list[StepShown]:
    """Every round that ran, in the order of the document, and the steps that have not begun."""
    assert actor.is_active
    definition = definition_of_version(run.version_id)
    rows: dict[str, list[Step]] = {}
    for row in Step.objects.filter(run=run).defer("items").order_by("round"):
        rows.setdefault(row.name, []).append(row)
    shown: list[StepShown] = []
    for name, step in definition.steps.items():
        mine = [waiting for waiting in waits if waiting.step == name]
        shown += [_shown(row, step.label, mine if row.state == StepState.OPEN else []) for row in rows.get(name, [])]
        if not any(row.current for row in rows.get(name, [])):
            following = len(rows.get(name, [])) + 1
            shown.append(_pending(name, step.label, step.kind.value, following))
    return shown


def _shown(row: Step, label: str, waits: list[Waiting]) -> StepShown:
    items = f"{row.done} / {row.total}" if row.total is not None else ""
    return StepShown(
        row.name, label, row.kind, row.round, row.state, row.current, row.outcome, row.opened_at, row.finished_at,
        row.agent, row.tries, items, row.error, row.output, waits,
    )  # fmt: skip


def _pending(name: str, label: str, kind: str, round_: int) -> StepShown:
    state = StepState.PENDING.value
    return StepShown(name, label, kind, round_, state, True, None, None, None, "", 0, "", None, None, [])


def steps_by_task(actor: User, run: Run) -> dict[UUID, str]:
    """To which step each task of a run (fetched through ``run_for``) belonged, ended ones too."""
    assert actor.is_active
    tried = Attempt.objects.filter(run=run).exclude(task_id=None).values_list("task_id", "step")
    return {task_id: step for task_id, step in tried if task_id} | dict(
        Task.objects.filter(run=run).values_list("pk", "step")
    )
