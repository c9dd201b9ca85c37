"""An operation of a document, to the end: confirmed it runs, changed it is refused and says why, approved it runs."""

import json
from copy import deepcopy

import pytest
from django.test import Client

from apps.connectors.models import Operation
from apps.oversight.models import Escalation
from apps.oversight.services import cast_vote
from tests.factories.access import make_admin
from tests.factories.connectors import PAYMENT, permit
from tests.factories.openapi import document_with, with_body
from tests.workflows.actions import Desk, make_desk, rules_of, the_action, the_item, work

pytestmark = pytest.mark.django_db
SLUG_END = ".create_transfer"
RULES = (
    {"slug": "small", "when": "action.amount_minor <= 100000"},
    {"slug": "large", "when": "action.amount_minor > 100000", "effect": "require_approval"},
)


def transfers(**properties):
    schema = deepcopy(PAYMENT)
    schema["properties"] |= properties
    return document_with(with_body(schema, operationId="createTransfer", summary="Transfer"), path="/transfers")


class Bank:
    """The desk's bank, imported, and the person who looks after it."""

    def __init__(self, desk: Desk):
        self.desk, self.connector = desk, desk.operation.connector
        self.admin = Client()
        self.admin.force_login(make_admin())
        self.take(transfers())
        self.operation = Operation.objects.select_related("pin").get(slug=f"{self.connector.slug}{SLUG_END}")

    def take(self, document):
        """Import, as a person does on the page."""
        given = {"document": json.dumps(document), "step": "import"}
        answer = self.admin.post(f"/connectors/{self.connector.slug}/import/", given)
        assert answer.status_code == 302

    def approve(self, **more):
        """Say yes to what waits, as a person does on the page: what the form shows, unless ``more`` says otherwise."""
        address = f"/connectors/{self.connector.slug}/operations/{self.operation.slug}/review/"
        form = self.admin.get(address).context["form"]
        shown = {name: form[name].value() or "" for name in form.fields}
        return self.admin.post(address, {**shown, "verdict": "take", **more})


@pytest.fixture
def bank(system):
    desk = make_desk(system.url)
    bank = Bank(desk)
    permit(desk.agent.user, bank.operation)
    desk.operation = bank.operation
    rules_of(desk, *({**rule, **({"queue": desk.queue.slug} if "effect" in rule else {})} for rule in RULES))
    return bank


def test_a_quarantined_operation_is_refused_with_the_reason_and_runs_once_approved(system, bank):
    refused = bank.desk.ask(50_000)
    assert refused.status_code == 404, "imported and confirmed by nobody"
    assert bank.approve().status_code == 302
    assert bank.desk.ask(50_000).status_code == 202
    work()
    assert [the_action().state, len(system.asked)] == ["succeeded", 1]

    bank.take(transfers(purpose={"type": "string"}))
    refused = bank.desk.ask(50_000)
    assert (refused.status_code, refused.json()["code"]) == (403, "operation_quarantined")
    assert "changed" in refused.json()["detail"]
    assert "request_access" not in refused.json()
    asked = bank.desk.post("me/access-requests/", {"operation": bank.operation.slug, "reason": "The rent is due."})
    assert (asked.status_code, asked.json()["code"]) == (403, "operation_quarantined")
    page = bank.admin.get(f"/agents/{bank.desk.agent.slug}/").content.decode()
    assert "Its system says something else of it since" in page
    work()
    assert len(system.asked) == 1

    assert bank.approve().status_code == 302
    answer = bank.desk.ask(50_000, parameters={"purpose": "Rent"})
    assert answer.status_code == 202
    work()
    assert bank.desk.get(f"actions/{answer.json()['id']}/").json()["state"] == "succeeded"
    assert json.loads(system.asked[-1][3])["purpose"] == "Rent"


def test_what_was_approved_before_the_change_is_not_sent_and_says_why(system, bank):
    bank.approve()
    answer = bank.desk.ask(250_000).json()
    item = the_item()
    bank.take(transfers(purpose={"type": "string"}))
    cast_vote(bank.desk.approver, escalation_id=item.pk, verdict="approve", version=1)
    work()
    found = bank.desk.get(f"actions/{answer['id']}/").json()
    assert (found["state"], found["error"]["code"]) == ("failed", "operation_quarantined")
    assert system.asked == []


def test_taking_the_change_ends_what_waits_for_people_under_the_old_definition(system, bank):
    bank.approve()
    bank.desk.ask(250_000)
    bank.take(transfers(purpose={"type": "string"}))
    work()
    assert the_item().state == "pending"
    bank.approve()
    work()
    item = Escalation.objects.get()
    assert (item.state, item.reason) == ("invalidated", "operation_changed")


def test_keeping_what_was_confirmed_lets_what_waits_go_on(system, bank):
    bank.approve()
    bank.desk.ask(250_000)
    bank.take(transfers(purpose={"type": "string"}))
    assert bank.approve(verdict="keep").status_code == 422, "without a reason"
    assert bank.approve(verdict="keep", reason="Nobody needs a purpose.").status_code == 302
    work()
    cast_vote(bank.desk.approver, escalation_id=the_item().pk, verdict="approve", version=1)
    work()
    assert [the_action().state, len(system.asked)] == ["succeeded", 1]
    assert bank.desk.ask(50_000, parameters={"purpose": "Rent"}).status_code == 422


def test_an_agent_does_not_approve_what_it_wants_to_use(bank):
    review, seen = f"operations/{bank.operation.slug}/review/", bank.operation.pin.seen
    assert bank.desk.post(review, {"seen": seen}).status_code in {403, 404}
    assert bank.desk.post(f"connectors/{bank.connector.slug}/import/", {"document": "{}"}).status_code in {403, 404}
    assert Operation.objects.get(pk=bank.operation.pk).state == "disabled"
