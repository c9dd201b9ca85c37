"""What waits for people, over HTTP: by session and by token, for people only."""

import json
from contextlib import contextmanager

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.access.services import create_token
from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.oversight.models import Vote
from tests.factories.access import make_user
from tests.factories.agents import make_key_for
from tests.factories.oversight import make_escalation, make_payment, snapshot

pytestmark = pytest.mark.django_db

BASE = "/api/v1/escalations/"


def caller(user):
    token = create_token(user, user=user)
    return Client(headers={"Authorization": f"Bearer {token}"})


@contextmanager
def nothing_but_a_note():
    """Refused writes change nothing and leave a line: who tried which door."""
    before = snapshot()
    yield
    after = snapshot()
    told = Entry.objects.exclude(name="request.refused").order_by("id").values_list("name", flat=True)
    new = list(told[before.pop("entries") : after.pop("entries")])
    assert after == before
    assert set(new) <= {"personaltoken.created"}


def post(client, path, body, **headers):
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def decide(client, item, **body):
    return post(client, f"{BASE}{item.pk}/decision/", {"verdict": "approve", "version": 1, **body})


def test_the_detail_says_what_the_interface_promises():
    payment = make_payment(quorum=2)
    answer = caller(payment.ada).get(f"{BASE}{payment.item.pk}/").json()
    assert answer["kind"] == "action"
    assert answer["state"] == "pending"
    assert answer["queue"] == payment.queue.slug
    assert answer["action"] == str(payment.action.pk)
    assert answer["run"] is None
    assert answer["parameters"] == payment.action.parameters
    assert answer["consequence"] == "Will pay 2,500.00 EUR to DE0017."
    assert answer["verdict"]["rules"][0]["message"] == "Payments above 1,000.00 need a person."
    assert answer["quorum"] == {"needed": 2, "votes": [], "hidden": False}
    assert answer["allowed"]["approve"] == {"restate": None, "step_up": False, "edit": True}
    assert answer["digest"] == payment.action.digest
    assert [line["name"] for line in answer["timeline"]] == [
        "action.pending_approval",
        "escalation.pending",
    ]


def test_a_list_leaves_out_parameters_verdict_and_timeline():
    payment = make_payment()
    row = caller(payment.ada).get(BASE, {"state": "pending"}).json()["results"][0]
    assert row["id"] == str(payment.item.pk)
    assert row["allowed"]["approve"]["step_up"] is False
    assert not {"parameters", "verdict", "timeline"} & set(row)


def test_a_list_turns_its_pages_by_due_date():
    payment = make_payment()
    for _ in range(3):
        make_escalation(queue=payment.queue)
    client = caller(payment.ada)
    seen, url = [], f"{BASE}?state=pending&limit=2"
    while url:
        page = client.get(url).json()
        seen += [row["due_at"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == 4
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("query", "field"),
    [("state=open", "state"), ("risk=huge", "risk"), ("run=7", "run"), ("colour=red", "colour"), ("limit=0", "limit")],
)
def test_filters_that_mean_nothing_are_refused(query, field):
    answer = caller(make_payment().ada).get(f"{BASE}?{query}")
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {field}


def test_filters_narrow():
    payment = make_payment()
    step = make_escalation(queue=payment.queue, risk="high")
    client = caller(payment.ada)
    for query, found in (
        (f"agent={payment.agent.slug}", payment.item),
        ("risk=high", step),
        (f"run={step.run_id}", step),
        ("kind=approval", step),
        ("q=invoice", payment.item),
        (f"operation={payment.operation.slug}", payment.item),
    ):
        assert [row["id"] for row in client.get(f"{BASE}?{query}").json()["results"]] == [str(found.pk)], query
    assert len(client.get(f"{BASE}?queue={payment.queue.slug}").json()["results"]) == 2
    assert client.get(f"{BASE}?queue=other").json()["results"] == []


def test_a_decision_answers_with_the_votes():
    payment = make_payment(quorum=2)
    answer = decide(caller(payment.ada), payment.item, reason="Fine.")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["state"], said["needed"], said["version"], said["releases_at"]) == ("pending", 2, 1, None)
    assert [(vote["by"], vote["verdict"]) for vote in said["votes"]] == [(payment.ada.username, "approve")]
    assert decide(caller(payment.ben), payment.item).json()["state"] == "approved"


