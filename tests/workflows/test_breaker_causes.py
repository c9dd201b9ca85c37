"""Breakers that count one cause alone, and what a halt says of what was counted."""

import json

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import InvalidError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.models import Breaker, Halt, Trip
from apps.halts.rules import BreakerTerms, FailureCause
from apps.halts.services import save_breaker
from apps.workflows.rules.causes import CODES, causes_of
from apps.workflows.services.breakers import check_breakers
from tests.factories.access import make_admin, make_holder, make_unit
from tests.workflows.actions import make_desk, rules_of, work
from tests.workflows.test_breakers import deny, set_breaker

pytestmark = pytest.mark.django_db
ERRORS = [
    *({"code": code, "message": "", "status": None} for codes in CODES.values() for code in sorted(codes)),
    {"code": "permission", "message": ""},
    {"code": "no_answer", "message": "", "by": "agent"},
    None,
]
"""An error of every kind: of calls, of the plane, of an agent that says the same as a system would."""


def with_cause(cause: str, kind: str = "failed", **more) -> Breaker:
    breaker = set_breaker(kind, **more)
    Breaker.objects.filter(pk=breaker.pk).update(cause=cause)
    return breaker


@pytest.mark.parametrize("cause", list(FailureCause))
def test_it_counts_just_what_an_action_says_of_its_cause(cause):
    desk = make_desk()
    for number, error in enumerate(ERRORS):
        for state in ("failed", "unknown"):
            found = desk.ask(1_000 + number).json()["id"]
            Action.objects.filter(pk=found).update(state=state, error=error, finished_at=ClockTimestamp())
    with_cause(cause, threshold=1)
    assert check_breakers() == 1
    trip = Trip.objects.get()
    counted = {
        str(row.pk)
        for row in Action.objects.all()
        if cause in causes_of(row.state, error=row.error, verdict=row.verdict)
    }
    assert counted
    assert (trip.measured, set(trip.actions)) == (len(counted), counted)
    assert cause in Halt.objects.get().reason


def test_a_system_that_answers_with_an_error_and_one_that_says_no_are_told_apart(system):
    desk = make_desk(system.url)
    with_cause("server_error", threshold=1)
    system.will(status=400)
    desk.ask(100)
    work()
    assert check_breakers() == 0
    system.will(status=500)
    desk.ask(200)
    work()
    assert Action.objects.filter(state="unknown").count() == 1
    assert check_breakers() == 1
    trip = Trip.objects.get()
    assert (trip.cause, trip.measured) == ("server_error", 1)


def test_only_what_one_rule_denied_counts():
    desk = make_desk()
    rules_of(
        desk,
        {"slug": "huge", "when": "action.amount_minor > 10000000", "effect": "deny", "message": "Never."},
        {"slug": "odd", "when": "action.amount_minor == 7", "effect": "deny", "message": "Not seven."},
        {"slug": "small", "when": "action.amount_minor <= 100000", "effect": "allow"},
    )
    with_cause(f"{desk.policy.slug}/odd", "denied", threshold=2)
    deny(desk, 3)
    desk.ask(7)
    assert check_breakers() == 0
    last = desk.ask(7, parameters={"iban": "DE99"}).json()
    assert last["state"] == "denied"
    assert check_breakers() == 1
    trip = Trip.objects.get()
    assert (trip.measured, trip.actions[0]) == (2, last["id"])
    assert len(trip.actions) == 2
    told = Entry.objects.get(name="breaker.opened").payload
    assert (told["cause"], told["actions"]) == (f"{desk.policy.slug}/odd", trip.actions)


def test_what_no_rule_allowed_is_a_cause_too():
    desk = make_desk()
    rules_of(desk, {"slug": "small", "when": "action.amount_minor <= 1000", "effect": "allow"})
    with_cause("no_matching_allow", "denied", threshold=1)
    assert check_breakers() == 0
    desk.ask(2_000)
    assert check_breakers() == 1


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("denied", "timeout"), ("denied", "a/b/c"), ("failed", "payments/huge"), ("rejected", "timeout"), ("spend", "x")],
)
def test_a_cause_that_does_not_fit_what_is_counted_is_refused(kind, cause):
    terms = BreakerTerms(kind, "agent", 3, 60, "EUR" if kind == "spend" else "", cause)
    with pytest.raises(InvalidError) as refused:
        save_breaker(system_user("console"), slug="mine", terms=terms)
    assert set(refused.value.errors) == {"cause"}
    assert not Breaker.objects.filter(slug="mine").exists()


