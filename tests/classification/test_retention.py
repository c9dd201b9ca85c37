"""What carries a class is erased when its time is up; digests, decisions, amounts and proofs stay."""

from datetime import timedelta

import pytest
from django.db.models import F

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.selectors import proof_for
from apps.classification.models import DataClass
from apps.core.services import system_user
from apps.workflows.selectors.retention import report_for
from apps.workflows.services.retention import erase_ended
from tests.factories.access import make_holder
from tests.factories.classification import classify, make_data_class
from tests.oversight.edge_cases.doors import Person
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.workflows.actions import make_desk, the_action, the_item, work

pytestmark = pytest.mark.django_db
IBAN = "NL91ABNA0417164300"


def days_ago(days, model=Action, **where):
    model.objects.filter(finished_at__isnull=False, **where).update(finished_at=F("finished_at") - timedelta(days=days))


def desk_of(days=30):
    desk = make_desk()
    make_data_class(slug="bank", retention_days=days)
    desk.operation = classify(desk.operation, iban="bank")
    return desk


def rejected(desk, amount=250_000):
    desk.ask(amount, parameters={"iban": IBAN}, goal="Pay.")
    assert Person(desk.approver).decide(the_item(), "reject", reason="No.", key=str(amount)).status_code == 200
    work()


def test_what_was_kept_long_enough_goes_once_and_what_proves_it_stays():
    desk = desk_of()
    rejected(desk)
    before = the_action()
    assert erase_ended() == 0
    days_ago(31)
    assert erase_ended() == 1
    now = the_action()
    assert (now.parameters, now.target, now.goal, now.erased_by) == ({}, "", "", "plane")
    assert (now.digest, now.state, now.amount_minor, now.classed) == (
        before.digest, "rejected", 250_000, {"bank": [["iban"]]},
    )  # fmt: skip
    assert places_of(IBAN) == set()
    told = Entry.objects.get(name="payloads.erased", trail_id=now.pk)
    assert (told.actor.username, told.payload["data_class"]) == ("plane", "bank")
    assert "30 days" in told.payload["reason"]
    assert proof_for(system_user("console")).mismatches == ()
    assert erase_ended() == 0
    assert Entry.objects.filter(name="payloads.erased").count() == 1


def test_what_is_open_or_has_no_end_stays():
    desk = desk_of()
    desk.ask(250_000, parameters={"iban": IBAN})
    Action.objects.update(finished_at="2020-01-01T00:00:00Z")
    assert erase_ended() == 0
    Action.objects.update(finished_at=None)
    assert Person(desk.approver).decide(the_item(), "reject", reason="No.", key="no").status_code == 200
    work()
    days_ago(400)
    DataClass.objects.update(retention_days=None)
    assert erase_ended() == 0
    assert the_action().parameters["iban"] == IBAN
    DataClass.objects.update(retention_days=400)
    assert erase_ended() == 1


def test_many_are_erased_in_batches(monkeypatch):
    monkeypatch.setattr("apps.workflows.services.retention.BATCH", 2)
    desk = desk_of()
    for amount in (250_000, 260_000, 270_000):
        rejected(desk, amount)
    days_ago(31)
    assert [erase_ended(), erase_ended(), erase_ended()] == [2, 1, 0]


def numbers_of(held):
    return held.kept, held.open, held.due, held.erased, held.by_retention


def test_the_report_says_what_is_kept_what_is_due_and_what_was_erased():
    desk = desk_of()
    for amount in (250_000, 260_000, 270_000):
        rejected(desk, amount)
    desk.ask(280_000, parameters={"iban": IBAN})
    first, second, _third, _open = Action.objects.order_by("id")
    days_ago(31, pk=first.pk)
    assert erase_ended() == 1
    days_ago(40, pk=second.pk)
    auditor = make_holder("audit.view_entry", unit=desk.agent.unit)
    (told,) = report_for(auditor)
    assert numbers_of(told.actions) == (3, 1, 1, 1, 1)
    assert numbers_of(told.runs) == (0, 0, 0, 0, 0)
    assert (told.operations, told.systems) == ([desk.operation.slug], [desk.operation.connector.slug])
    assert told.next_at is not None
    assert report_for(make_holder("audit.view_entry", unit=make_desk().agent.unit))[0].actions.kept == 0
    assert report_for(make_holder("agents.view_agent")) == []
