"""What a run waits for, step by step: people, agents, systems, its turn."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q

from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.workflows.models import Attempt, Compensation, Exclusive, Run, Step, Task, Timer
from apps.workflows.rules.states import AttemptState, CompensationState, RunState, StepState, TaskState, TimerKind


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that a run waits for. ``kind``: people, agent, operation, key, person_to_resume.

    Of an operation that is tried again at ``due_at`` the state is ``scheduled``, and ``action`` the try that failed:
    what was wrong is told there, as far as its reader may see it.
    """

    kind: str
    step: str = ""
    what: str = ""
    since: datetime | None = None
    due_at: datetime | None = None
    queues: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    escalation: UUID | None = None
    action: UUID | None = None
    state: str = ""

    def as_json(self) -> dict[str, Any]:
        """Only what it says."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None, [])}


def waiting_for(actor: User, run: Run) -> list[Waiting]:
    """What ``run`` (fetched through ``run_for``) waits for now; nothing when it is over."""
    return waiting_of(actor, [run])[run.pk]


def waiting_of(actor: User, runs: Sequence[Run]) -> dict[UUID, list[Waiting]]:
    """What each of these runs (seen by ``actor``) waits for now; as many questions to the database as for one."""
    assert actor.is_active
    found: dict[UUID, list[Waiting]] = {run.pk: [] for run in runs}
    opened = [run for run in runs if not run.is_over]
    if not opened:
        return found
    ids = [run.pk for run in opened]
    for run_id, waiting in chain(_run_waits(opened), _people(ids)):
        found[run_id].append(waiting)
    asked = {(run_id, waiting.step) for run_id, some in found.items() for waiting in some if waiting.kind == "people"}
    for run_id, waiting in _agents(ids):
        found[run_id].append(waiting)
    for run_id, waiting in _operations(ids):
        # A step whose action people weigh waits for them, not for the system.
        if (run_id, waiting.step) not in asked:
            found[run_id].append(waiting)
    for run_id, waiting in _tries(ids):
        found[run_id].append(waiting)
    return found


type Waitings = Iterator[tuple[UUID, Waiting]]


def _run_waits(runs: Sequence[Run]) -> Waitings:
    in_line = [run for run in runs if run.state != RunState.PAUSED and run.started_at is None and run.exclusive]
    keys = {run.exclusive for run in in_line}
    held = dict(Exclusive.objects.filter(key__in=keys, holds=True).values_list("key", "run_id")) if keys else {}
    for run in runs:
        if run.state == RunState.PAUSED:
            yield run.pk, Waiting("person_to_resume", since=run.paused_at)
    for run in in_line:
        holder = held.get(run.exclusive)
        state = str(holder) if holder and holder != run.pk else ""
        yield run.pk, Waiting("key", what=run.exclusive, since=run.created_at, state=state)


def _people(ids: Sequence[UUID]) -> Waitings:
    items = (
        Escalation.objects.filter(run_id__any_of=ids, state__in=["pending", "held"])
        .prefetch_related("groups__queue")
        .order_by("due_at")
    )
    for item in items:
        assert item.run_id is not None
        yield (
            item.run_id,
            Waiting(
                "people",
                step=item.step,
                what=item.kind,
                since=item.created_at,
                due_at=item.due_at,
                queues=[group.queue.slug for group in item.groups.all()],
                escalation=item.pk,
                state=item.state,
            ),
        )


def _agents(ids: Sequence[UUID]) -> Waitings:
    open_ones = Q(state__in=[TaskState.READY, TaskState.CLAIMED, TaskState.SCHEDULED])
    rows = (
        Task.objects.filter(open_ones, run__in=ids)
        .values("run_id", "step", "capability")
        .annotate(
            since=Min("created_at"),
            offered=Count("id", filter=Q(state=TaskState.READY)),
            claimed=Count("id", filter=Q(state=TaskState.CLAIMED)),
        )
        .order_by("step")
    )
    holders: dict[tuple[UUID, str], list[str]] = {}
    claimed = Task.objects.filter(run__in=ids, state=TaskState.CLAIMED)
    for run_id, step, slug in claimed.values_list("run_id", "step", "agent__slug").distinct():
        holders.setdefault((run_id, step), []).append(str(slug))
    for row in rows:
        yield (
            row["run_id"],
            Waiting(
                "agent",
                step=row["step"],
                what=row["capability"],
                since=row["since"],
                agents=holders.get((row["run_id"], row["step"]), []),
                state="claimed" if row["claimed"] else "offered" if row["offered"] else "scheduled",
            ),
        )


def _operations(ids: Sequence[UUID]) -> Waitings:
    steps = Step.objects.filter(run__in=ids, current=True, state=StepState.OPEN)
    opened = set(steps.values_list("run_id", "name", "round"))
    taking = Compensation.objects.filter(run__in=ids, state=CompensationState.OPEN)
    taking_back = set(taking.values_list("action_id", flat=True))
    actions = Action.objects.filter(run_id__any_of=ids, agent=None).exclude(state__in=FINAL_ACTIONS).order_by("id")
    for action in actions:
        if (action.run_id, action.step, action.round) in opened or action.pk in taking_back:
            assert action.run_id is not None
            yield (
                action.run_id,
                Waiting(
                    "operation",
                    step=action.step,
                    what=action.operation,
                    since=action.created_at,
                    action=action.pk,
                    state=action.state,
                ),
            )


def _tries(ids: Sequence[UUID]) -> Waitings:
    """Operations that failed, or that a halt stopped, and are asked for again at a time."""
    timers = Timer.objects.filter(run__in=ids, kind=TimerKind.RETRY)
    rows = list(timers.values("run_id", "step").annotate(next_at=Min("fire_at"), since=Min("created_at")))
    if not rows:
        return
    again = {row["run_id"] for row in rows}
    failed = Attempt.objects.filter(run__in=again, state=AttemptState.FAILED).exclude(action_id=None).order_by("id")
    last = {(run_id, step): action_id for run_id, step, action_id in failed.values_list("run_id", "step", "action_id")}
    for row in rows:
        yield (
            row["run_id"],
            Waiting(
                "operation",
                step=row["step"],
                since=row["since"],
                due_at=row["next_at"],
                action=last.get((row["run_id"], row["step"])),
                state="scheduled",
            ),
        )