def test_a_repeat_without_a_key_is_told_who_won():
    payment = make_payment()
    client = caller(payment.ada)
    assert decide(client, payment.item).status_code == 200
    again = decide(client, payment.item)
    assert again.status_code == 409
    assert again.json()["code"] == "already_decided"
    assert again.json()["winner"]["by"] == payment.ada.username
    assert again.headers["Content-Type"] == "application/problem+json"


def test_a_repeat_with_a_key_gets_the_same_answer_and_leaves_one_vote():
    payment = make_payment()
    client = caller(payment.ada)
    path, body = f"{BASE}{payment.item.pk}/decision/", {"verdict": "approve", "version": 1}
    first = post(client, path, body, **{"Idempotency-Key": "k1"})
    again = post(client, path, body, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Vote.objects.count() == 1
    other = post(client, path, {**body, "reason": "x"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_session_needs_its_csrf_token():
    payment = make_payment()
    client = Client(enforce_csrf_checks=True)
    client.force_login(payment.ada)
    with nothing_but_a_note():
        answer = decide(client, payment.item)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


def test_a_session_decides():
    payment = make_payment()
    client = Client()
    client.force_login(payment.ada)
    assert decide(client, payment.item).json()["state"] == "approved"


def test_a_token_never_stands_for_a_fresh_sign_in():
    payment = make_payment(obligations={"step_up": True})
    client = caller(payment.ada)
    with nothing_but_a_note():
        answer = decide(client, payment.item)
    assert (answer.status_code, answer.json()["code"], answer.json()["why"]) == (403, "not_eligible", "step_up")


def test_a_session_that_signed_in_just_now_is_fresh():
    payment = make_payment(obligations={"step_up": True})
    payment.ada.set_password("correct horse battery")
    payment.ada.save()
    client = Client()
    client.post("/accounts/login/", {"login": payment.ada.username, "password": "correct horse battery"})
    answer = decide(client, payment.item)
    assert answer.status_code == 200, answer.json()


@pytest.mark.parametrize("method", ["get", "decision", "claim", "release", "comment", "undo", "withdraw"])
def test_agents_are_turned_away_and_noted(method):
    payment = make_payment()
    client = Client(headers={"Authorization": f"Bearer {make_key_for(payment.agent)}"})
    before = Entry.objects.count()
    path = f"{BASE}{payment.item.pk}/"
    with nothing_but_a_note():
        answer = client.get(path) if method == "get" else post(client, f"{path}{method}/", {"verdict": "approve"})
    assert answer.status_code in {403, 404}
    if method != "get":
        note = Entry.objects.order_by("id")[before]
        assert (note.name, note.actor) == ("request.refused", payment.agent.user)
        assert note.payload["path"] == f"{path}{method}/"
    assert payment.action_now().state == ActionState.PENDING_APPROVAL


def test_agents_see_no_list():
    payment = make_payment()
    client = Client(headers={"Authorization": f"Bearer {make_key_for(payment.agent)}"})
    assert client.get(BASE).status_code in {403, 404}


def test_strangers_find_nothing_and_nobody_must_be_signed_in():
    payment = make_payment()
    stranger = caller(make_user())
    assert stranger.get(BASE).json()["results"] == []
    assert stranger.get(f"{BASE}{payment.item.pk}/").status_code == 404
    assert decide(stranger, payment.item).status_code == 404
    assert Client().get(BASE).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verdict": "maybe"}, "verdict"),
        ({"version": "1"}, "version"),
        ({"version": 1.0}, "version"),
        ({"version": True}, "version"),
        ({"version": None}, "version"),
        ({"colour": "red"}, "colour"),
        ({"reason": 5}, "reason"),
        ({"parameters": [1]}, "parameters"),
        ({"hold_s": 61}, "hold_s"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(body, field):
    payment = make_payment()
    client = caller(payment.ada)
    with nothing_but_a_note():
        answer = decide(client, payment.item, **body)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {field}


@pytest.mark.parametrize("raw", [b"{", b'{"verdict":"approve","verdict":"reject","version":1}', b"\xff"])
def test_bodies_that_cannot_be_read_are_malformed(raw):
    payment = make_payment()
    client = caller(payment.ada)
    with nothing_but_a_note():
        answer = client.post(f"{BASE}{payment.item.pk}/decision/", raw, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_claiming_releasing_and_writing_below():
    payment = make_payment()
    client = caller(payment.ada)
    path = f"{BASE}{payment.item.pk}/"
    assert post(client, f"{path}claim/", {}).json()["claimed_by"] == payment.ada.username
    assert post(client, f"{path}release/", {}).json()["claimed_by"] is None
    assert post(client, f"{path}comment/", {"text": "Who is this supplier?"}).status_code == 201
    detail = client.get(path).json()
    assert [(line["by"], line["text"]) for line in detail["thread"]] == [
        (payment.ada.username, "Who is this supplier?")
    ]
    assert post(client, f"{path}comment/", {"text": " "}).status_code == 422


def test_secrets_are_masked_and_others_votes_hidden_on_high_tiers():
    payment = make_payment(risk="high", quorum=2, parameters={"note": "n"})
    payment.action.parameters = {**payment.action.parameters, "api_key": "s3cret"}
    payment.action.confidence = 0.9
    payment.action.save(update_fields=["parameters", "confidence"])
    decide(caller(payment.ben), payment.item, restated="2,500.00")
    client = caller(payment.ada)
    detail = client.get(f"{BASE}{payment.item.pk}/")
    assert b"s3cret" not in detail.content
    assert detail.json()["quorum"] == {"needed": 2, "votes": [], "hidden": True}
    assert detail.json()["agent_says"]["confidence"] is None
    assert "vote.cast" not in [line["name"] for line in detail.json()["timeline"]]
    assert detail.json()["allowed"]["approve"]["restate"] == "amount_minor"


def test_a_held_decision_says_when_it_is_released_and_can_be_undone():
    payment = make_payment()
    client = caller(payment.ada)
    said = decide(client, payment.item, hold_s=30).json()
    assert said["state"] == "held"
    assert said["releases_at"]
    undone = post(client, f"{BASE}{payment.item.pk}/undo/", {}).json()
    assert (undone["state"], undone["votes"]) == ("pending", [])


@pytest.mark.parametrize(
    "name", ["q", "agent", "queue", "operation", "workflow", "state", "risk", "kind", "run", "cursor"]
)
def test_odd_characters_in_a_filter_find_nothing_or_are_refused(name):
    payment = make_payment()
    client = caller(payment.ada)
    for text in ("\x00", "%00", "\u202e", "'; --", "x" * 5000, "🙂"):
        answer = client.get(BASE, {name: text})
        assert answer.status_code in {200, 422}, (name, text)
        assert answer.status_code == 422 or answer.json()["results"] == []


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "verdict": st.sampled_from(["approve", "reject", "request_changes", "answer"]) | json_values,
            "version": st.sampled_from([1, 2]) | json_values,
            "reason": st.text(max_size=10) | json_values,
            "reason_code": json_values,
            "retry": st.sampled_from(["never", "after:2027-01-01T00:00:00Z", "after:"]) | json_values,
            "parameters": json_values,
            "answer": json_values,
            "view_hash": json_values,
            "restated": json_values,
            "hold_s": json_values,
        },
    )
)
def test_no_body_is_a_fault(db, body):
    payment = make_payment(risk="high", quorum=2)
    answer = post(caller(payment.ada), f"{BASE}{payment.item.pk}/decision/", body)
    assert answer.status_code in {200, 400, 403, 409, 422}, body
    assert payment.now().state in {"pending", "rejected", "changes_requested"}
