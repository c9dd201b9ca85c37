"""What the clock brings: leases that ran out, waits that are over, timers that are due. Safe anywhere, at any time."""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.audit.services import Change, record_many
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.workflows.models import Attempt, Run, Task, Timer
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import RUN_FINAL, AttemptState, RunState, TaskState, TimerKind
from apps.workflows.services.engine import advance_run, locked_run
from apps.workflows.services.engine.ending import attempt_of
from apps.workflows.services.tasks.outcomes import end_try

MAX_LOSSES = 5
"""So often may a task's holder vanish before the task itself is suspected."""
BATCH = 500


def expire_leases() -> int:
    """Take tasks back from holders that fell silent, and end tries that took too long; how many."""
    plane = system_user("plane")
    late = Task.objects.filter(state=TaskState.CLAIMED, lease_until__lte=ClockTimestamp())
    given_back = _give_back(plane)
    return given_back + _each_run(late, lambda run_id: _end_late(plane, run_id))


@transaction.atomic
def _give_back(plane: User) -> int:
    """The ordinary case needs no run: the task goes back to the queue, its next holder gets the next fence."""
    rows = (
        Task.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(state=TaskState.CLAIMED, lease_until__lte=ClockTimestamp(), losses__lt=MAX_LOSSES)
        .exclude(timeout_at__lte=ClockTimestamp())
        .exclude(run__state=RunState.PAUSED)
        .order_by("lease_until")
    )
    tasks = list(rows[:BATCH])
    Attempt.objects.bulk_create(attempt_of(task, AttemptState.LOST) for task in tasks)
    Task.objects.filter(pk__in=[task.pk for task in tasks]).update(
        state=TaskState.READY,
        agent=None,
        version=None,
        lease_until=None,
        claimed_at=None,
        timeout_at=None,
        losses=F("losses") + 1,
        number=F("number") + 1,
    )
    record_many(
        plane, [Change(task, "lost", {"step": task.step, "item": task.item, "try": task.number}) for task in tasks]
    )
    return len(tasks)


def _each_run(rows: "QuerySet[Task] | QuerySet[Timer]", take: Callable[[UUID], int]) -> int:
    ids = list(rows.values_list("run_id", flat=True).order_by("run_id").distinct()[:BATCH])
    return sum(take(run_id) for run_id in ids)


@transaction.atomic
def _end_late(plane: User, run_id: UUID) -> int:
    """Tries beyond their time, tasks whose holders vanished too often, and holders that vanished in a paused run."""
    run = locked_run(run_id)
    done = 0
    while late := _late_task(run):
        done += 1
        task, timed_out = late
        if timed_out or task.losses >= MAX_LOSSES:
            code = "timeout" if timed_out else "lease_lost"
            message = f"No answer within {task.timeout_s} s." if timed_out else "Its holders vanished too often."
            attempt = attempt_of(task, AttemptState.FAILED if timed_out else AttemptState.LOST)
            attempt.error = {"code": code, "message": message}
            attempt.save(force_insert=True)
            payload = {"step": task.step, "item": task.item, "code": code}
            record_many(plane, [Change(task, "failed", payload)])
            run = end_try(plane, run, task, code=code, message=message, retryable=timed_out)
        else:
            attempt_of(task, AttemptState.LOST).save(force_insert=True)
            record_many(plane, [Change(task, "lost", {"step": task.step, "item": task.item, "try": task.number})])
            _put_aside(task)
    return done


def _late_task(run: Run) -> tuple[Task, bool] | None:
    """The next task of the run whose try is over, and whether its time is."""
    if run.is_over:
        return None
    late = Q(lease_until__lte=ClockTimestamp())
    needs_run = Q(timeout_at__lte=ClockTimestamp()) | Q(losses__gte=MAX_LOSSES) | Q(run__state=RunState.PAUSED)
    rows = Task.objects.select_for_update(of=("self",)).filter(late, needs_run, run=run, state=TaskState.CLAIMED)
    task = rows.select_related("agent", "workflow").order_by("id").first()
    if task is None:
        return None
    return task, Task.objects.filter(pk=task.pk, timeout_at__lte=ClockTimestamp()).exists()


def _put_aside(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.BLOCKED,
        paused_from=TaskState.READY,
        agent=None,
        version=None,
        lease_until=None,
        claimed_at=None,
        timeout_at=None,
        losses=F("losses") + 1,
        number=F("number") + 1,
    )


@transaction.atomic
def offer_scheduled() -> int:
    """Offer the tasks whose wait is over; how many."""
    rows = Task.objects.select_for_update(of=("self",), skip_locked=True).filter(
        state=TaskState.SCHEDULED, not_before__lte=ClockTimestamp()
    )
    tasks = list(rows.order_by("not_before")[:BATCH])
    Task.objects.filter(pk__in=[task.pk for task in tasks]).update(state=TaskState.READY, not_before=None)
    payloads = [Change(task, "ready", {"step": task.step, "item": task.item, "try": task.number}) for task in tasks]
    record_many(system_user("plane"), payloads)
    return len(tasks)


def fire_timers() -> int:
    """Let what is due happen, run by run; how many timers fired. Those of paused runs wait."""
    plane = system_user("plane")
    due = Timer.objects.filter(fire_at__lte=ClockTimestamp()).exclude(run__state=RunState.PAUSED)
    return _each_run(due, lambda run_id: _fire(plane, run_id))


@transaction.atomic
def _fire(plane: User, run_id: UUID) -> int:
    run = locked_run(run_id)
    if run.state == RunState.PAUSED:
        return 0
    timers = list(Timer.objects.filter(run=run, fire_at__lte=ClockTimestamp()).order_by("fire_at", "id"))
    Timer.objects.filter(pk__in=[timer.pk for timer in timers]).delete()
    if run.state in RUN_FINAL:
        return 0
    if any(timer.kind == TimerKind.SLA for timer in timers) and run.overdue_at is None:
        Run.objects.filter(pk=run.pk).update(overdue_at=ClockTimestamp())
        record_many(plane, [Change(run, "run.overdue", {"workflow": run.workflow.slug, "due_at": run.due_at})])
    events = [on.TimerFired(TimerKind(timer.kind), timer.step, timer.round, timer.item) for timer in timers]
    if events:
        advance_run(plane, run=run, events=events)
    return len(timers)
