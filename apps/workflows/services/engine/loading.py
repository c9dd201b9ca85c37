"""A run as the planner sees it, read from its rows. What may be large is read when an expression asks for it."""

from collections.abc import Iterator, MutableMapping
from typing import Any, override
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.core.errors import NotFoundError
from apps.core.models import ClockTimestamp
from apps.workflows.models import Attempt, Compensation, Run, Step
from apps.workflows.rules.planner.state import CompensationView, RunView, StepView, Unwind
from apps.workflows.rules.states import AttemptState, CompensationState, RunState, StepState, Unwinding

LATER = ("output", "items")
COUNTERS = (
    "outcome", "total", "pending", "done", "dropped", "offered", "place", "with_people", "stopping", "asked", "timed",
    "overdue", "by_hand", "tries", "failures", "agent", "error",
)  # fmt: skip
"""Columns of a step that the planner reads and writes under the same names."""


def locked_run(run_id: UUID) -> Run:
    """The run under its lock: whoever advances a run takes it first. Raises NotFoundError."""
    found = runs().select_for_update(of=("self",)).filter(pk=run_id).first()
    if found is None:
        raise NotFoundError
    return found


def runs() -> QuerySet[Run]:
    """Runs with what the engine needs of their neighbours."""
    return Run.objects.select_related("workflow", "unit", "started_by", "on_behalf_of").defer("output")


class Later[V](MutableMapping[str, V]):
    """A column of the current rounds by step name, read at first use; what is set in memory comes first."""

    def __init__(self, rows: dict[str, UUID], column: str) -> None:
        self._rows, self._column = rows, column
        self._known: dict[str, V] = {}

    @override
    def __getitem__(self, name: str) -> V:
        if name not in self._known:
            step_id = self._rows[name]
            self._known[name] = Step.objects.values_list(self._column, flat=True).get(pk=step_id)
        return self._known[name]

    @override
    def __setitem__(self, name: str, value: V) -> None:
        self._known[name] = value

    @override
    def __delitem__(self, name: str) -> None:
        known = name in self._known
        self._known.pop(name, None)
        if self._rows.pop(name, None) is None and not known:
            raise KeyError(name)

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._known or name in self._rows

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._rows.keys() | self._known.keys())

    @override
    def __len__(self) -> int:
        return len(self._rows.keys() | self._known.keys())


def view_of(run: Run) -> tuple[RunView, dict[tuple[str, int], Step], Any]:
    """The planner's state, the rows behind it by (name, round), and the database's time, all under the run's lock."""
    rows = list(Step.objects.filter(run=run).defer(*LATER).annotate(now=ClockTimestamp()))
    view = RunView(facts_of(run), run.input, RunState(run.state), error=run.error)
    view.unwinding = [_unwind(note) for note in run.unwinding]
    view.taken = {(name, outcome): times for name, outcome, times in run.taken}
    outputs: dict[str, UUID] = {}
    for row in rows:
        view.rounds[row.name] = max(view.rounds.get(row.name, 0), row.round)
        view.places = max(view.places, row.place)
        if row.current:
            view.steps[row.name] = _step(row)
            if row.state in (StepState.DONE, StepState.FAILED):
                outputs[row.name] = row.pk
    view.outputs = Later(outputs, "output")
    view.items = Later({row.name: row.pk for row in rows if row.current and row.total is not None}, "items")
    view.item_outputs = _ItemOutputs(run.pk)
    if run.unwinding or run.taken:
        view.compensations = [_compensation(row) for row in Compensation.objects.filter(run=run).order_by("position")]
    now = rows[0].now if rows else _now()
    return view, {(row.name, row.round): row for row in rows}, now


def facts_of(run: Run) -> dict[str, str]:
    """What expressions see as ``run``."""
    return {
        "id": str(run.pk),
        "workflow": run.workflow.slug,
        "key": run.key or "",
        "started_by": run.started_by.username,
        "on_behalf_of": run.on_behalf_of.username if run.on_behalf_of else "",
        "unit": run.unit.slug,
        "started_at": run.started_at.isoformat() if run.started_at else "",
    }


def notes_of(view: RunView) -> dict[str, Any]:
    """The planner's notes as the run keeps them."""
    return {
        "unwinding": [
            {
                "kind": unwind.kind.value,
                "region": sorted(unwind.region),
                "cause": unwind.cause,
                "planned": unwind.planned,
                "error": unwind.error,
            }
            for unwind in view.unwinding
        ],
        "taken": sorted([name, outcome, times] for (name, outcome), times in view.taken.items()),
    }


def _now() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def _unwind(note: dict[str, Any]) -> Unwind:
    return Unwind(Unwinding(note["kind"]), frozenset(note["region"]), note["cause"], note["planned"], note.get("error"))


def _step(row: Step) -> StepView:
    view = StepView(row.name, row.round, StepState(row.state), changed=False)
    for name in COUNTERS:
        setattr(view, name, getattr(row, name))
    return view


def _compensation(row: Compensation) -> CompensationView:
    return CompensationView(
        row.position, row.step, row.round, row.item, row.operation, row.parameters,
        CompensationState(row.state), row.failures, row.error, changed=False,
    )  # fmt: skip


class _ItemOutputs:
    """Outputs of the done items of a round, in item order."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id

    def __call__(self, step: str, round_: int) -> list[tuple[int, Any]]:
        return list(
            Attempt.objects.filter(run=self._run_id, step=step, round=round_, state=AttemptState.DONE)
            .order_by("item")
            .values_list("item", "output")
        )