def test_the_halt_shows_what_was_counted_to_whoever_may_see_it(client):
    desk = make_desk()
    set_breaker(threshold=3)
    deny(desk, 3)
    check_breakers()
    halt = Halt.objects.get()
    client.force_login(make_admin())
    page = client.get(f"/halts/{halt.pk}/").content.decode()
    assert page.count(f"{desk.policy.slug}/huge") == 3
    told = client.get(f"/api/v1/halts/{halt.pk}/counted/").json()
    assert (told["breaker"], told["measured"], told["threshold"], told["cause"]) == ("mine", 3, 3, "")
    assert [each["causes"] for each in told["actions"]] == [[f"{desk.policy.slug}/huge"]] * 3
    elsewhere = Client()
    elsewhere.force_login(make_holder("halts.engage_halt", "agents.view_agent", unit=make_unit()))
    assert elsewhere.get(f"/api/v1/halts/{halt.pk}/counted/").json()["actions"] == []
    assert "You may see none" in elsewhere.get(f"/halts/{halt.pk}/").content.decode()
    Trip.objects.all().delete()
    assert client.get(f"/api/v1/halts/{halt.pk}/counted/").status_code == 404


def test_money_is_typed_and_shown_in_whole_currency(client):
    desk = make_desk()
    set_breaker("denied", threshold=10**6)
    client.force_login(make_admin())
    typed = {
        "slug": "money", "name": "Money", "kind": "spend", "scope": "agent", "target": desk.agent.slug,
        "threshold": "1500.50", "window_s": 60, "currency": "EUR", "cause": "",
    }  # fmt: skip
    assert "more digits" in client.post("/new-breaker/", {**typed, "threshold": "1.005"}).content.decode()
    assert "A whole number" in client.post(
        "/new-breaker/", {**typed, "kind": "denied", "currency": "", "threshold": "1.5"}
    ).content.decode()  # fmt: skip
    assert client.post("/new-breaker/", typed).status_code == 302
    assert Breaker.objects.get(slug="money").threshold == 150_050
    assert 'value="1500.50"' in client.get("/breakers/money/").content.decode()
    desk.ask(90_000)
    desk.ask(70_000)
    assert check_breakers() == 1
    halt = Halt.objects.get()
    assert "1,600.00 EUR" in halt.reason
    assert "1,500.50 EUR" in halt.reason
    assert "1,600.00 EUR" in client.get(f"/halts/{halt.pk}/").content.decode()


def test_a_cause_by_page_api_and_document_and_an_export_changes_nothing(client):
    desk = make_desk()
    client.force_login(make_admin())
    rule = f"{desk.policy.slug}/huge"
    typed = {
        "slug": "mine", "name": "Mine", "kind": "denied", "scope": "agent", "target": "", "threshold": 3,
        "window_s": 60, "currency": "", "cause": rule,
    }  # fmt: skip
    assert "rule of this name" in client.post("/new-breaker/", {**typed, "cause": "nothing/here"}).content.decode()
    assert client.post("/new-breaker/", typed).status_code == 302
    assert rule in client.get("/breakers/").content.decode()
    body = {"kind": "failed", "scope": "agent", "threshold": 3, "window_s": 60, "cause": "timeout"}
    answer = client.put("/api/v1/breakers/yours/", json.dumps(body), content_type="application/json")
    assert answer.json()["cause"] == "timeout"
    wrong = client.put("/api/v1/breakers/yours/", json.dumps({**body, "cause": "x"}), content_type="application/json")
    assert list(wrong.json()["errors"]) == ["cause"]
    console = system_user("console")
    text = f"kind: Breaker\nslug: yours\ncounts: denied\nscope: agent\nthreshold: 3\nwindow_s: 60\ncause: {rule}\n"
    assert apply_texts(console, texts={"b.yaml": text}, approved_by=make_admin())[0].outcome == "changed"
    exported = export_for(console, kinds=["Breaker"])
    assert {each.outcome for each in apply_texts(console, texts={"out.yaml": exported})} == {"unchanged"}
    with pytest.raises(ConfigurationError):
        apply_texts(console, texts={"b.yaml": text.replace(rule, "nothing/here")})
