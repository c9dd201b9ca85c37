"""What runs is what was judged: the operation, its connector, the agent's version. Whatever became of them does not."""

import threading
from dataclasses import fields, replace
from typing import Any

import pytest
from django.db import connection, transaction

from apps.agents.services import save_version
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.services import save_connector, save_operation, set_secret
from apps.core.services import system_user
from apps.oversight.models import Escalation, Grant
from apps.oversight.tasks import sweep_changed, sweep_escalations
from tests.factories.access import make_admin
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import make_desk, the_action, the_item, work

OPERATION = {
    "method": "PUT",
    "path": "/refunds",
    "effect": "write",
    "execution": "both",
    "parameters": {"type": "object"},
    "amount": {"path": "amount_minor", "currency": "EUR"},
    "target": "currency",
    "consequence": "Something.",
    "idempotency": "none",
    "compensation": {"operation": "bank.undo"},
}
CONNECTOR = {
    "base_url": "http://127.0.0.1:1029/elsewhere",
    "auth": {"type": "header", "name": "X-Key"},
    "allow_internal": False,
}


def change_operation(operation: Operation, **values: Any) -> None:
    spec = OperationSpec(**{one.name: getattr(operation, one.name) for one in fields(OperationSpec)})
    console = system_user("console")
    save_operation(console, slug=operation.slug, connector=operation.connector, spec=replace(spec, **values))


def change_connector(operation: Operation, **values: Any) -> None:
    names = ("slug", "name", "base_url", "adapter", "allow_internal", "auth", "unit")
    as_it_is = {name: getattr(operation.connector, name) for name in names}
    save_connector(system_user("console"), **{**as_it_is, **values})


CHANGES = [
    *(pytest.param(change_operation, {name: value}, id=f"operation {name}") for name, value in OPERATION.items()),
    *(pytest.param(change_connector, {name: value}, id=f"connector {name}") for name, value in CONNECTOR.items()),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("change", "values"), CHANGES)
def test_what_changed_before_the_claim_is_not_called(system, change, values):
    desk = make_desk(system.url)
    desk.ask(50_000)
    change(desk.operation, **values)
    work()
    assert (the_action().state, the_action().error["code"]) == ("failed", "operation_changed")
    assert Effect.objects.get().state == "failed"
    assert system.asked == []


@pytest.mark.django_db
@pytest.mark.parametrize(("change", "values"), CHANGES)
def test_nobody_approves_what_changed_meanwhile(system, change, values):
    desk = make_desk(system.url)
    desk.ask(250_000)
    person, item = Person(desk.approver), the_item()
    change(desk.operation, **values)
    for key in ("", "key"):
        answer = person.decide(item, key=key)
        assert (answer.status_code, answer.json()["code"], answer.json()["why"]) == (
            409, "invalidated", "operation_changed",
        )  # fmt: skip
    assert (the_item().state, the_action().state) == ("pending", "pending_approval")
    work()
    now = Escalation.objects.get()
    assert (now.state, now.reason, now.decided_by) == ("invalidated", "operation_changed", None)
    assert (the_action().state, the_action().error["code"]) == ("denied", "operation_changed")
    answer = person.decide(item)
    assert (answer.json()["code"], answer.json()["why"]) == ("invalidated", "operation_changed")
    assert not Grant.objects.exists()
    assert system.asked == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["page", "api"])
def test_a_rejection_of_what_changed_is_refused_too_and_the_page_says_so(path):
    desk = make_desk()
    desk.ask(250_000)
    person, item = Person(desk.approver), the_item()
    change_operation(desk.operation, path="/refunds")
    doors = {"page": person.decide_on_page, "api": person.decide}
    answer = doors[path](item, "reject", reason="No.")
    assert answer.status_code == 409
    assert the_item().live_votes() == []
    if path == "page":
        assert "What was judged has changed; nothing will run." in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("change", "values"), CHANGES[:2] + CHANGES[-3:-1])
