"""Trying without effect: for those who decide, by a call of its own, and never in the way of a decision."""

import json

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import ConnectorCall, Effect, Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.services import save_operation
from apps.connectors.services.reads import AT_ONCE
from apps.core.errors import InvalidError
from apps.halts.models import Halt
from apps.oversight.models import Escalation
from tests.factories.access import make_admin, make_user
from tests.factories.connectors import PAYMENT, make_connector, make_operation
from tests.factories.oversight import make_payment, say

pytestmark = pytest.mark.django_db
PLAN = {"method": "POST", "path": "/payments/validate"}
FRAGMENT = {"HX-Request": "true", "HX-Target": "dry-run"}


@pytest.fixture
def payment(system):
    """A payment that can be tried."""
    payment = make_payment()
    connector = make_connector(base_url=system.url, allow_internal=True, auth={"type": "none"})
    Operation.objects.filter(pk=payment.operation.pk).update(dry_run=PLAN, connector=connector)
    judged = Operation.objects.get(pk=payment.operation.pk).definition_digest
    Action.objects.filter(pk=payment.item.action_id).update(definition_digest=judged)
    return payment


def page_of(payment, path="dry-run/", **headers):
    client = Client()
    client.force_login(payment.ada)
    return client.get(f"/inbox/{payment.item.pk}/{path}", headers=headers)


def test_what_the_system_would_say_stands_on_the_item_with_the_time(payment, system):
    system.will(body=b'{"ok": true, "fee": 3}')
    page = page_of(payment, **FRAGMENT).content.decode()
    method, path, headers, body = system.asked[0]
    assert (method, path, json.loads(body)) == ("POST", "/payments/validate", payment.item.action.parameters)
    assert "Idempotency-Key" not in headers
    for words in ("the system would take it", "<time", "fee", "<details"):
        assert words in page
    assert "<details open" not in page
    told = Entry.objects.get(name="operation.tried")
    assert (told.actor, told.trail_id, told.payload["status"]) == (payment.ada, payment.item.trail, 200)
    assert set(told.payload) == {"action", "status", "duration_ms", "end"}
    assert ConnectorCall.objects.get().purpose == "dry_run"
    assert not Effect.objects.exists()


def test_a_refusal_is_shown_as_such_and_keeps_nobody_from_deciding(payment, system):
    system.will(status=422, body=b'{"error": "account closed"}')
    page = page_of(payment, **FRAGMENT).content.decode()
    assert "the system would refuse it" in page
    assert "account closed" in page
    assert say(payment.ada, payment.item).state == "approved"


@pytest.mark.parametrize("answer", [{"raw": b"nonsense\r\n"}, {"body": b"<html>"}, {"status": 302}])
def test_what_cannot_be_tried_says_so(payment, system, answer):
    system.will(**answer)
    page = page_of(payment, **FRAGMENT).content.decode()
    assert "could not be tried" in page
    assert "Decide as you would without it." in page


def test_it_is_offered_and_made_by_itself_where_a_rule_wants_it(payment, system):
    page = page_of(payment, path="").content.decode()
    assert "not tried so far" in page
    assert 'id="dry-run" hx-get' not in page
    assert system.asked == []
    verdict = payment.item.verdict
    verdict["obligations"]["dry_run_first"] = True
    Escalation.objects.filter(pk=payment.item.pk).update(verdict=verdict)
    assert f'id="dry-run" hx-get="/inbox/{payment.item.pk}/dry-run/"' in page_of(payment, path="").content.decode()


def test_without_script_it_is_a_page_and_without_a_plan_there_is_none(payment, system):
    system.will(body=b"{}")
    page = page_of(payment).content.decode()
    assert "<h1>Dry run</h1>" in page
    Operation.objects.filter(pk=payment.operation.pk).update(dry_run=None)
    assert page_of(payment).status_code == 404
    assert "not tried so far" not in page_of(payment, path="").content.decode()


def test_whoever_may_not_see_the_item_tries_nothing(payment, system):
    client, before = Client(), len(system.asked)
    client.force_login(make_user())
    assert client.get(f"/inbox/{payment.item.pk}/dry-run/").status_code == 404
    assert len(system.asked) == before


def test_a_call_that_does_something_is_never_made(payment, system):
    operation = Operation.objects.get(pk=payment.operation.pk)
    make_operation(connector=operation.connector, slug="x.really", path="/payments/{mode}", method="POST")
    Operation.objects.filter(pk=operation.pk).update(dry_run={"method": "POST", "path": "/payments"})
    assert "does something" in page_of(payment, **FRAGMENT).content.decode()
    Operation.objects.filter(pk=operation.pk).update(dry_run={"method": "POST", "path": "/payments/{iban}"})
    assert "does something" in page_of(payment, **FRAGMENT).content.decode()
    assert system.asked == []


def test_a_halt_and_a_test_are_not_tried(payment, system):
    payment.item.action.environment = "test"
    payment.item.action.save(update_fields=["environment"])
    assert "a test" in page_of(payment, **FRAGMENT).content.decode()
    payment.item.action.environment = "live"
    payment.item.action.save(update_fields=["environment"])
    Halt.objects.create(scope="everything", reason="Stop.", engaged_by=make_admin())
    assert "A halt is engaged" in page_of(payment, **FRAGMENT).content.decode()
    assert system.asked == []


def test_a_system_that_hangs_takes_few_of_those_who_decide(payment, system):
    held = [AT_ONCE.acquire(blocking=False) for _ in range(6)]
    try:
        assert all(held)
        assert "Too many" in page_of(payment, **FRAGMENT).content.decode()
    finally:
        for _ in held:
            AT_ONCE.release()


@pytest.mark.parametrize(
    "plan",
    [
        {"path": "/x"},
        {"method": "DELETE", "path": "/payments/try"},
        {"method": "PUT", "path": "/payments/try"},
        {"method": "POST", "path": "payments"},
        {"method": "POST", "path": "/payments"},
        {"method": "POST", "path": "/Payments/"},
        {"method": "POST", "path": "/refunds/{other}"},
        {"method": "POST", "path": "/try/{note}"},
    ],
)
def test_a_plan_that_is_none_is_refused(plan):
    connector = make_connector()
    make_operation(connector=connector, path="/refunds/{iban}")
    spec = OperationSpec(
        name="Pay", method="POST", path="/payments", effect="irreversible", parameters=PAYMENT, dry_run=plan
    )
    with pytest.raises(InvalidError) as refused:
        save_operation(make_admin(), slug="bank.pay", connector=connector, spec=spec)
    assert "dry_run" in refused.value.errors
