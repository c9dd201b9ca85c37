"""What must hold when things happen at once, or stop half-way: each transition once, nothing lost, counters right."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from apps.access.models import Queue
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.core.errors import ConflictError, DomainError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.oversight.services import cast_vote, expire_escalations, mark_overdue
from apps.workflows.models import Attempt, Exclusive, Run, Step, Task, Timer
from apps.workflows.services import (
    cancel_run,
    claim_tasks,
    complete_task,
    expire_leases,
    fire_timers,
    pause_run,
    raise_forgotten,
    resume_run,
    start_run,
)
from tests.factories.access import make_approver, make_calendar, make_holder, make_queue
from tests.factories.workflows import (
    decide,
    deliver_all,
    make_run,
    make_worker,
    make_workflow,
    open_item,
    permit_workflow,
)

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
kind: Workflow
slug: look
name: Look
unit: lab
input: {type: object, properties: {names: {type: array}, n: {type: integer}}}
"""
ONE = f"{LOOK}key: \"'n:' + string(input.n)\"\nsteps:\n  a: {{agent: lab.do}}\n"
MANY = f"{LOOK}steps:\n  a: {{for_each: input.names, agent: lab.do, with: {{name: item}}}}\n"


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What ``act`` gave or raised, called ``count`` times at the same moment."""
    gate = Barrier(count)

    def call(number: int) -> Any:
        try:
            gate.wait()
            return act(number)
        except DomainError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def counters_equal_a_recount(run: Run) -> None:
    """Every step's counters say what its attempts say; a run that is over has nothing left."""
    run.refresh_from_db()
    for step in Step.objects.filter(run=run, total__isnull=False):
        done = Attempt.objects.filter(run=run, step=step.name, round=step.round, state="done").count()
        assert step.done == done or (step.state == "done" and step.done <= done)
    if run.is_over:
        assert not Task.objects.filter(run=run).exists()
        assert not Timer.objects.filter(run=run).exists()
        assert Entry.objects.filter(trail_id=run.pk, name=f"run.{run.state}").count() == 1


@pytest.mark.usefixtures("real_db")
def test_two_starts_with_one_key_make_one_run() -> None:
    workflow = make_workflow(ONE)
    person = make_holder("workflows.start_run")
    said = at_once(6, lambda _: start_run(person, workflow=workflow.slug, input={"n": 1}))
    runs = [answer for answer in said if isinstance(answer, Run)]
    codes = [answer.code for answer in said if isinstance(answer, ConflictError)]
    assert (len(runs), codes) == (1, ["duplicate_key"] * 5)
    assert {error.members["run"] for error in said if isinstance(error, ConflictError)} == {str(runs[0].pk)}
    assert Run.objects.count() == 1


@pytest.mark.usefixtures("real_db")
def test_the_same_completion_eight_times_at_once_is_one() -> None:
    workflow = make_workflow(ONE)
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {"n": 1})
    (task,) = claim_tasks(agent.user)
    said = at_once(8, lambda _: complete_task(agent.user, task_id=task.pk, lease="1", output={"x": 1}))
    assert {answer.state for answer in said} == {"succeeded"}
    assert Attempt.objects.count() == 1
    counters_equal_a_recount(run)


@pytest.mark.usefixtures("real_db")
def test_different_completions_at_once_have_one_winner() -> None:
    workflow = make_workflow(ONE)
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {"n": 1})
    (task,) = claim_tasks(agent.user)
    said = at_once(6, lambda n: complete_task(agent.user, task_id=task.pk, lease="1", output={"x": n}))
    conflicts = [answer.code for answer in said if isinstance(answer, ConflictError)]
    assert conflicts == ["completion_conflict"] * 5
    assert Attempt.objects.filter(state="done").count() == 1
    counters_equal_a_recount(run)


