"""How drills end: once, whoever is quicker; by acts that are no decision, halts, erasures, jobs; and what is told."""

import json
from contextlib import suppress

import pytest
from django.test import Client
from django.urls import reverse

from apps.access.services import create_token
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.connectors.models import Operation
from apps.core.errors import ConflictError, DomainError
from apps.core.models import ClockTimestamp, IdempotencyKey
from apps.core.services import system_user
from apps.halts.services import engage_halt
from apps.oversight import services
from apps.oversight.models import Comment, Delegation, Drill, Escalation, Grant, JobItem
from apps.oversight.rules import Fault, Planted
from apps.oversight.services.drills.ending import withdraw_drill
from apps.oversight.tasks import sweep_drills
from tests.factories.access import make_admin
from tests.factories.drills import announced, due, ending_of, make_drill, names_of
from tests.factories.oversight import escalate, make_payment, propose, say
from tests.factories.workflows import erase
from tests.together import at_once


def caller(person):
    return Client(headers={"Authorization": f"Bearer {create_token(person, user=person)}"})


def post(client, path, body, key=""):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)


def carried_out(payment):
    """Nothing of it is open any more."""
    while deliver_reactions():
        pass
    Grant.objects.update(state="consumed", consumed_at=ClockTimestamp())
    Action.objects.filter(pk=payment.action.pk).update(state="succeeded")


# -- once


@pytest.mark.usefixtures("real_db")
def test_answering_turning_off_and_sweeping_at_once_end_it_once():
    payment, drill, person = make_drill()
    Operation.objects.filter(pk=payment.operation.pk).update(path="/elsewhere")
    admin = make_admin()
    results = at_once(
        lambda: say(person, drill.item, "reject", version=1, reason="no"),
        lambda: services.end_drills(admin, queue=payment.queue),
        sweep_drills,
        lambda: services.end_touched_drill(person, escalation_id=drill.pk),
    )
    assert [one for one in results[1:] if isinstance(one, DomainError)] == []
    assert len(names_of(drill)) == 2
    assert ending_of(drill)[2] == "cancelled"


@pytest.mark.django_db
def test_taking_away_what_was_answered_meanwhile_does_nothing():
    _payment, drill, person = make_drill()
    before = Drill.objects.select_related("queue", "item").get()
    say(person, drill.item, "reject", reason="no")
    assert withdraw_drill(system_user("plane"), before, "turned_off") == 0
    assert ending_of(drill) == ("caught", "", "cancelled")
    assert names_of(drill) == ["drill.opened", "drill.answered"]


@pytest.mark.usefixtures("real_db")
def test_erasing_and_copying_at_once_leave_nothing_of_the_real_item():
    payment = make_payment(parameters={"iban": "DE0017"})
    say(payment.ben, payment.item)
    announced(payment, per_week=10)
    carried_out(payment)
    at_once(lambda: erase(make_admin(), payment.action.pk, "asked for"), due)
    assert Escalation.objects.get(pk=payment.item.pk).erased_at is not None
    assert not Drill.objects.filter(outcome="open").exists()
    assert not Drill.objects.exclude(planted=None, amount_minor=None, target="", consequence="").exists()
    assert not Escalation.everything.filter(drill_for__isnull=False, consequence__contains="DE00").exists()


# -- by something else than a decision


TOUCHES = {
    "delegate/": {"to": "somebody"},
    "escalate/": {"reason": "x"},
    "extend/": {"reason": "x", "by_s": 60},
    "reassign/": {"reason": "x", "to": "somebody"},
    "comment/": {"text": "x"},
    "comment/?ask": {"text": "x", "ask": True},
    "propose-rule/": {"effect": "deny", "reason": "x"},
    "standing/": {"version": 1, "days": 1, "times": 1},
}


@pytest.mark.django_db
@pytest.mark.parametrize("act", TOUCHES)
@pytest.mark.parametrize("key", ["", "k1"])
def test_whoever_does_something_else_with_it_is_told_and_it_is_over(act, key):
    _payment, drill, person = make_drill()
    said = post(caller(person), f"escalations/{drill.pk}/{act.partition('?')[0]}", TOUCHES[act], key)
    assert (said.status_code, said.json()["code"]) == (409, "drill")
    assert ending_of(drill) == ("withdrawn", "touched", "cancelled")
    assert names_of(drill) == ["drill.opened", "drill.withdrawn"]
    assert (Comment.objects.count(), Delegation.objects.count()) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("comment", {"text": "is this right?", "ask": "on"}),
        ("delegate", {"to": "somebody"}),
        ("escalate", {"reason": "x"}),
        ("propose", {"effect": "deny", "people": "2", "reason": "x"}),
    ],
)
def test_the_page_tells_them_too(client, name, typed):
    _payment, drill, person = make_drill()
    client.force_login(person)
    page = client.post(reverse(f"oversight:{name}", args=[drill.pk]), typed)
    assert page.status_code == 409
    assert "It was a drill" in page.content.decode()
    assert ending_of(drill) == ("withdrawn", "touched", "cancelled")
    assert "taken away" in client.get(reverse("oversight:item", args=[drill.pk])).content.decode()


