"""Asking the agent before deciding, and holding one's own decisions."""

from datetime import timedelta

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.core.errors import NotAllowedError
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Comment, DecidingHabit, Escalation, EscalationGroup
from apps.oversight.services import (
    answer_comment,
    ask_agent,
    climb_ladders,
    expire_escalations,
    freeze_clocks,
    mark_overdue,
    release_held,
    thaw_clocks,
)
from tests.factories.access import make_holder, make_user
from tests.factories.agents import make_key_for
from tests.factories.oversight import make_escalation, make_payment, say
from tests.oversight.test_api import BASE, caller, nothing_but_a_note, post
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def ask(person, item, text="Which contract is this under?"):
    return post(caller(person), f"{BASE}{item.pk}/comment/", {"text": text, "ask": True})


def ago(item, **columns):
    """The item as if these columns had been written that much earlier."""
    Escalation.objects.filter(pk=item.pk).update(
        **{name: getattr(Escalation.objects.get(pk=item.pk), name) - span for name, span in columns.items()}
    )


def test_a_question_stops_the_due_time_and_not_the_expiry_until_the_agent_answers():
    payment = make_payment()
    assert ask(payment.ada, payment.item).status_code == 201
    assert payment.now().sla_paused_at is not None
    ago(payment.item, sla_paused_at=10 * MINUTE)
    answer_comment(payment.agent.user, action=payment.action, text="The one of May.")
    now = payment.now()
    assert now.sla_paused_at is None
    assert timedelta() <= now.due_at - payment.item.due_at - 10 * MINUTE < MINUTE
    assert now.expires_at == payment.item.expires_at
    assert now.version == 1
    names = Entry.objects.filter(subject_id=payment.item.pk).order_by("id").values_list("name", flat=True)
    assert list(names)[1:] == [
        "escalation.commented",
        "escalation.asked",
        "escalation.commented",
        "escalation.replied",
    ]


def test_the_agent_is_woken_once_and_sees_what_is_asked():
    desk = make_desk()
    action = desk.ask(150_000).json()
    item = Escalation.objects.get(action=action["id"])
    assert action["question"] is None
    ask(desk.approver, item)
    ask(desk.approver, item, "And who signed it?")
    seen = desk.get(f"actions/{action['id']}/").json()["question"]
    assert (seen["text"], seen["by"]) == ("And who signed it?", desk.approver.username)
    assert Entry.objects.filter(name="action.asked", subject_id=action["id"]).count() == 1
    assert desk.post(f"actions/{action['id']}/comments/", {"text": "Ms. Roe did."}).status_code == 201
    assert desk.get(f"actions/{action['id']}/").json()["question"] is None
    ask(desk.approver, item, "When?")
    assert Entry.objects.filter(name="action.asked", subject_id=action["id"]).count() == 2


def test_while_a_question_is_open_nothing_is_late_and_nothing_moves_but_it_expires():
    payment = make_payment()
    boss = make_payment().queue
    payment.queue.escalation = [{"after_s": 60, "to": boss.slug}]
    payment.queue.save(update_fields=["escalation"])
    ask(payment.ada, payment.item)
    ago(payment.item, due_at=timedelta(days=2))
    EscalationGroup.objects.filter(escalation=payment.item).update(climbs_at=payment.item.created_at)
    assert (mark_overdue(), climb_ladders()) == (0, 0)
    answer_comment(payment.agent.user, action=payment.action, text="Here.")
    assert mark_overdue() == 1
    assert climb_ladders() == 1
    other = make_payment()
    ask(other.ada, other.item)
    ago(other.item, expires_at=timedelta(days=9))
    assert expire_escalations() == 1