@pytest.mark.usefixtures("real_db")
def test_fifty_agents_claim_a_thousand_tasks_each_once() -> None:
    workflow = make_workflow(MANY)
    agents = [make_worker(workflow, "lab.do", limits={"max_concurrent": 100}) for _ in range(50)]
    run = make_run(workflow, {"names": list(range(1000))})
    held: Counter[Any] = Counter()

    def work(agent: Agent) -> list[Any]:
        try:
            found: list[Any] = []
            while batch := claim_tasks(agent.user, limit=7):
                found += [task.pk for task in batch]
            return found
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        for ids in pool.map(work, agents):
            held.update(ids)
    assert len(held) == 1000
    assert set(held.values()) == {1}
    assert Task.objects.filter(run=run, state="claimed", fence=1).count() == 1000


@pytest.mark.usefixtures("real_db")
def test_no_agent_exceeds_its_limit_however_it_asks() -> None:
    workflow = make_workflow(MANY)
    agent = make_worker(workflow, "lab.do", limits={"max_concurrent": 5})
    make_run(workflow, {"names": list(range(40))})
    said = at_once(8, lambda _: claim_tasks(agent.user, limit=4))
    assert sum(len(batch) for batch in said) == 5
    assert Task.objects.filter(state="claimed").count() == 5


@pytest.mark.usefixtures("real_db")
def test_items_completed_at_once_join_once() -> None:
    workflow = make_workflow(MANY)
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {"names": list(range(8))})
    tasks = claim_tasks(agent.user, limit=8)
    at_once(
        8,
        lambda n: complete_task(agent.user, task_id=tasks[n].pk, lease="1", output=tasks[n].item),
    )
    run.refresh_from_db()
    assert (run.state, run.output) == ("succeeded", {"a": list(range(8))})
    counters_equal_a_recount(run)


@pytest.mark.usefixtures("real_db")
def test_a_timer_and_the_last_completion_at_once_close_the_join_once() -> None:
    join = "join: {min: 2, within: 1h}, on_error: {then: continue}"
    workflow = make_workflow(f"{LOOK}steps:\n  a: {{for_each: input.names, agent: lab.do, {join}}}\n")
    agent = make_worker(workflow, "lab.do")
    for _ in range(4):
        run = make_run(workflow, {"names": [1, 2]})
        first, second = claim_tasks(agent.user, limit=2)
        complete_task(agent.user, task_id=first.pk, lease="1", output=1)
        Timer.objects.filter(run=run).update(fire_at=ClockTimestamp())

        def act(n: int, task: Task = second) -> Any:
            return fire_timers() if n else complete_task(agent.user, task_id=task.pk, lease="1", output=2)

        at_once(2, act)
        step = Step.objects.get(run=run)
        assert (step.state, step.outcome) in {("done", "done"), ("failed", "continued")}
        assert Entry.objects.filter(trail_id=run.pk, name__in=["step.done", "step.failed"]).count() == 1
        counters_equal_a_recount(run)
        assert run.state == "succeeded"


@pytest.mark.usefixtures("real_db")
def test_an_approval_and_a_cancel_at_once_leave_one_end() -> None:
    workflow = make_workflow(
        f"{LOOK}steps:\n  a: {{approval: {{subject: '1'}}, queue: clerks, due: {{after: 1h}}}}\n"
        "  b: {needs: [a], agent: lab.do}\n"
    )
    operator = make_holder("workflows.view_run", "workflows.operate_run")
    clerk = None
    for _ in range(4):
        run = make_run(workflow, {})
        item = open_item(run, "a")
        clerk = clerk or make_approver(item.groups.get().queue)

        def act(n: int, run_id: Any = run.pk, item_id: Any = item.pk, voter: Any = clerk) -> Any:
            if n:
                return cancel_run(operator, run_id=run_id, reason="Enough.")
            return cast_vote(voter, escalation_id=item_id, verdict="approve", version=1)

        at_once(2, act)
        deliver_all()
        run.refresh_from_db()
        assert run.state == "cancelled"
        assert not Step.objects.filter(run=run, state="open").exists()
        counters_equal_a_recount(run)


