"""What a drill is copied from, with which fault, for whom; and that nothing on its pages tells it from real work."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from uuid_utils.compat import uuid7

from apps.access.models import Absence
from apps.access.services import create_token
from apps.audit.models import Entry
from apps.connectors.models import Operation
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, database_now
from apps.core.services import system_user
from apps.oversight import services
from apps.oversight.models import Drill, DrillPlan, Escalation, EscalationGroup
from apps.oversight.rules import NOTICE, Fault, Planted
from apps.oversight.selectors import detail_for, escalation_for, inbox_for, progress_for, row_for, sheet_for
from apps.oversight.tasks import sweep_drills
from tests.factories.access import grant, make_admin, make_approver, make_queue, make_role, make_user
from tests.factories.drills import WORDS, announced, due, ending_of, make_drill
from tests.factories.oversight import escalate, make_payment, propose, say

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def plant(monkeypatch, *faults):
    """Only these can be planted."""
    monkeypatch.setattr("apps.oversight.services.drills.making.faults_for", lambda *_args, **_named: list(faults))


# -- announced


def test_what_is_announced_anew_stands_for_a_day_again():
    payment = make_payment()
    say(payment.ben, payment.item)
    announced(payment)
    DrillPlan.objects.update(next_at=ClockTimestamp())
    announced(payment, critical=True)
    plan = DrillPlan.objects.get()
    assert plan.next_at - plan.announced_at >= NOTICE
    assert sweep_drills() == 0


def test_announcing_the_same_again_changes_nothing():
    payment = make_payment()
    announced(payment)
    before = DrillPlan.objects.values().get()
    _plan, outcome = services.plan_drills(make_admin(), queue=payment.queue, per_week=2, announcement=f" {WORDS} ")
    assert outcome == "unchanged"
    assert DrillPlan.objects.values().get() == before
    assert Entry.objects.filter(name="drills.announced").count() == 1


# -- copied from what would run, judged by the rules in force


def test_a_fault_that_the_rules_would_deny_is_not_planted(monkeypatch):
    payment = make_payment(parameters={"amount_minor": 5_000_000})
    say(payment.ben, payment.item)
    announced(payment)
    plant(monkeypatch, Planted(Fault.AMOUNT, "amount_minor", 50_000_000))
    assert due() == 0
    plant(monkeypatch, Planted(Fault.AMOUNT, "amount_minor", 6_000_000))
    assert due() == 1


def test_the_rules_that_the_faulty_amount_asks_are_those_on_its_page(monkeypatch):
    board = make_queue()
    payment = make_payment(
        {"slug": "grave", "when": "action.amount_minor > 1000000", "effect": "require_approval", "queue": board.slug}
    )
    say(payment.ben, payment.item)
    announced(payment)
    plant(monkeypatch, Planted(Fault.AMOUNT, "amount_minor", 2_500_000))
    assert due() == 1
    item = Escalation.everything.get(drill_for__isnull=False)
    assert {group.queue.slug for group in item.group_list()} == {payment.queue.slug, board.slug}
    assert item.verdict["facts"]["action.amount_minor"] == 2_500_000
    assert item.action.verdict == item.verdict != payment.action_now().verdict


def test_nothing_is_copied_whose_operation_changed():
    payment = make_payment()
    say(payment.ben, payment.item)
    announced(payment)
    Operation.objects.filter(pk=payment.operation.pk).update(path="/elsewhere")
    assert due() == 0
    Operation.objects.filter(pk=payment.operation.pk).update(path=payment.operation.path)
    assert due() == 1


def test_nothing_is_copied_that_stands_beside_a_run():
    payment = make_payment(run_id=uuid7(), step="pay")
    say(payment.ben, payment.item)
    announced(payment)
    assert due() == 0


def test_nothing_is_copied_that_was_asked_for_with_a_test_key():
    payment = make_payment(environment="test")
    say(payment.ben, payment.item)
    announced(payment)
    assert due() == 0


# -- for whom


def test_it_comes_to_who_is_told_of_it_and_no_other_queue(monkeypatch):
    board = make_queue()
    payment = make_payment(
        {"slug": "both", "when": "true", "effect": "require_approval", "queue": board.slug}, parameters={}
    )
    eve = make_approver(board)
    grant(eve, make_role("oversight.view_escalation", "oversight.decide_escalation"), payment.unit)
    for person in (payment.ben, eve):
        say(person, payment.item)
    announced(payment, per_week=10)
    monkeypatch.setattr("secrets.choice", lambda people: people[-1])
    people = set()
    while due():
        people.add(Drill.objects.order_by("-id").values_list("item__drill_for__username", flat=True)[0])
    assert people == {payment.ada.username, payment.ben.username}


def test_whoever_stands_in_for_another_gets_none_since_nobody_told_them():
    payment = make_payment()
    say(payment.ben, payment.item)
    cleo = make_user()
    grant(cleo, make_role("oversight.view_escalation", "oversight.decide_escalation"), payment.unit)
    now = database_now()
    for person in (payment.ada, payment.ben):
        Absence.objects.create(user=person, delegate=cleo, starts_at=now - HOUR, ends_at=now + HOUR, planned_by=person)
    announced(payment)
    assert due() == 0


def test_a_later_stage_is_not_asked_before_its_turn(monkeypatch):
    board = make_queue()
    quorum = [1, {"queue": board.slug, "n": 1, "stage": 2, "over_minor": 200_000}]
    payment = make_payment(quorum=quorum)
    eve = make_approver(board)
    grant(eve, make_role("oversight.view_escalation", "oversight.decide_escalation"), payment.unit)
    say(payment.ben, payment.item)
    say(eve, payment.item)
    announced(payment)
    assert due() == 1
    rows = EscalationGroup.objects.filter(escalation__drill_for__isnull=False).values_list(
        "queue__slug", "stage", "is_asked", "is_open", "climbs_at"
    )
    assert set(rows) == {(payment.queue.slug, 1, True, True, None), (board.slug, 2, False, False, None)}


def test_a_drill_does_not_count_against_its_own_persons_attention(monkeypatch):
    _payment, drill, _person = make_drill()
    monkeypatch.setattr("apps.oversight.selectors.drills.MAX_WAITING", 0)
    sweep_drills()
    assert ending_of(drill)[0] == "open"


# -- nothing tells it from real work


def test_it_has_every_clock_that_real_work_has():
    payment, drill, person = make_drill()
    told, shown = (row_for(person, escalation_for(person, pk)) for pk in (payment.item.pk, drill.pk))
    assert {name for name in told if told[name] is None} - {name for name in shown if shown[name] is None} <= {"run"}
    lasts = [one["expires_at"] - one["created_at"] for one in (told, shown)]
    assert abs(lasts[0] - lasts[1]) < timedelta(seconds=2)
    assert shown["warn_at"] is not None


def test_what_the_rules_looked_at_stands_on_its_page_until_it_is_over():
    _payment, drill, person = make_drill()
    grounds = sheet_for(person, escalation_for(person, drill.pk)).grounds
    assert dict(value for ground in grounds for value in ground.values)["action.amount_minor"] == drill.amount_minor
    say(person, drill.item, "reject", reason="no")
    assert "facts" not in Escalation.everything.get(pk=drill.pk).verdict


def test_filters_and_search_find_it():
    payment, drill, person = make_drill(reference="INV-2041")
    shown = drill.stand_in()
    assert shown.reference == "INV-2042"
    for filters in ({"operation": payment.operation.slug}, {"q": shown.target}, {"q": "inv-2042"}):
        assert drill.pk in inbox_for(person, **filters).values_list("pk", flat=True)
    for filters in ({"operation": "another"}, {"operation": payment.operation.slug[:-1]}, {"q": "another"}):
        assert not inbox_for(person, **filters).exists()


def test_its_action_has_a_page_as_every_action_has(client):
    payment, drill, person = make_drill()
    grant(person, make_role("agents.view_agent"), payment.unit)
    client.force_login(person)
    page = client.get(reverse("oversight:item", args=[drill.pk])).content.decode()
    path = f"/actions/{drill.shown_action_id}/"
    assert f'href="{path}"' in page
    shown = client.get(path)
    assert shown.status_code == 200
    assert "Nobody decided it yet." in shown.content.decode()
    assert "drill" not in shown.content.decode().partition("<main")[2].lower()
    assert row_for(person, escalation_for(person, drill.pk))["action"] == drill.shown_action_id
    other = payment.ben if person == payment.ada else payment.ada
    grant(other, make_role("agents.view_agent"), payment.unit)
    client.force_login(other)
    assert client.get(path).status_code == 404


def test_no_id_gives_it_away():
    """A real item and its action have two ids, both of the moment in which it was asked for."""
    payment, drill, person = make_drill()
    real, told = payment.action.pk, row_for(person, escalation_for(person, drill.pk))["action"]
    assert told not in {drill.pk, real}
    assert (told.version, told.variant) == (real.version, real.variant)
    assert told.int >> 80 == drill.pk.int >> 80
    assert told == Drill.objects.get().shown_action_id


def test_an_edit_of_it_is_checked_like_any_other():
    payment, drill, person = make_drill()
    item = escalation_for(person, drill.pk)
    for parameters in ({}, {**item.values(), "amount_minor": "much"}, {**item.values(), "amount_minor": 50_000_000}):
        with pytest.raises(InvalidError):
            say(person, item, parameters=parameters)
    assert ending_of(drill)[0] == "open"
    say(person, item, parameters=dict(payment.action.parameters))
    assert ending_of(drill)[0] == ("missed" if drill.fault == "documents" else "caught")


def test_an_edit_of_it_takes_a_fresh_sign_in_where_real_work_does():
    payment = make_payment(risk="critical")
    for one in (payment.ben, payment.ada):
        say(one, payment.item, stepped_up=True, restated=payment.item.restated()[0])
    announced(payment, critical=True)
    assert due() == 1
    drill = Drill.objects.select_related("item__drill_for").get()
    person = drill.item.drill_for
    item = escalation_for(person, drill.pk)
    with pytest.raises(NotAllowedError) as refusal:
        say(person, item, parameters=dict(payment.action.parameters))
    assert refusal.value.members["why"] == "step_up"


def test_a_sitting_counts_it_as_decided():
    payment, drill, person = make_drill()
    escalate(propose(payment.agent, payment.operation, payment.action.parameters), payment.operation)
    ids = list(inbox_for(person).values_list("pk", flat=True))
    assert len(ids) == 2
    say(person, drill.item, "reject", reason="no")
    progress = progress_for(person, ids, set())
    assert (progress.total, progress.decided, len(progress.left)) == (2, 1, 1)


# -- auditors look, and leave it alone


def test_an_auditor_who_could_decide_the_like_cannot_touch_anothers_drill(client):
    payment, drill, person = make_drill()
    auditor = payment.approver()
    grant(auditor, make_role("audit.view_entry"), payment.unit)
    item = escalation_for(auditor, drill.pk)
    assert detail_for(auditor, item)["allowed"] == {}
    assert detail_for(auditor, item)["drill"]["outcome"] == "open"
    caller = Client(headers={"Authorization": f"Bearer {create_token(auditor, user=auditor)}"})
    for act in ("claim", "release"):
        said = caller.post(f"/api/v1/escalations/{drill.pk}/{act}/", "{}", content_type="application/json")
        assert said.status_code == 404
    client.force_login(auditor)
    assert "This is a drill for" in client.get(reverse("oversight:item", args=[drill.pk])).content.decode()
    assert Escalation.everything.get(pk=drill.pk).claimed_by is None
    assert person != auditor
    assert system_user("plane").pk != person.pk