def test_a_halt_over_an_open_question_gives_each_second_back_once():
    payment = make_payment()
    ask(payment.ada, payment.item)
    boss, other = (make_holder("halts.engage_halt", "halts.lift_halt", unit=payment.unit) for _ in range(2))
    halt = engage_halt(boss, scope="agent", target=payment.agent.slug, unit=payment.unit, reason="Look.")
    freeze_clocks(boss, halt=halt)
    ago(payment.item, sla_paused_at=10 * MINUTE, frozen_at=4 * MINUTE)
    lift_halt(other, halt_id=halt.pk, reason="Fine.")
    thaw_clocks(other, halt=halt)
    answer_comment(payment.agent.user, action=payment.action, text="Here.")
    gained = payment.now().due_at - payment.item.due_at
    assert timedelta() <= gained - 10 * MINUTE < MINUTE


def test_a_decision_does_not_wait_for_the_answer():
    payment = make_payment()
    ask(payment.ada, payment.item)
    assert say(payment.ben, payment.item).state == "approved"
    answer_comment(payment.agent.user, action=payment.action, text="Too late?")
    assert Comment.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "", "ask": True}, "text"),
        ({"text": "x" * 4001, "ask": True}, "text"),
        ({"text": "Why?", "ask": "yes"}, "ask"),
        ({"text": "Why?", "ask": 1}, "ask"),
        ({"ask": True}, "text"),
    ],
)
def test_questions_that_do_not_fit_are_refused(body, field):
    payment = make_payment()
    with nothing_but_a_note():
        answer = post(caller(payment.ada), f"{BASE}{payment.item.pk}/comment/", body)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})


def test_only_who_may_decide_stops_a_clock_and_only_where_an_agent_waits():
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    step = make_escalation(queue=payment.queue)
    with nothing_but_a_note():
        assert ask(viewer, payment.item).status_code == 403
        assert ask(make_user(), payment.item).status_code == 404
        assert set(ask(payment.ada, step).json()["errors"]) == {"ask"}
    say(payment.ben, payment.item)
    with nothing_but_a_note():
        assert ask(payment.ada, payment.item).json()["code"] == "already_decided"


# One's own hold


def test_a_person_s_own_hold_keeps_decisions_back_and_they_can_be_undone():
    payment = make_payment()
    client = caller(payment.ada)
    assert client.get("/api/v1/me/deciding/").json() == {"hold_s": 0}
    answer = client.put("/api/v1/me/deciding/", {"hold_s": 20}, content_type="application/json")
    assert answer.json() == {"hold_s": 20}
    item = say(payment.ada, payment.item)
    assert item.state == "held"
    assert timedelta(seconds=19) < item.releases_at - item.decided_at < timedelta(seconds=21)
    assert release_held() == 0
    undone = post(client, f"{BASE}{payment.item.pk}/undo/", {})
    assert (undone.status_code, undone.json()["state"]) == (200, "pending")
    assert say(payment.ada, payment.item, "reject", reason="No.").state == "held"
    ago(payment.item, releases_at=MINUTE)
    assert release_held() == 1
    assert payment.now().state == "rejected"


def test_a_hold_that_is_said_is_taken_instead_and_a_rule_s_own_is_the_least():
    payment, strict = make_payment(), make_payment(obligations={"hold": "30s"})
    DecidingHabit.objects.create(person=payment.ada, hold_s=20)
    assert say(payment.ada, payment.item, hold_s=0).state == "approved"
    assert say(strict.ada, strict.item, hold_s=0).state == "held"


@pytest.mark.parametrize("hold_s", [-1, 61, "20", True, None, 1.5])
def test_a_hold_beyond_its_bounds_changes_nothing(hold_s):
    payment = make_payment()
    with nothing_but_a_note():
        answer = caller(payment.ada).put("/api/v1/me/deciding/", {"hold_s": hold_s}, content_type="application/json")
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"hold_s"})
    assert not DecidingHabit.objects.exists()


def test_agents_hold_nothing():
    payment = make_payment()
    with_key = {"Authorization": f"Bearer {make_key_for(payment.agent)}"}
    assert Client(headers=with_key).get("/api/v1/me/deciding/").status_code == 403


def test_a_question_is_asked_by_people_alone():
    payment = make_payment()
    with nothing_but_a_note(), pytest.raises(NotAllowedError) as caught:
        ask_agent(payment.agent.user, escalation_id=payment.item.pk, text="Me?")
    assert caught.value.code == "not_allowed"
