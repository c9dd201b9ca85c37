"""A halt and every claim, with real commits: what asks while somebody halts waits for them, and then does not start."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction

from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState
from apps.audit.tasks import deliver_reactions
from apps.connectors.models import Effect
from apps.core.errors import HaltedError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.selectors import FENCE, take_fence
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation, Grant, Vote
from apps.oversight.services import release_held
from apps.workflows.models import Run, Task
from apps.workflows.services.actions import halting, perform_action, return_stopped
from apps.workflows.services.actions.carrying_out import _claim as claim_action
from tests.factories.access import make_admin
from tests.factories.workflows import make_workflow, permit_workflow
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, the_action, the_item

pytestmark = pytest.mark.usefixtures("real_db")

LOOK = {"slug": "look", "name": "Look", "steps": {"look": {"agent": "look"}}}
WAITERS = """
SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND objid = %s AND mode = 'ShareLock' AND NOT granted AND datname = current_database()
"""


def while_somebody_halts(command: Callable[[], Any]) -> Any:
    """What ``command`` comes to when it begins before the halt has committed. It must wait for that, and not decide."""

    def run() -> Any:
        try:
            return command()
        finally:
            connections.close_all()

    admin = make_admin()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            engage_halt(admin, scope="everything", reason="odd")
            done = pool.submit(run)
            _wait_for(done)
        return done.result(30)


def _wait_for(done: "Future[Any]") -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        assert not done.done(), f"It went on before the halt had committed: {done.result()}"
        with connection.cursor() as cursor:
            cursor.execute(WAITERS, [FENCE])
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("It neither waited at the fence nor came to an end.")


def worker_desk(**fields: Any) -> Desk:
    """A paying agent that also works in the workflow ``look``."""
    desk = make_desk(**fields)
    workflow = make_workflow(LOOK)
    Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
    permit_workflow(desk.agent, workflow)
    return desk


def test_an_action_that_is_asked_for_meanwhile_is_not_written_down():
    desk = make_desk()
    answer = while_somebody_halts(lambda: desk.ask(50_000))
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (423, "halted", "odd")
    assert not Effect.objects.exists()


def test_an_effect_that_is_claimed_meanwhile_is_not_called(system):
    desk = make_desk(system.url)
    action = desk.ask(50_000).json()

    def claim():
        with pytest.raises(HaltedError):
            perform_action(system_user("plane"), action_id=action["id"])

    while_somebody_halts(claim)
    assert (the_action().state, Effect.objects.get().state) == (ActionState.APPROVED, "prepared")
    assert system.asked == []


def test_a_grant_that_is_consumed_meanwhile_stays_live():
    desk = make_desk(execution="agent")
    action = desk.ask(50_000, execution="agent").json()
    answer = while_somebody_halts(lambda: desk.post(f"actions/{action['id']}/consume/", {"digest": action["digest"]}))
    assert (answer.status_code, answer.json()["code"]) == (423, "halted")
    assert (the_action().state, Grant.objects.get().state) == (ActionState.APPROVED, "live")


def test_a_task_that_is_claimed_meanwhile_stays_on_offer():
    desk = worker_desk()
    desk.post("runs/", {"workflow": "look", "input": {}}, key="run")
    answer = while_somebody_halts(lambda: desk.post("tasks/claim/", {}))
    assert (answer.status_code, answer.json()["code"]) == (423, "halted")
    assert Task.objects.get().state == "ready"


def test_a_run_that_is_started_meanwhile_does_not_start():
    desk = worker_desk()
    answer = while_somebody_halts(lambda: desk.post("runs/", {"workflow": "look", "input": {}}, key="run"))
    assert (answer.status_code, answer.json()["code"]) == (423, "halted")
    assert not Run.objects.exists()


def test_a_vote_that_is_cast_meanwhile_does_not_count():
    desk = make_desk()
    desk.ask(250_000)
    person, item = Person(desk.approver), the_item()
    answer = while_somebody_halts(lambda: person.decide(item))
    assert (answer.status_code, answer.json()["code"]) == (423, "halted")
    assert (the_item().state, Vote.objects.count(), Grant.objects.count()) == ("pending", 0, 0)


def test_a_held_decision_that_is_due_meanwhile_is_not_released():
    desk = make_desk()
    desk.ask(250_000)
    assert Person(desk.approver).decide(the_item(), hold_s=30).json()["state"] == "held"
    Escalation.objects.update(releases_at=ClockTimestamp())
    assert while_somebody_halts(release_held) == 0
    assert (Escalation.objects.get().state, Grant.objects.count()) == ("held", 0)


def test_a_halt_waits_for_the_claim_that_was_there_first(system):
    """The other order: an effect is claimed and not committed; engaging waits until it is."""
    desk = make_desk(system.url)
    desk.ask(50_000)
    admin = make_admin()
    states: list[str] = []

    def engage() -> None:
        try:
            engage_halt(admin, scope="everything", reason="odd")
            states.append(Effect.objects.get().state)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            claim_action(system_user("plane"), the_action().pk)
            done = pool.submit(engage)
            time.sleep(0.3)
            assert not done.done()
        done.result(30)
    assert states == ["claimed"]


def test_what_a_lifted_halt_took_back_shares_the_fence_action_by_action(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk()
    for amount in (210_000, 220_000, 230_000):
        assert desk.ask(amount).status_code == 202
        assert Person(desk.approver).decide(the_item()).status_code == 200
    halt = engage_halt(make_admin(), scope="everything", reason="odd")
    lift_halt(make_admin(), halt_id=halt.pk, reason="It was a test.")
    deliver_reactions()
    transactions = []

    def take_fence_and_say() -> None:
        take_fence()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            transactions.append(cursor.fetchone()[0])

    monkeypatch.setattr(halting, "take_fence", take_fence_and_say)
    assert return_stopped() == 3
    assert len(set(transactions)) == 3
    assert {action.state for action in Action.objects.all()} == {"pending_approval"}