@pytest.mark.usefixtures("real_db")
def test_the_next_in_line_starts_when_the_holder_of_the_key_ends() -> None:
    workflow = make_workflow(f"{LOOK}exclusive: \"'one'\"\nsteps:\n  a: {{agent: lab.do}}\n")
    agent = make_worker(workflow, "lab.do")
    person = make_holder("workflows.start_run", "workflows.view_run", "workflows.operate_run")
    runs = at_once(4, lambda _: start_run(person, workflow=workflow.slug, input={}))
    for left in (4, 3, 2, 1):
        assert Exclusive.objects.filter(holds=True).count() == 1
        assert Task.objects.count() == 1  # one at a time
        waiting = Run.objects.filter(started_at=None, state="waiting")
        assert waiting.count() == left - 1
        if left == 3:
            cancel_run(person, run_id=waiting.earliest("id").pk, reason="Not needed.")  # leaves the line
            continue
        (task,) = claim_tasks(agent.user)
        complete_task(agent.user, task_id=task.pk, lease="1", output=None)
        deliver_all()
        if left == 2:
            break
    (task,) = claim_tasks(agent.user) or [None]
    if task:
        complete_task(agent.user, task_id=task.pk, lease="1", output=None)
        deliver_all()
    states = Counter(Run.objects.filter(pk__in=[run.pk for run in runs]).values_list("state", flat=True))
    assert states == {"succeeded": 3, "cancelled": 1}
    assert Exclusive.objects.count() == 0


def test_a_worker_killed_before_its_commit_changes_nothing_and_the_task_is_done_by_another(real_db: str) -> None:
    workflow = make_workflow(ONE)
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {"n": 1})
    (task,) = claim_tasks(agent.user)
    code = f"""
        import time, django
        django.setup()
        from django.db import transaction
        from apps.agents.models import Agent
        from apps.workflows.services import complete_task
        agent = Agent.objects.select_related("user").get(slug={agent.slug!r})
        with transaction.atomic():
            complete_task(agent.user, task_id={str(task.pk)!r}, lease="1", output={{"x": 1}})
            print("done, not committed", flush=True)
            time.sleep(60)
    """
    environment = {**os.environ, "DATABASE_URL": real_db, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    environment |= {"REDIS_URL": settings.REDIS_URL}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "done, not committed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run.refresh_from_db()
    assert (run.state, Task.objects.get().state) == ("running", "claimed")
    assert not Attempt.objects.exists()
    Task.objects.update(lease_until=ClockTimestamp())
    assert expire_leases() == 1
    second = make_worker(workflow, "lab.do")
    (again,) = claim_tasks(second.user)
    assert complete_task(second.user, task_id=again.pk, lease=str(again.fence), output={"x": 2}).state == "succeeded"
    counters_equal_a_recount(run)


@pytest.mark.django_db
def test_a_task_whose_holders_keep_vanishing_stops_at_its_maximum() -> None:
    workflow = make_workflow(f"{LOOK}steps:\n  a: {{agent: lab.do, on_error: {{then: fail}}}}\n")
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {})
    for _ in range(6):
        (task,) = claim_tasks(agent.user)
        Task.objects.update(lease_until=ClockTimestamp())
        expire_leases()
    run.refresh_from_db()
    assert (run.state, run.error["code"]) == ("failed", "lease_lost")
    assert Attempt.objects.filter(state="lost").count() == 6
    assert task.number == 6


@pytest.mark.django_db
def test_a_try_beyond_its_time_is_a_failed_try() -> None:
    workflow = make_workflow(
        f"{LOOK}steps:\n  a: {{agent: lab.do, timeout: 30s, retry: {{max: 1, delay: 1s}}, on_error: {{then: fail}}}}\n"
    )
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {})
    (task,) = claim_tasks(agent.user)
    assert task.lease_until <= task.timeout_at  # no lease outlives its try
    for _ in range(2):
        Task.objects.update(lease_until=ClockTimestamp(), timeout_at=ClockTimestamp())
        assert expire_leases() == 1
        Task.objects.update(state="ready", not_before=None)
        claim_tasks(agent.user)
    run.refresh_from_db()
    assert (run.state, run.error["code"]) == ("failed", "timeout")


