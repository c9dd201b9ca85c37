"""After an effect the system of record is read back: verified, a mismatch that people hear of, or nobody knows."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.connectors.models import Effect, Operation
from apps.connectors.rules.verifying import ReadBack, Reading
from apps.connectors.services import settle_check, take_check
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.kpis.models import RollupDay, RunFact
from apps.kpis.services import fold_entries, reconcile_rollups
from apps.notifications.models import Notice
from apps.oversight.models import Escalation
from apps.oversight.rules import Fate
from apps.oversight.selectors import fates_for
from apps.oversight.selectors.gates import track_record_of
from apps.workflows.services.actions import verify_due
from apps.workflows.services.actions.carrying_out import perform_due
from apps.workflows.services.breakers import check_breakers
from tests.factories.access import make_admin, make_approver, make_queue
from tests.factories.connectors import make_operation
from tests.factories.oversight import say
from tests.factories.workflows import make_run, make_workflow
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db

LOOK = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}, "additionalProperties": False}
PAID = b'{"id": "p-1"}'


def verified(operation, system, **more):
    """From now on the operation is verified by a read of the same system."""
    read = make_operation(
        connector=operation.connector, slug=f"{operation.slug}.look", method="GET", path="/payments/{id}",
        effect="read", parameters=LOOK, amount=None, target="", consequence="", idempotency="none",
    )  # fmt: skip
    expect = "found.status == 'booked' && found.amount_minor == request.amount_minor"
    verify = {"operation": read.slug, "parameters": {"id": "response.id"}, "expect": expect, **more}
    Operation.objects.filter(pk=operation.pk).update(verify=verify)
    return read


@pytest.fixture
def desk(system):
    desk = make_desk(system.url)
    verified(desk.operation, system)
    return desk


def look_again():
    """The clock has come to the next look."""
    assert Effect.objects.update(verify_at=ClockTimestamp()) == 1
    assert verify_due() == 1


def pay(desk, system, *answers):
    """Ask for a small payment, which succeeds, and look once; the effect."""
    system.will(body=PAID)
    for answer in answers:
        system.will(**answer)
    assert desk.ask(50_000).status_code == 202
    work()
    verify_due()
    return Effect.objects.get()


BOOKED = {"body": b'{"status": "booked", "amount_minor": 50000, "iban": "DE0017"}'}
LESS = {"body": b'{"status": "booked", "amount_minor": 5, "iban": "DE0099"}'}


def test_what_the_system_shows_as_meant_is_verified(desk, system):
    effect = pay(desk, system, BOOKED)
    assert (effect.state, effect.verify_at, effect.read_back["reading"]) == ("verified", None, "holds")
    assert [asked[:2] for asked in system.asked] == [("POST", "/payments"), ("GET", "/payments/p-1")]
    told = Entry.objects.get(name="effect.verified")
    assert told.payload["operation"] == desk.operation.slug
    assert "DE0017" not in json.dumps(told.payload)
    assert not Escalation.objects.exists()
    assert verify_due() == 0


def test_what_the_system_shows_otherwise_is_an_exception_before_the_owner(desk, system):
    owner = desk.agent.owner
    effect = pay(desk, system, LESS)
    assert (effect.state, effect.action.state) == ("mismatch", "succeeded")
    item = Escalation.objects.get()
    assert (item.kind, item.state, item.action_id, item.run_id) == ("exception", "pending", effect.action_id, None)
    assert item.subject["found"]["amount_minor"] == 5
    assert "amount_minor" in item.subject["expect"]
    names = list(Entry.objects.filter(trail_id=item.trail).order_by("id").values_list("name", flat=True))
    assert names[-3:] == ["effect.mismatch", "escalation.pending", "agent.mismatched"]
    assert "DE0099" not in json.dumps([entry.payload for entry in Entry.objects.filter(name__startswith="effect.")])
    work()
    assert [one.agent.owner for one in Notice.objects.filter(event="mismatch")] == [owner]
    client = Client()
    client.force_login(desk.approver)
    page = client.get(f"/inbox/{item.pk}/").content.decode()
    assert "Not as it was done" in page
    assert "What you found" in page
    assert "DE0099" in page, "what the system shows"
    assert "If you approve" not in page


def test_it_is_given_to_an_owner_who_may_decide_there(desk, system):
    make_approver(desk.queue, username="olga")
    desk.agent.owner = make_approver(desk.queue, username="owns")
    desk.agent.save(update_fields=["owner"])
    pay(desk, system, LESS)
    assert Escalation.objects.get().assigned_to == desk.agent.owner
    assert Entry.objects.get(name="escalation.assigned").payload["to"] == "owns"


@pytest.mark.parametrize(("found", "state", "failed"), [("in order", "verified", 0), ("mended", "mismatch", 1)])
def test_a_person_says_whether_it_is_in_order_or_was_mended(desk, system, found, state, failed):
    effect = pay(desk, system, LESS)
    assert track_record_of(desk.agent).failed == 1
    say(desk.approver, Escalation.objects.get(), "answer", answer={"found": found, "remark": "Seen in the bank."})
    work()
    effect.refresh_from_db()
    assert effect.state == state
    assert track_record_of(desk.agent).failed == failed
    assert Escalation.objects.count() == 1
    if found == "in order":
        told = Entry.objects.get(name="effect.verified")
        assert (told.actor, told.payload["reason"]) == (desk.approver, "Seen in the bank.")


@pytest.mark.parametrize("answer", [{"status": 404, "body": b"{}"}, {"body": b'{"other": 1}'}, {"body": b"[]"}])
def test_a_thing_that_is_not_there_is_a_mismatch(desk, system, answer):
    assert pay(desk, system, answer).state == "mismatch"


def test_that_something_is_gone_can_be_expected(desk, system):
    verify = Operation.objects.get(pk=desk.operation.pk).verify
    Operation.objects.filter(pk=desk.operation.pk).update(verify={**verify, "expect": "found == null"})
    assert pay(desk, system, {"status": 404, "body": b"{}"}).state == "verified"


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 403}, {"body": b"<html>"}, {"raw": b"nonsense\r\n"}])
def test_what_cannot_be_read_stays_succeeded_and_is_read_again(desk, system, answer):
    effect = pay(desk, system, answer)
    assert (effect.state, effect.read_back, effect.verify_tries) == ("succeeded", None, 1)
    system.will(**BOOKED)
    look_again()
    assert Effect.objects.get().state == "verified"


def test_what_cannot_be_read_in_the_end_is_said_and_is_no_error(desk, system):
    pay(desk, system, {"status": 500})
    for _ in range(4):
        system.will(status=500)
        look_again()
    effect = Effect.objects.get()
    assert (effect.state, effect.verify_at, effect.read_back["reading"]) == ("succeeded", None, "unread")
    assert Entry.objects.get(name="effect.unverified").payload["attempts"] == 5
    assert not Escalation.objects.exists()
    assert track_record_of(desk.agent).failed == 0
    client = Client()
    client.force_login(make_admin())
    assert "could not be read back" in client.get(f"/actions/{effect.action_id}/").content.decode()


def test_a_system_that_takes_its_time_is_looked_at_until_then(desk, system):
    verify = Operation.objects.get(pk=desk.operation.pk).verify
    Operation.objects.filter(pk=desk.operation.pk).update(verify={**verify, "within_s": 60})
    effect = pay(desk, system, LESS)
    assert effect.state == "succeeded"
    Effect.objects.update(settled_at=ClockTimestamp() - timedelta(seconds=61))
    system.will(**LESS)
    look_again()
    assert Effect.objects.get().state == "mismatch"


def test_what_failed_and_what_was_a_test_is_not_read_back(desk, system):
    system.will(status=400)
    desk.ask(50_000)
    work()
    assert Effect.objects.get().state == "failed"
    assert verify_due() == 0


def test_a_halt_stops_looking_and_the_look_is_made_up_for(desk, system):
    halt = Halt.objects.create(
        scope="connector", target=desk.operation.connector.slug, reason="Stop.", engaged_by=make_admin()
    )
    halt.delete()
    system.will(body=PAID)
    desk.ask(50_000)
    work()
    halt.save(force_insert=True)
    assert verify_due() == 1
    effect = Effect.objects.get()
    assert (len(system.asked), effect.verify_tries, effect.verify_at is not None) == (1, 0, True)
    halt.delete()
    system.will(**BOOKED)
    look_again()
    assert Effect.objects.get().state == "verified"


def test_whoever_looks_late_changes_nothing(desk, system):
    system.will(body=PAID)
    desk.ask(50_000)
    work()
    held = take_check()
    assert take_check() is None
    system.will(**BOOKED)
    look_again()
    assert settle_check(system_user("plane"), effect=held, seen=ReadBack(Reading.DIFFERS)) is None
    assert Effect.objects.get().state == "verified"


def test_an_approved_payment_that_is_not_there_says_so_to_who_approved_it(desk, system):
    desk.ask(250_000)
    item = Escalation.objects.get()
    say(desk.approver, item)
    system.will(body=PAID)
    system.will(**LESS)
    work()
    verify_due()
    assert fates_for(desk.approver, [item.pk])[item.pk] == Fate.MISMATCH


def fold():
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))


def test_a_run_whose_system_shows_something_else_is_an_error_until_it_is_in_order(system):
    flow = make_workflow(
        {"slug": "order", "steps": {"order": {"operation": "erp.order", "with": {"amount_minor": "5"}}}}
    )
    make_queue(unit=flow.unit)
    operation = Operation.objects.get(slug="erp.order")
    operation.connector.base_url = system.url
    operation.connector.save(update_fields=["base_url"])
    verified(operation, system)
    system.will(body=PAID)
    run = make_run(flow, {})
    while perform_due():
        pass
    fold()
    today = RollupDay.objects.get(workflow="order", succeeded=1)
    assert (today.failed, today.wrong) == (0, 0)
    system.will(body=b'{"status": "booked", "amount_minor": 7}')
    assert verify_due() == 1
    fold()
    assert RunFact.objects.get(run_id=run.pk).state == "succeeded"
    today.refresh_from_db()
    assert (today.succeeded, today.failed, today.wrong) == (1, 0, 1)
    item = Escalation.objects.get(kind="exception")
    say(make_approver(item.group_list()[0].queue), item, "answer", answer={"found": "in order"})
    work()
    fold()
    today.refresh_from_db()
    assert (today.succeeded, today.wrong) == (1, 0)
    assert reconcile_rollups() == 0


def test_an_agent_whose_effects_are_not_there_is_stopped_by_its_breaker(desk, system):
    for number in range(5):
        assert check_breakers() == 0
        system.will(body=PAID)
        system.will(**LESS)
        desk.ask(50_000 + number)
        work()
        assert verify_due() == 1
    assert check_breakers() == 1
    halt = Halt.objects.get()
    assert (halt.scope, halt.target) == ("agent", desk.agent.slug)
    assert desk.ask(50_000).status_code == 423


@pytest.mark.parametrize(
    ("verify", "path"),
    [
        ({"operation": "a.b"}, "verify"),
        ({"operation": "a.b", "expect": "found.x ==", }, "verify.expect"),
        ({"operation": "a.b", "expect": "'text'"}, "verify.expect"),
        ({"operation": "a.b", "expect": "nope == 1"}, "verify.expect"),
        ({"operation": "No Slug", "expect": "true"}, "verify.operation"),
        ({"operation": "a.b", "expect": "true", "parameters": {"x": "found.x"}}, "verify.parameters.x"),
        ({"operation": "a.b", "expect": "true", "within_s": 99_999}, "verify.within_s"),
        ({"operation": "a.b", "expect": "true", "within_s": True}, "verify.within_s"),
        ({"operation": "a.b", "expect": "true", "more": 1}, "verify"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_its_path_and_changes_nothing(verify, path):
    operation = make_operation()
    client = Client()
    client.force_login(make_admin())
    answer = client.patch(
        f"/api/v1/operations/{operation.slug}/", json.dumps({"verify": verify}), content_type="application/json",
        headers={"Idempotency-Key": "one"},
    )  # fmt: skip
    assert answer.status_code == 422, answer.content
    assert path in answer.json()["errors"]
    operation.refresh_from_db()
    assert operation.verify is None


def test_a_read_has_nothing_to_verify():
    operation = make_operation(
        method="GET", effect="read", amount=None, target="", consequence="", parameters={"type": "object"}
    )
    client = Client()
    client.force_login(make_admin())
    answer = client.patch(
        f"/api/v1/operations/{operation.slug}/", json.dumps({"verify": {"operation": "a.b", "expect": "true"}}),
        content_type="application/json", headers={"Idempotency-Key": "one"},
    )  # fmt: skip
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["verify"])


def test_changing_what_is_verified_holds_no_approved_action_up(desk, system):
    desk.ask(250_000)
    say(desk.approver, Escalation.objects.get())
    Operation.objects.filter(pk=desk.operation.pk).update(verify=None)
    system.will(body=PAID)
    work()
    assert Effect.objects.get().state == "succeeded"
    assert verify_due() == 0
