"""A run as it is shown: every step of its definition with what is known of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState, EffectClass
from apps.core.models import User
from apps.workflows.models import Attempt, Compensation, Run, Step, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.states import CompensationState, StepState, TakenBack
from apps.workflows.selectors.waiting import Waiting


@dataclass(frozen=True, slots=True)
class StepShown:
    """One round of one step; a step that has no row is pending.

    ``taken_back``: how much of what it did outside is undone, whoever undid it; its output says what it was.
    """

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
    taken_back: TakenBack | None = None

    @property
    def undone(self) -> TakenBack | None:
        """How much of a step that is done does not stand any more."""
        return self.taken_back if self.state == StepState.DONE else None

    @property
    def look(self) -> str:
        """The state whose look its badge has: what waits for people looks like waiting, what is undone like it."""
        if self.undone:
            return "compensated" if self.undone == TakenBack.WHOLLY else "compensating"
        if self.state == StepState.OPEN:
            return "waiting" if any(waiting.kind == "people" for waiting in self.waiting_for) else "running"
        return "skipped" if self.state == StepState.PENDING else self.state

    @property
    def word(self) -> str:
        """Its state in a word."""
        if self.undone:
            return _("Taken back") if self.undone == TakenBack.WHOLLY else _("Taken back in part")
        words = {StepState.PENDING: _("Not yet"), StepState.OPEN: _("Now"), StepState.DEAD: _("Not taken")}
        return words.get(StepState(self.state), "")


def steps_of(actor: User, run: Run, waits: list[Waiting]) -> list[StepShown]:
    """Every round that ran, in the order of the document, and the steps that have not begun."""
    assert actor.is_active
    definition = definition_of_version(run.version_id)
    rows: dict[str, list[Step]] = {}
    for row in Step.objects.filter(run=run).defer("items").order_by("round"):
        rows.setdefault(row.name, []).append(row)
    taken = _taken_back(run)
    shown: list[StepShown] = []
    for name, step in definition.steps.items():
        mine = [waiting for waiting in waits if waiting.step == name]
        shown += [
            _shown(row, step.label, mine if row.state == StepState.OPEN else [], taken.get((name, row.round)))
            for row in rows.get(name, [])
        ]
        if not any(row.current for row in rows.get(name, [])):
            following = len(rows.get(name, [])) + 1
            shown.append(_pending(name, step.label, step.kind.value, following))
    return shown


def _taken_back(run: Run) -> dict[tuple[str, int], TakenBack]:
    """Which rounds of steps do not stand any more: by what their actions are now, and by what the run took back."""
    undone = Compensation.objects.filter(run=run, state=CompensationState.DONE)
    gone: set[tuple[str, int]] = set(undone.values_list("step", "round"))
    standing: set[tuple[str, int]] = set()
    acts = Action.objects.filter(run_id=run.pk, purpose="act").exclude(effect=EffectClass.READ)
    for step, round_, state in acts.values_list("step", "round", "state"):
        if state == ActionState.COMPENSATED:
            gone.add((step, round_ or 1))
        elif state in (ActionState.SUCCEEDED, ActionState.UNKNOWN):
            standing.add((step, round_ or 1))
    return {place: TakenBack.PARTLY if place in standing else TakenBack.WHOLLY for place in gone}


def _shown(row: Step, label: str, waits: list[Waiting], taken_back: TakenBack | None) -> StepShown:
    items = f"{row.done} / {row.total}" if row.total is not None else ""
    return StepShown(
        row.name, label, row.kind, row.round, row.state, row.current, row.outcome, row.opened_at, row.finished_at,
        row.agent, row.tries, items, row.error, row.output, waits, taken_back,
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