@pytest.mark.django_db
def test_thousands_of_timers_due_after_a_downtime_fire_once() -> None:
    workflow = make_workflow(f"{LOOK}sla: {{after: 1h}}\nsteps:\n  a: {{agent: lab.do}}\n")
    runs = [make_run(workflow, {}) for _ in range(20)]
    Timer.objects.update(fire_at=ClockTimestamp())
    assert fire_timers() == 20
    assert fire_timers() == 0
    assert Run.objects.filter(pk__in=[run.pk for run in runs], overdue_at__isnull=False).count() == 20


@pytest.mark.django_db
def test_losing_a_permission_ends_the_next_claim_not_the_task_in_hand() -> None:
    workflow = make_workflow(MANY)
    agent = make_worker(workflow, "lab.do")
    make_run(workflow, {"names": [1, 2]})
    (task,) = claim_tasks(agent.user)
    workflow.permissions.all().delete()
    assert claim_tasks(agent.user) == []
    assert complete_task(agent.user, task_id=task.pk, lease="1", output=1).state == "running"
    permit_workflow(agent, workflow, until=ClockTimestamp())
    assert claim_tasks(agent.user) == []  # a permission that has ended


@pytest.mark.django_db
def test_a_version_and_an_attempt_cannot_be_changed() -> None:
    from django.db import IntegrityError, transaction

    workflow = make_workflow(ONE)
    agent = make_worker(workflow, "lab.do")
    make_run(workflow, {"n": 1})
    (task,) = claim_tasks(agent.user)
    complete_task(agent.user, task_id=task.pk, lease="1", output=1)
    for statement in (
        "UPDATE workflows_workflowversion SET source = ''",
        "DELETE FROM workflows_workflowversion",
        "UPDATE workflows_attempt SET output = '2'",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert system_user("plane")


@pytest.mark.django_db
def test_work_that_nobody_takes_is_told_once_and_a_claim_closes_it() -> None:
    workflow = make_workflow(f"{LOOK}sla: {{after: 1d, to: clerks}}\nsteps:\n  a: {{agent: lab.do}}\n")
    for _ in range(3):
        make_run(workflow, {})
    assert raise_forgotten() == 0  # not late yet
    Task.objects.update(order_at=ClockTimestamp() - timedelta(seconds=670))
    assert raise_forgotten() == 1
    assert raise_forgotten() == 0
    item = Escalation.objects.get(kind="exception")
    assert (item.subject["capability"], item.subject["waiting"], item.state) == ("lab.do", 3, "pending")
    agent = make_worker(workflow, "lab.do")
    assert len(claim_tasks(agent.user)) == 1
    assert raise_forgotten() == 1
    item.refresh_from_db()
    assert item.state == "cancelled"


@pytest.mark.django_db
def test_cancelling_a_paused_run_with_work_handed_in_keeps_one_attempt() -> None:
    workflow = make_workflow(ONE)
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {"n": 1})
    (task,) = claim_tasks(agent.user)
    pause_run(run.started_by, run_id=run.pk, reason="Look.")
    complete_task(agent.user, task_id=task.pk, lease="1", output=1)
    cancel_run(run.started_by, run_id=run.pk, reason="No.")
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert list(Attempt.objects.values_list("state", flat=True)) == ["done"]


@pytest.mark.django_db
def test_a_decision_made_while_a_run_is_paused_counts_once_it_is_resumed() -> None:
    workflow = make_workflow(f"{LOOK}steps:\n  a: {{approval: {{subject: '1'}}, queue: clerks, due: {{after: 1h}}}}\n")
    run = make_run(workflow, {})
    item = open_item(run, "a")
    clerk = make_approver(item.groups.get().queue)
    pause_run(run.started_by, run_id=run.pk, reason="Look.")
    cast_vote(clerk, escalation_id=item.pk, verdict="approve", version=1)
    deliver_all()
    run.refresh_from_db()
    assert run.state == "paused"
    assert resume_run(run.started_by, run_id=run.pk).state == "succeeded"