@pytest.mark.django_db
def test_putting_it_aside_and_claiming_it_are_no_touch(client):
    _payment, drill, person = make_drill()
    client.force_login(person)
    client.post(reverse("oversight:claim", args=[drill.pk]))
    client.post(reverse("oversight:snooze", args=[drill.pk]), {"for_s": "60"})
    assert ending_of(drill)[0] == "open"


@pytest.mark.django_db
def test_real_work_is_not_touched_by_the_question_whether_it_is_a_drill():
    payment = make_payment()
    services.end_touched_drill(payment.ada, escalation_id=payment.item.pk)
    assert payment.now().state == "pending"


# -- by what happens elsewhere


@pytest.mark.django_db
def test_whoever_halts_an_agent_because_of_it_learns_at_once_that_it_was_one(client):
    payment, drill, person = make_drill()
    engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="odd payment")
    while deliver_reactions():
        pass
    assert ending_of(drill) == ("withdrawn", "halted", "cancelled")
    client.force_login(person)
    page = client.get(reverse("oversight:item", args=[drill.pk])).content.decode()
    assert "If you halted something because of it" in page


@pytest.mark.django_db
def test_it_goes_when_what_it_was_copied_from_would_not_run_any_more():
    payment, drill, person = make_drill()
    Operation.objects.filter(pk=payment.operation.pk).update(path="/elsewhere")
    with pytest.raises(ConflictError):
        say(person, drill.item)
    sweep_drills()
    assert ending_of(drill) == ("withdrawn", "source_changed", "cancelled")


@pytest.mark.django_db
def test_an_erasure_takes_the_copy_and_what_answers_said_of_it():
    payment, drill, person = make_drill()
    caller_ = caller(person)
    post(caller_, f"escalations/{drill.pk}/snooze/", {"until": None}, "k1")
    assert drill.item.title in json.dumps(IdempotencyKey.objects.get().answer, ensure_ascii=False)
    carried_out(payment)
    erase(make_admin(), payment.action.pk, "asked for")
    assert ending_of(drill) == ("withdrawn", "source_erased", "cancelled")
    now = Drill.objects.get()
    assert (now.planted, now.amount_minor, now.target, now.consequence) == (None, None, "", "")
    assert drill.item.title not in json.dumps(IdempotencyKey.objects.get().answer, ensure_ascii=False)


# -- many at once


def plant_another_account(monkeypatch):
    planted = [Planted(Fault.TARGET, "iban", "DE0018")]
    monkeypatch.setattr("apps.oversight.services.drills.making.faults_for", lambda *_args, **_named: planted)


@pytest.mark.django_db
def test_a_drill_among_many_keeps_no_real_item_from_being_approved(monkeypatch):
    plant_another_account(monkeypatch)
    limits = {"bulk": {"risk": "medium", "items": 10, "total_minor": 1_000_000}}
    payment, drill, person = make_drill(obligations=limits)
    real = [
        escalate(
            propose(payment.agent, payment.operation, {**payment.action.parameters, "iban": f"DE00{n}"}),
            payment.operation,
        )
        for n in (21, 22)
    ]
    services.start_bulk(person, ids=[drill.pk, *(item.pk for item in real)], verdict="approve")
    while services.perform_due_items():
        pass
    assert [Escalation.objects.get(pk=item.pk).state for item in real] == ["approved", "approved"]
    assert Grant.objects.filter(escalation__in=real).count() == 2
    row = JobItem.objects.get(escalation=drill.pk)
    assert (row.state, row.outcome, row.message) == ("done", "cancelled", "This was a drill, and you approved it.")
    assert {one.message for one in JobItem.objects.exclude(escalation=drill.pk)} == {""}


@pytest.mark.django_db
def test_the_ledger_says_of_each_entry_that_it_was_a_drill_and_of_none_that_it_was_more():
    _payment, drill, person = make_drill()
    services.claim_escalation(person, escalation_id=drill.pk)
    with suppress(ConflictError):
        services.undo_decision(person, escalation_id=drill.pk)
    say(person, drill.item)
    about = Entry.objects.filter(trail_id=drill.pk)
    assert {name.partition(".")[0] for name in about.values_list("name", flat=True)} == {"drill"}
    answered = about.get(name="drill.answered")
    assert (answered.actor, answered.payload["outcome"], answered.payload["verdict"]) == (person, "missed", "approve")
