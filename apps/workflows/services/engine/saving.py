"""Writing back what the planner changed: steps and compensations as they move, the run once at the end."""

from dataclasses import replace
from typing import Any

from django.db.models import Min

from apps.audit.services import Change, record_many
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.workflows.models import Attempt, Compensation, Run, Step, Task
from apps.workflows.models.definitions import number_of_version
from apps.workflows.rules.definition import Definition
from apps.workflows.rules.planner.state import UNSET, RunView, StepView
from apps.workflows.rules.states import RUN_FINAL, Kind, RunState, StepState
from apps.workflows.selectors.veils import marks_of
from apps.workflows.services.engine.loading import COUNTERS, notes_of

HISTORY = {StepState.OPEN: StepState.CANCELLED, StepState.CANCELLED: StepState.CANCELLED}
"""What a round becomes when the next one may start; all others are superseded."""


class Rows:
    """The rows behind a run's state, and what is to be said of their changes in the ledger."""

    def __init__(
        self,
        actor: User,
        run: Run,
        definition: Definition,
        steps: dict[tuple[str, int], Step],
        now: Any,
        tried: Task | None = None,
    ) -> None:
        self.actor, self.run, self.definition, self.steps, self.now = actor, run, definition, steps, now
        self.tried = tried
        self.changes: list[Change] = []

    def save(self, view: RunView) -> None:
        """Write every step and compensation that changed, and note what the ledger will say."""
        changed = [(past, False) for past in view.past]
        changed += [(step, True) for step in view.steps.values() if step.changed]
        view.past.clear()
        made: list[Step] = []
        for step, current in changed:  # what became history comes first: a step has one current round
            self._save_step(step, current=current, made=made)
        if made:
            Step.objects.bulk_create(made)
        for compensation in view.compensations:
            if compensation.changed:
                self._save_compensation(compensation)

    def _save_step(self, view: StepView, *, current: bool, made: list[Step]) -> None:
        row = self.steps.get((view.name, view.round))
        before = StepState(row.state) if row else StepState.PENDING
        after = view.state if current else HISTORY.get(view.state, StepState.SUPERSEDED)
        values = self._values(view, row)
        values |= {"state": after, "current": current}
        if row is None:
            kind = self.definition.steps[view.name].kind
            row = Step(run=self.run, name=view.name, round=view.round, kind=kind, **values)
            self.steps[view.name, view.round] = row
            made.append(row)
        else:
            Step.objects.filter(pk=row.pk).update(**values)
            for name, value in values.items():
                setattr(row, name, value)
        view.changed = False
        self._note(row, before, [view.state, after] if view.state not in (before, StepState.OPEN) else [after])

    def _values(self, view: StepView, row: Step | None) -> dict[str, Any]:
        values: dict[str, Any] = {name: getattr(view, name) for name in COUNTERS}
        if view.output is not UNSET:
            values["output"], view.output = view.output, UNSET
        if view.items is not UNSET:
            values["items"], view.items = view.items, UNSET
        if row is None and view.state not in (StepState.SKIPPED, StepState.DEAD):
            values["opened_at"] = self.now
        if view.state not in (StepState.OPEN, StepState.PENDING) and (row is None or row.finished_at is None):
            values["finished_at"] = self.now
        return values

    def _note(self, row: Step, before: StepState, states: list[StepState]) -> None:
        for state in dict.fromkeys(states):
            if state != before:
                self.changes.append(Change(row, str(state), self._step_payload(row, state)))

    def _step_payload(self, row: Step, state: StepState) -> dict[str, Any]:
        """What the fact of a step needs; times only where it has ended."""
        payload: dict[str, Any] = {
            "run": self.run.pk,
            "workflow": self.run.workflow.slug,
            "name": row.name,
            "round": row.round,
            "kind": row.kind,
            "state": str(state),
        }
        if state == StepState.OPEN:
            return payload
        payload |= {
            "outcome": row.outcome or "",
            "agent": row.agent,
            "queued_at": row.opened_at,
            "started_at": self._started_at(row),
            "finished_at": row.finished_at,
            "attempts": max(row.tries, 1),
            "failed_attempts": row.failures,
            "rework": row.round > 1,
            "by_hand": row.by_hand,
            "overdue": row.overdue,
            "items": row.total,
            "error": row.error,
        }
        return payload

    def _started_at(self, row: Step) -> Any:
        """When the first agent took it; when it opened, for what agents do not do."""
        if row.kind != Kind.AGENT or not row.tries:
            return row.opened_at
        if row.tries == 1 and self.tried and (self.tried.step, self.tried.round) == (row.name, row.round):
            return self.tried.claimed_at
        tries = Attempt.objects.filter(run=self.run, step=row.name, round=row.round)
        return tries.aggregate(first=Min("claimed_at"))["first"] or row.opened_at

    def _save_compensation(self, view: Any) -> None:
        values = {
            "step": view.step,
            "round": view.round,
            "item": view.item,
            "operation": view.operation,
            "parameters": view.parameters,
            "state": view.state,
            "failures": view.failures,
            "error": view.error,
        }
        row, _ = Compensation.objects.update_or_create(run=self.run, position=view.position, defaults=values)
        view.changed = False
        self.changes.append(Change(row, str(view.state), {"operation": view.operation, "step": view.step}))

    def close(self, view: RunView) -> None:
        """Write the run, if it still is as it was read, and the entries of everything that moved."""
        run = self.run
        before = run.state
        values: dict[str, Any] = {"state": view.state, "seq": run.seq + 1, **notes_of(view)}
        if view.state in RUN_FINAL:
            values |= {
                "outcome": view.outcome or "",
                "output": view.output,
                "error": view.error,
                "finished_at": self.now,
            }
        elif view.error is not None:
            values["error"] = view.error
        if run.started_at is None and view.steps:
            values["started_at"] = self.now
        if Run.objects.filter(pk=run.pk, seq=run.seq).update(**values) != 1:
            raise ConflictError(state=before)
        for name, value in values.items():
            setattr(run, name, value)
        if view.state != before:
            self.changes.append(Change(run, str(view.state), run_payload(run, self.definition)))
        self.tell()

    def tell(self) -> None:
        """Write the entries of what has moved so far, before what follows from it writes its own."""
        if self.changes:
            record_many(self.actor, self._marked(), trail=self.run.pk, unit=self.run.unit_id)
        self.changes = []

    def _marked(self) -> list[Change]:
        """The changes with marks in what went wrong, where words of agents and systems may quote what is classed."""
        if not any(change.payload.get("error") for change in self.changes):
            return self.changes
        veil = marks_of(self.run)
        return [
            replace(change, payload={**change.payload, "error": veil.over(change.payload["error"])})
            if change.payload.get("error")
            else change
            for change in self.changes
        ]


def run_payload(run: Run, definition: Definition) -> dict[str, Any]:
    """What the fact of a run needs. ``started_at`` is None of one whose first step has not begun: it stands in line."""
    return {
        "workflow": run.workflow.slug,
        "version": number_of_version(run.version_id),
        "unit_id": run.unit_id,
        "key": run.key or "",
        "state": str(run.state),
        "outcome": run.outcome,
        "error_class": (run.error or {}).get("code", "") if run.state == RunState.FAILED else "",
        "error": run.error,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "sla_ms": definition.sla.after_s * 1000 if definition.sla else None,
        "paused_ms": run.paused_s * 1000,
        "started_by": run.started_by.username,
        "simulated": run.simulated,
    }