@pytest.mark.django_db
def test_the_clocks_of_a_paused_run_s_items_rest_and_go_on() -> None:
    due = "due: {after: 1h, then: fail, expires: 2h}"
    workflow = make_workflow(f"{LOOK}steps:\n  a: {{approval: {{subject: '1'}}, queue: clerks, {due}}}\n")
    run = make_run(workflow, {})
    item, timer = open_item(run, "a"), Timer.objects.get(run=run, kind="due")
    pause_run(run.started_by, run_id=run.pk, reason="Look.")
    past = ClockTimestamp() - timedelta(hours=3)
    Escalation.objects.filter(pk=item.pk).update(paused_at=past)
    Run.objects.filter(pk=run.pk).update(paused_at=past)
    assert (expire_escalations(), mark_overdue(), fire_timers()) == (0, 0, 0)
    resume_run(run.started_by, run_id=run.pk)
    now, later = Escalation.objects.get(pk=item.pk), Timer.objects.get(pk=timer.pk)
    assert (now.state, now.paused_at) == ("pending", None)
    for moved in (now.due_at - item.due_at, now.expires_at - item.expires_at, later.fire_at - timer.fire_at):
        assert timedelta() <= moved - timedelta(hours=3) < timedelta(minutes=1)


@pytest.mark.django_db
def test_a_paused_run_that_is_cancelled_counts_the_pause_of_its_items() -> None:
    workflow = make_workflow(f"{LOOK}steps:\n  a: {{approval: {{subject: '1'}}, queue: clerks, due: {{after: 1h}}}}\n")
    run = make_run(workflow, {})
    item = open_item(run, "a")
    pause_run(run.started_by, run_id=run.pk, reason="Look.")
    Escalation.objects.filter(pk=item.pk).update(paused_at=ClockTimestamp() - timedelta(hours=3))
    cancel_run(run.started_by, run_id=run.pk, reason="No.")
    told = Entry.objects.get(name="escalation.cancelled").payload
    assert told["stood_s"] // 60 == 180


@pytest.mark.django_db
def test_a_step_s_time_is_its_queue_s_working_time_for_the_item_and_for_the_timer() -> None:
    due = "due: {after: 2d, then: fail}"
    queue = make_queue(slug="clerks", calendar=make_calendar(hours={"mon": ["09:00-17:00"]}))
    workflow = make_workflow(f"{LOOK}steps:\n  a: {{approval: {{subject: '1'}}, queue: clerks, {due}}}\n")
    run = make_run(workflow, {})
    item, timer = open_item(run, "a"), Timer.objects.get(run=run, kind="due")
    in_two_days = queue.calendar.open_hours().add_days(item.created_at, 2)
    assert abs(item.due_at - in_two_days) < timedelta(seconds=2)
    assert abs(timer.fire_at - item.due_at) < timedelta(minutes=1)


@pytest.mark.django_db
def test_an_expression_that_fails_asks_people_who_may_start_the_step_over() -> None:
    workflow = make_workflow(
        f"{LOOK}steps:\n  a: {{agent: lab.do}}\n"
        "  b: {needs: [a], approval: {subject: steps.a.missing}, queue: clerks, due: {after: 1h}}\n"
    )
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {})
    (task,) = claim_tasks(agent.user)
    complete_task(agent.user, task_id=task.pk, lease="1", output={})
    item = open_item(run, "b")
    clerk = make_approver(item.groups.get().queue)
    decide(item, clerk, "answer", answer={"resolution": "retry"})
    step = Step.objects.get(run=run, name="b", current=True)
    assert (step.round, step.state) == (2, "open")
    decide(open_item(run, "b"), clerk, "answer", answer={"resolution": "skip", "note": "Not needed."})
    run.refresh_from_db()
    assert run.state == "succeeded"


@pytest.mark.django_db
def test_a_queue_that_is_gone_fails_the_step_not_the_agent_s_completion() -> None:
    workflow = make_workflow(
        f"{LOOK}steps:\n  a: {{agent: lab.do}}\n"
        "  b: {needs: [a], approval: {subject: '1'}, queue: clerks, due: {after: 1h}}\n"
    )
    agent = make_worker(workflow, "lab.do")
    run = make_run(workflow, {})
    Queue.objects.filter(slug="clerks").update(slug="renamed")
    (task,) = claim_tasks(agent.user)
    assert complete_task(agent.user, task_id=task.pk, lease="1", output=1).state == "waiting"
    assert open_item(run, "b").kind == "exception"
