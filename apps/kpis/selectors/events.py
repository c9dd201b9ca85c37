"""The runs behind a number as an event log: what was done in each, from when until when, and by whom."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.access.models import BusinessUnit
from apps.core.amounts import exponent_of
from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.kpis.models import RunFact, StepFact
from apps.kpis.rules.definitions import RELEASES, UPTIME, Definition
from apps.kpis.rules.eventlogs.events import Event
from apps.kpis.rules.eventlogs.writing import Trace
from apps.kpis.rules.facts import BY_PEOPLE, PEOPLE, WORKED
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.selectors.kpis import behind_for
from apps.kpis.selectors.reading import runs_for

BATCH = 500
"""Runs that are read at once: the log is never in memory as a whole."""
TOLD = ("workflow", "version", "state", "outcome", "simulated")
"""What the log says of a run as a whole, beside what it cost.

Keys, inputs and outputs are not in it: they may be anything.
"""


def traces_for(actor: User, definition: Definition, asked: KpiFilter) -> Iterator[Trace]:
    """The runs behind a number that ``actor`` may count, oldest first, read in batches. A run without rows is none."""
    return _traces(_runs(actor, definition, asked))


def _runs(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[RunFact]:
    if definition.key in {*UPTIME, *RELEASES}:  # minutes, calls and versions are of no run
        raise NotFoundError
    found, _order = behind_for(actor, definition, asked)
    behind: QuerySet[Any] = found.order_by()
    return runs_for(actor, asked).filter(run_id__in=behind.values("run_id"))


def _traces(runs: QuerySet[RunFact]) -> Iterator[Trace]:
    after: tuple[datetime, UUID] | None = None
    runs = runs.order_by("started_at", "run_id")
    while found := list((runs if after is None else _later(runs, *after))[:BATCH]):
        rows = _rows([run.run_id for run in found])
        units = dict(BusinessUnit.objects.filter(pk__in={run.unit for run in found}).values_list("pk", "slug"))
        for run in found:
            if run.run_id in rows:
                yield _trace(run, rows[run.run_id], units.get(run.unit, "") if run.unit else "")
        after = found[-1].started_at, found[-1].run_id


def _trace(run: RunFact, rows: list[Event], unit: str) -> Trace:
    """With what the run cost as lists of runs show it: whoever may count a run may see that."""
    told = {name: _text(run, name) for name in TOLD}
    cost = Decimal(run.cost_micro) / micro_per_minor(run.currency) / 10 ** exponent_of(run.currency)
    return Trace(str(run.run_id), rows, told, unit, cost, run.currency)


def _later(runs: QuerySet[RunFact], started_at: datetime, run_id: UUID) -> QuerySet[RunFact]:
    same_or_later = runs.filter(started_at__gte=started_at)
    return same_or_later.exclude(started_at=started_at, run_id__lte=run_id)


def _rows(run_ids: Sequence[UUID]) -> dict[UUID, list[Event]]:
    """Rounds of steps by run, in the order of their ends; a round that began after its end took no time."""
    found: dict[UUID, list[Event]] = {}
    steps = StepFact.objects.filter(run_id__in=run_ids, state__in=WORKED).order_by("finished_at", "step_id")
    for step in steps:
        start = min(step.started_at or step.finished_at, step.finished_at)
        who = PEOPLE if step.kind in BY_PEOPLE else step.agent
        found.setdefault(step.run_id, []).append(Event(str(step.run_id), step.name, start, step.finished_at, who))
    return found


def _text(run: RunFact, name: str) -> str:
    value = getattr(run, name)
    return str(value).lower() if isinstance(value, bool) else str(value)
