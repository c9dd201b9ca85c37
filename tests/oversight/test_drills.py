"""Drills are announced, look like real work, and nothing can ever follow from one."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from uuid_utils.compat import uuid7

from apps.access.services import create_token
from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import ConflictError, HaltedError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import ClockTimestamp
from apps.halts.models import Halt
from apps.halts.services import engage_halt
from apps.kpis.models import ApprovalFact
from apps.oversight import services
from apps.oversight.models import Drill, DrillPlan, Escalation, Grant, StandingApproval, Vote
from apps.oversight.selectors import (
    counts_for,
    detail_for,
    escalation_for,
    inbox_for,
    pace_for,
    precedent_for,
    row_for,
    sheet_for,
)
from apps.oversight.tasks import sweep_drills, sweep_escalations
from tests.factories.access import grant, make_admin, make_role, make_user
from tests.factories.agents import make_key_for
from tests.factories.drills import WORDS, announced, due, ending_of, make_drill, names_of
from tests.factories.oversight import escalate, make_payment, propose, say

pytestmark = pytest.mark.django_db


def withdrawn(why):
    return ending_of(Drill.objects.get()) == ("withdrawn", why, "cancelled")


# -- announced


def test_the_first_comes_no_earlier_than_a_day_after_it_was_announced():
    payment = make_payment()
    say(payment.ben, payment.item)
    plan = announced(payment)
    assert plan.next_at - plan.announced_at >= timedelta(days=1)
    assert sweep_drills() == 0
    assert not Drill.objects.exists()
    entry = Entry.objects.get(name="drills.announced")
    assert entry.payload["text"] == WORDS


def test_only_who_manages_the_queue_turns_them_on_and_off():
    payment = make_payment()
    for person in (payment.ada, make_user()):
        with pytest.raises(NotAllowedError):
            services.plan_drills(person, queue=payment.queue, per_week=1, announcement=WORDS)
        with pytest.raises(NotAllowedError):
            services.end_drills(person, queue=payment.queue)
    assert not DrillPlan.objects.exists()


@pytest.mark.parametrize(
    ("said", "field"),
    [({"per_week": 0}, "per_week"), ({"per_week": 11}, "per_week"), ({"announcement": " "}, "announcement"),
     ({"announcement": "x" * 501}, "announcement")],
)  # fmt: skip
def test_there_is_no_drill_without_an_announcement(said, field):
    with pytest.raises(InvalidError) as refusal:
        announced(make_payment(), **said)
    assert list(refusal.value.errors) == [field]
    assert not DrillPlan.objects.exists()


def test_the_inbox_and_the_page_say_where_drills_are(client):
    payment = make_payment()
    announced(payment)
    client.force_login(payment.ada)
    assert "announced drills in" in client.get("/inbox/").content.decode()
    page = client.get("/inbox/drills/").content.decode()
    assert WORDS in page
    assert "plan-drills" not in page
    assert "Announce drills" not in page
    client.force_login(make_user())
    assert "announced drills in" not in client.get("/inbox/").content.decode()


def test_an_administrator_turns_them_on_and_off_by_the_page(client):
    payment = make_payment()
    client.force_login(make_admin())
    path, slug = reverse("oversight:plan-drills", args=[payment.queue.slug]), payment.queue.slug
    assert client.post(path, {f"{slug}-per_week": "99", f"{slug}-announcement": ""}).status_code == 422
    assert client.post(path, {f"{slug}-per_week": "3", f"{slug}-announcement": WORDS}).status_code == 302
    assert DrillPlan.objects.get().per_week == 3
    assert "Turn off" in client.get("/inbox/drills/").content.decode()
    assert client.post(reverse("oversight:end-drills", args=[slug])).status_code == 302
    assert DrillPlan.objects.get().ended_at is not None
    client.force_login(payment.ada)
    assert client.post(path, {f"{slug}-per_week": "3", f"{slug}-announcement": WORDS}).status_code == 404


# -- looks like any other


def test_it_looks_like_the_real_item_but_for_its_fault(client):
    payment, drill, person = make_drill()
    item = escalation_for(person, drill.pk)
    real = escalation_for(person, payment.item.pk)
    shown, told = row_for(person, item), row_for(person, real)
    same = ("kind", "queue", "groups", "unit", "risk", "priority", "agent", "operation", "currency")
    assert [shown[name] for name in same] == [told[name] for name in same]
    assert set(shown) == set(told)
    detail = detail_for(person, item)
    assert detail["parameters"] != payment.action.parameters or drill.fault == "documents"
    assert detail["drill"] is None
    assert [line["name"] for line in detail["timeline"]] == ["escalation.pending"]
    assert detail["timeline"][0]["by"] == payment.agent.user.username
    client.force_login(person)
    page = client.get(reverse("oversight:item", args=[drill.pk])).content.decode()
    assert "Waits for you" in page
    detail_part = page.partition('id="detail"')[2]
    assert "drill" not in detail_part.lower()
    assert "Will call" in page or item.consequence in page
    assert str(drill.pk) in client.get("/inbox/").content.decode()


def test_nobody_else_meets_it_in_a_list_and_colleagues_cannot_open_it():
    payment, drill, person = make_drill()
    other = payment.ben if person == payment.ada else payment.ada
    assert drill.pk in inbox_for(person).values_list("pk", flat=True)
    assert counts_for(person).mine == 1
    for view in ("mine", "team", "unassigned"):
        assert not inbox_for(other, view=view).exists()
    assert counts_for(other).mine == 0
    for call in (lambda: escalation_for(other, drill.pk), lambda: say(other, drill.item, version=1)):
        with pytest.raises(NotFoundError):
            call()


def test_auditors_are_told_what_it_is_and_the_ledger_calls_it_a_drill():
    _payment, drill, person = make_drill()
    auditor = make_admin()
    assert sheet_for(auditor, escalation_for(auditor, drill.pk)).drill == drill
    assert sheet_for(person, escalation_for(person, drill.pk)).drill is None
    entry = Entry.objects.get(subject_id=drill.pk)
    assert (entry.name, entry.subject_kind, entry.payload["for"]) == ("drill.opened", "drill", person.username)


def test_agents_never_meet_it():
    payment, drill, _person = make_drill()
    agent = Client(headers={"Authorization": f"Bearer {make_key_for(payment.agent)}"})
    for path in (f"escalations/{drill.pk}/", f"actions/{drill.shown_action_id}/", "escalations/"):
        assert agent.get(f"/api/v1/{path}").status_code in {403, 404}
    assert agent.get("/api/v1/actions/").json()["results"] == [
        agent.get(f"/api/v1/actions/{payment.action.pk}/").json()
    ]


# -- nothing follows


def test_whoever_approves_it_is_told_at_once_that_they_missed_it(client):
    _payment, drill, person = make_drill()
    client.force_login(person)
    item = escalation_for(person, drill.pk)
    path = reverse("oversight:decide", args=[drill.pk])
    said = {"verdict": "approve", "version": 1, "view_hash": item.view_hash()}
    page = client.post(path, said, follow=True).content.decode()
    assert "This was a drill, and you approved it." in page
    assert "What was wrong" in page
    assert f"/actions/{drill.shown_action_id}/" not in page
    assert names_of(drill) == ["drill.opened", "drill.answered"]
    drill.refresh_from_db()
    assert (drill.outcome, drill.verdict) == ("missed", "approve")
    assert not inbox_for(person).exists()


def test_whoever_rejects_it_caught_it():
    _payment, drill, person = make_drill()
    item = say(person, drill.item, "reject", reason="another account")
    assert (item.state, item.decided_by, item.title.startswith("Drill in")) == ("cancelled", None, True)
    told = detail_for(person, escalation_for(person, drill.pk))["drill"]
    assert (told["outcome"], told["fault"]) == ("caught", drill.fault)


def test_a_rejection_still_needs_its_reason_and_a_stale_page_is_refused():
    _payment, drill, person = make_drill()
    with pytest.raises(InvalidError):
        say(person, drill.item, "reject")
    with pytest.raises(ConflictError):
        say(person, drill.item, version=2)
    assert Drill.objects.get().outcome == "open"


def everything():
    return (
        Grant.objects.count(),
        Vote.objects.count(),
        StandingApproval.objects.count(),
        list(Action.objects.order_by("id").values()),
        Entry.objects.filter(name__startswith="grant.").count(),
    )


DOORS = {
    "vote": lambda person, item: say(person, item),
    "edit and approve": lambda person, item: say(person, item, parameters={**item.action.parameters, "iban": "DE9999"}),
    "held": lambda person, item: say(person, item, hold_s=1),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_approval_releases_anything(door):
    _payment, drill, person = make_drill()
    before = everything()
    item = DOORS[door](person, escalation_for(person, drill.pk))
    assert item.state == "cancelled"
    while deliver_reactions():
        pass
    sweep_escalations()
    assert everything() == before
    with pytest.raises(ConflictError):
        say(person, drill.item, version=1)


def test_the_api_releases_nothing():
    _payment, drill, person = make_drill()
    before = everything()
    caller = Client(headers={"Authorization": f"Bearer {create_token(person, user=person)}"})
    said = caller.post(
        f"/api/v1/escalations/{drill.pk}/decision/",
        json.dumps({"verdict": "approve", "version": 1}),
        content_type="application/json",
        headers={"Idempotency-Key": "k1"},
    )
    assert said.status_code == 200, said.content
    assert said.json()["drill"]["outcome"] == "missed"
    assert said.json()["state"] == "cancelled"
    assert everything() == before


def test_many_at_once_release_nothing():
    _payment, drill, person = make_drill(obligations={"bulk": {"risk": "medium", "items": 10}})
    before = everything()
    services.start_bulk(person, ids=[drill.pk], verdict="approve")
    while services.perform_due_items():
        pass
    assert Drill.objects.get().outcome == "missed"
    assert everything() == before


def test_whatever_else_is_done_with_an_item_is_refused_and_changes_nothing():
    payment, drill, person = make_drill()
    other = payment.approver()
    acts = [
        lambda: services.delegate_escalation(person, escalation_id=drill.pk, to=other.username),
        lambda: services.escalate_by_hand(person, escalation_id=drill.pk, reason="x"),
        lambda: services.extend_escalation(person, escalation_id=drill.pk, reason="x", by_s=60),
        lambda: services.comment_escalation(person, escalation_id=drill.pk, text="x"),
        lambda: services.ask_agent(person, escalation_id=drill.pk, text="x"),
        lambda: services.make_standing_approval(person, escalation_id=drill.pk, version=1, days=1, times=1),
        lambda: services.propose_rule(person, escalation_id=drill.pk, effect="deny", reason="x"),
        lambda: services.withdraw_vote(person, escalation_id=drill.pk),
        lambda: services.undo_decision(person, escalation_id=drill.pk),
    ]
    before = Entry.objects.count()
    for act in acts:
        with pytest.raises(ConflictError) as refusal:
            act()
        assert refusal.value.code == "drill"
    assert Entry.objects.count() == before
    services.claim_escalation(person, escalation_id=drill.pk)
    services.release_escalation(person, escalation_id=drill.pk)
    until = drill.created_at + timedelta(seconds=120)
    services.snooze_escalation(person, escalation_id=drill.pk, until=until)
    assert names_of(drill) == ["drill.opened", "drill.claimed", "drill.released", "drill.snoozed"]


@pytest.mark.parametrize(
    "change",
    [
        {"state": "approved"},
        {"state": "held"},
        {"release": 1},
        {"run_id": uuid7()},
        {"task_id": uuid7()},
        {"drill_for": None},
        {"kind": "approval"},
    ],
)
def test_postgresql_refuses_to_make_anything_of_it(change):
    payment, drill, person = make_drill()
    decided = {"decided_by": person, "decided_at": ClockTimestamp(), "ended_at": ClockTimestamp()}
    more = decided if change.get("state") == "approved" else {}
    more = {"decided_by": person, "decided_at": ClockTimestamp()} if change.get("state") == "held" else more
    with pytest.raises(IntegrityError), transaction.atomic():
        Escalation.everything.filter(pk=drill.pk).update(**change, **more)
    with pytest.raises(IntegrityError), transaction.atomic():
        Escalation.everything.filter(pk=drill.pk).update(action=payment.action)
    with pytest.raises(IntegrityError), transaction.atomic():
        Escalation.everything.filter(pk=make_payment().item.pk).update(drill_for=person)


def test_postgresql_refuses_a_grant_a_vote_and_an_approval_in_advance():
    payment, drill, person = make_drill()
    soon = ClockTimestamp() + timedelta(hours=1)
    Grant.objects.filter(action=payment.action).delete()
    rows = [
        lambda: Grant.objects.create(action=payment.action, escalation=drill.item, digest="sha256:x", expires_at=soon),
        lambda: Vote.objects.create(escalation=drill.item, voter=person, verdict="approve", version=1),
        lambda: StandingApproval.objects.create(
            item=drill.item,
            maker=person,
            agent=payment.agent,
            operation="x",
            times=1,
            until=soon,
            release=1,
            rule="a/b",
        ),
    ]
    for row in rows:
        with pytest.raises(IntegrityError, match="nothing follows from a drill"), transaction.atomic():
            row()


# -- counted nowhere


def test_it_is_in_no_figure_of_work():
    payment, drill, person = make_drill()
    facts, pace = ApprovalFact.objects.count(), pace_for(person)
    assert not Escalation.objects.filter(pk=drill.pk).exists()
    say(person, drill.item, "reject", reason="no")
    while deliver_reactions():
        pass
    assert ApprovalFact.objects.count() == facts
    assert pace_for(person) == pace
    other = escalate(propose(payment.agent, payment.operation, payment.action.parameters), payment.operation)
    assert str(drill.pk) not in repr(precedent_for(person, other))
    assert not Entry.objects.filter(subject_id=drill.pk, name__startswith="escalation.").exists()


def test_the_quality_page_shows_a_queue_without_people_and_each_person_their_own(client):
    payment, drill, person = make_drill()
    say(person, drill.item, "reject", reason="no")
    admin = make_admin()
    client.force_login(admin)
    page = client.get("/dashboards/oversight/").content.decode()
    assert "too few people to say" in page
    assert person.username not in page.partition("<main")[2]
    assert "Your drills" not in page
    grant(person, make_role("kpis.view_kpi"), payment.unit)
    client.force_login(person)
    assert "Your drills" in client.get("/dashboards/oversight/").content.decode()


# -- attention, halts, ends


def test_none_for_whoever_has_more_waiting_than_their_attention_bears(monkeypatch):
    payment = make_payment()
    say(payment.ben, payment.item)
    announced(payment)
    monkeypatch.setattr("apps.oversight.selectors.drills.MAX_WAITING", 1)
    for _ in range(2):
        escalate(propose(payment.agent, payment.operation, payment.action.parameters), payment.operation)
    assert due() == 0
    assert not Drill.objects.exists()


def test_one_is_taken_away_when_real_work_comes(monkeypatch):
    payment, _drill, _person = make_drill()
    monkeypatch.setattr("apps.oversight.selectors.drills.MAX_WAITING", 1)
    for amount in (300_000, 400_000):
        real = {**payment.action.parameters, "amount_minor": amount}
        assert not withdrawn("attention")
        escalate(propose(payment.agent, payment.operation, real), payment.operation)
        sweep_drills()
    assert withdrawn("attention")


def test_nobody_has_two_at_once_and_a_week_has_no_more_than_was_said():
    _payment, _drill, _person = make_drill()
    assert due() == 1
    assert due() == 0
    assert Drill.objects.count() == 2
    assert len(set(Drill.objects.values_list("item__drill_for", flat=True))) == 2


def test_none_while_a_halt_stands():
    payment, drill, person = make_drill()
    halt = engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="stop")
    with pytest.raises(HaltedError):
        say(person, drill.item)
    assert due() == 1
    assert withdrawn("halted")
    assert Halt.objects.get(pk=halt.pk).lifted_at is None
    assert Drill.objects.count() == 1


def test_critical_risk_only_where_it_was_said():
    payment = make_payment(risk="critical")
    for person in (payment.ben, payment.ada):
        say(person, payment.item, stepped_up=True, restated=payment.item.restated()[0])
    announced(payment)
    assert due() == 0
    announced(payment, critical=True)
    assert due() == 1


def test_turning_off_takes_those_away_that_wait():
    payment, drill, person = make_drill()
    assert services.end_drills(make_admin(), queue=payment.queue) == 1
    assert withdrawn("turned_off")
    assert names_of(drill) == ["drill.opened", "drill.withdrawn"]
    assert due() == 0
    with pytest.raises(ConflictError):
        services.end_drills(make_admin(), queue=payment.queue)
    with pytest.raises(ConflictError):
        say(person, drill.item, version=1)


def test_what_nobody_answers_or_whose_agent_stops_goes():
    payment, _drill, _person = make_drill()
    Agent.objects.filter(pk=payment.agent.pk).update(state="suspended")
    sweep_drills()
    assert withdrawn("agent_stopped")


def test_nothing_is_overdue_by_it():
    _payment, drill, _person = make_drill()
    Escalation.everything.filter(pk=drill.pk).update(due_at=ClockTimestamp() - timedelta(seconds=1))
    sweep_escalations()
    assert Escalation.everything.get(pk=drill.pk).overdue_at is None
    sweep_drills()
    assert withdrawn("not_answered")