def test_an_agent_does_not_consume_what_changed(change, values):
    desk = make_desk(execution="both")
    asked = desk.ask(50_000, execution="agent").json()
    change(desk.operation, **values)
    answer = desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]})
    assert (answer.status_code, answer.json()["code"], answer.json()["why"]) == (
        409, "invalidated", "operation_changed",
    )  # fmt: skip
    assert (the_action().state, the_action().error["code"]) == ("failed", "operation_changed")
    assert Grant.objects.get().state == "revoked"


@pytest.mark.django_db
def test_a_held_approval_of_what_changed_is_not_released():
    desk = make_desk()
    desk.ask(250_000)
    assert Person(desk.approver).decide(the_item(), hold_s=30).json()["state"] == "held"
    change_operation(desk.operation, path="/refunds")
    Escalation.objects.update(releases_at="2026-01-01T00:00:00Z")
    sweep_escalations()
    assert Escalation.objects.get().state == "held"
    work()
    now = Escalation.objects.get()
    assert (now.state, now.reason, now.decided_by) == ("invalidated", "operation_changed", None)
    assert not Grant.objects.exists()


@pytest.mark.django_db
def test_a_new_version_of_the_agent_ends_what_the_old_one_asked_for():
    desk = make_desk()
    desk.ask(250_000)
    person, item = Person(desk.approver), the_item()
    save_version(make_admin(), agent=desk.agent, instructions="Be bolder.")
    answer = person.decide(item)
    assert (answer.status_code, answer.json()["why"]) == (409, "version_superseded")
    work()
    assert (Escalation.objects.get().state, the_action().state) == ("invalidated", "denied")


@pytest.mark.django_db
def test_the_clock_ends_what_was_asked_for_while_it_changed():
    desk, other = make_desk(), make_desk()
    desk.ask(250_000)
    Operation.objects.filter(pk=desk.operation.pk).update(path="/refunds")
    other.ask(250_000)
    assert sweep_changed() == 1
    assert sorted(Escalation.objects.values_list("agent__slug", "state")) == sorted(
        [(desk.agent.slug, "invalidated"), (other.agent.slug, "pending")]
    )
    assert sweep_changed() == 0


@pytest.mark.django_db
def test_names_time_limits_fees_and_secrets_may_change_meanwhile(system):
    desk = make_desk(system.url)
    change_connector(desk.operation, auth={"type": "bearer"})
    desk.operation.connector.refresh_from_db()
    console = system_user("console")
    set_secret(console, connector=desk.operation.connector, secret="first")
    desk.ask(250_000)
    assert Person(desk.approver).decide(the_item()).status_code == 200
    change_operation(desk.operation, name="Pay somebody", timeout_s=9, fee_minor=5)
    change_connector(desk.operation, name="Another bank")
    set_secret(console, connector=desk.operation.connector, secret="second")
    work()
    assert the_action().state == "succeeded"
    assert len(system.asked) == 1


@pytest.mark.parametrize("amount", [50_000, 250_000])
def test_a_change_that_was_under_way_when_the_agent_asked_counts(real_db, system, amount):
    """The change began before the action was written down and commits after it: no clock tells the two apart."""
    desk = make_desk(system.url)
    person = Person(desk.approver)
    changed, asked = threading.Event(), threading.Event()

    def change():
        try:
            with transaction.atomic():
                change_operation(desk.operation, path="/refunds")
                changed.set()
                asked.wait(2)  # preparing an effect waits for the operation's lock, so for this commit
        finally:
            connection.close()

    changing = threading.Thread(target=change)
    changing.start()
    assert changed.wait(30)
    desk.ask(amount)
    asked.set()
    changing.join()
    if amount > 100_000:
        assert person.decide(the_item()).json()["code"] == "invalidated"
    work()
    assert the_action().error["code"] == "operation_changed"
    assert system.asked == []
