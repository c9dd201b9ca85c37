"""Focus: a sitting with a beginning, progress and an end, told as a person goes through it."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.selectors import inbox_for, sitting_for
from tests.factories.access import make_holder
from tests.factories.oversight import Payment, escalate, make_payment, nothing_happens, propose, say

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true", "HX-Target": "detail"}


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def three() -> tuple[Payment, list[Escalation]]:
    """Three payments, the second of another risk, so that the like ones do not stand together by due date."""
    payment = make_payment()
    made = [payment.item]
    for amount in (300_000, 400_000):
        action = propose(payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": amount})
        made.append(escalate(action, payment.operation))
    Escalation.objects.filter(pk=made[1].pk).update(risk="low")
    for place, item in enumerate(made):
        Escalation.objects.filter(pk=item.pk).update(due_at=timezone.now() + timedelta(hours=2, minutes=place))
    return payment, made


def test_the_summary_says_how_many_how_long_and_until_when() -> None:
    payment, _items = three()
    page = signed_in(payment.ada).get("/inbox/focus/").content.decode()
    assert re.search(r"3 items, about 2 minutes, [123] of them due before\s+<time", page)
    assert "Assuming 45 s a decision" in page


def test_a_sitting_keeps_like_items_together_and_is_told_to_its_end() -> None:
    payment, (first, second, third) = three()
    client = signed_in(payment.ada)
    assert client.post("/inbox/focus/start/")["Location"] == f"/inbox/{first.pk}/?focus=1"
    page = client.get(f"/inbox/{first.pk}/?focus=1").content.decode()
    assert "1 of 3" in page
    assert 'id="list"' not in page
    answer = client.post(f"/inbox/{first.pk}/decision/?focus=1", {"verdict": "approve", "version": 1}, headers=FRAGMENT)
    assert answer["HX-Push-Url"] == f"/inbox/{third.pk}/?focus=1"
    assert 'id="focus-bar" hx-swap-oob="true"' in answer.content.decode()
    assert "2 of 3" in answer.content.decode()
    assert 'id="list-count"' not in answer.content.decode()
    assert client.get("/inbox/focus/next/")["Location"] == f"/inbox/{third.pk}/?focus=1"
    assert client.post(f"/inbox/{third.pk}/skip/")["Location"] == f"/inbox/{second.pk}/?focus=1"
    ended = client.post(f"/inbox/{second.pk}/decision/?focus=1", {"verdict": "approve", "version": 1}, headers=FRAGMENT)
    assert ended["HX-Redirect"] == "/inbox/focus/"
    page = client.get("/inbox/focus/").content.decode()
    assert "Done: 2 decided, 1 skipped" in page
    assert "1 item, about 1 minute" in page  # what was skipped can be begun anew


def test_without_script_a_decision_leads_to_the_next_item_of_the_sitting() -> None:
    payment, (first, _second, third) = three()
    client = signed_in(payment.ada)
    client.post("/inbox/focus/start/")
    answer = client.post(f"/inbox/{first.pk}/decision/?focus=1", {"verdict": "approve", "version": 1})
    assert answer["Location"] == f"/inbox/{third.pk}/?focus=1"


def test_what_others_settle_meanwhile_is_counted_and_not_shown() -> None:
    payment, (first, second, third) = three()
    client = signed_in(payment.ada)
    client.post("/inbox/focus/start/")
    say(payment.ben, third)
    client.post(f"/inbox/{first.pk}/decision/?focus=1", {"verdict": "approve", "version": 1})
    client.post(f"/inbox/{second.pk}/decision/?focus=1", {"verdict": "approve", "version": 1})
    assert "Done: 2 decided, 0 skipped, 1 settled without you" in client.get("/inbox/focus/").content.decode()


def test_a_refused_decision_stays_on_its_item() -> None:
    payment, (first, _second, _third) = three()
    client = signed_in(payment.ada)
    client.post("/inbox/focus/start/")
    with nothing_happens():
        answer = client.post(f"/inbox/{first.pk}/decision/?focus=1", {"verdict": "reject", "version": 1})
    assert answer.status_code == 422
    assert "1 of 3" in answer.content.decode()


def test_stopping_forgets_the_sitting_and_decides_nothing() -> None:
    payment, (first, *_rest) = three()
    client = signed_in(payment.ada)
    client.post("/inbox/focus/start/")
    with nothing_happens():
        assert client.post("/inbox/focus/end/")["Location"] == "/inbox/"
        assert client.post(f"/inbox/{first.pk}/skip/")["Location"] == "/inbox/focus/"
    assert 'id="list"' in client.get(f"/inbox/{first.pk}/?focus=1").content.decode()


def test_with_nothing_to_do_there_is_nothing_to_start() -> None:
    payment = make_payment()
    say(payment.ben, payment.item)
    client = signed_in(payment.ada)
    assert "Nothing waits for you" in client.get("/inbox/focus/").content.decode()
    assert client.post("/inbox/focus/start/")["Location"] == "/inbox/focus/"


def test_a_sitting_holds_fifty_at_most() -> None:
    payment = make_payment()
    for number in range(52):
        action = propose(
            payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": 200_000 + number}
        )
        escalate(action, payment.operation)
    assert len(sitting_for(payment.ada, inbox_for(payment.ada)).ids) == 50


def test_who_may_not_see_the_inbox_may_not_focus() -> None:
    client = signed_in(make_holder("kpis.view_kpi"))
    assert client.get("/inbox/focus/").status_code == 403
    assert client.post("/inbox/focus/start/").status_code == 403
