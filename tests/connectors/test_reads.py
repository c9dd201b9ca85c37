"""Looking at what is on file: a governed read that never stands in the way of a decision."""

import json

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.connectors.models import Effect, Operation
from apps.connectors.services import read_on_file
from apps.connectors.services.reads import AT_ONCE
from apps.halts.models import Halt
from apps.oversight.models import Drill
from tests.factories.access import make_admin
from tests.factories.connectors import make_connector, make_operation
from tests.factories.drills import announced, due
from tests.factories.oversight import make_payment, say

pytestmark = pytest.mark.django_db
LOOK = {
    "type": "object", "required": ["iban"], "properties": {"iban": {"type": "string"}}, "additionalProperties": False,
}  # fmt: skip
FRAGMENT = {"HX-Request": "true", "HX-Target": "parameters-card"}


@pytest.fixture
def payment(system):
    """A payment whose operation names what to look at."""
    payment = make_payment()
    connector = make_connector(base_url=f"{system.url}/bank", allow_internal=True, auth={"type": "none"})
    read = make_operation(
        slug="bank.get_account", connector=connector, name="Look up an account", method="GET",
        path="/accounts/{iban}", effect="read", parameters=LOOK, amount=None, target="", consequence="",
    )  # fmt: skip
    name_it(
        payment, {"operation": read.slug, "parameters": {"iban": "request.iban"}, "values": {"iban": "response.no"}}
    )
    return payment


def name_it(payment, on_file):
    Operation.objects.filter(pk=payment.operation.pk).update(on_file=on_file)


def page_of(payment, **headers):
    client = Client()
    client.force_login(payment.ada)
    return client.get(f"/inbox/{payment.item.pk}/on-file/", headers=headers)


def test_what_is_on_file_stands_beside_what_is_proposed_with_the_time(payment, system):
    system.will(body=json.dumps({"no": "DE0099", "currency": "EUR", "balance": 5}).encode())
    page = page_of(payment, **FRAGMENT).content.decode()
    assert system.asked[0][:2] == ("GET", "/bank/accounts/DE0017")
    assert "1 differs from what is on file" in page
    assert "<del>DE0099</del>" in page
    assert "<ins>DE0017</ins>" in page
    assert "balance" not in page
    assert '<tr class="same"><th scope="row">currency</th>' in page.replace("\n", "")
    assert "<time" in page
    told = Entry.objects.get(name="operation.looked_up")
    assert (told.actor, told.trail_id, told.payload["status"]) == (payment.ada, payment.item.trail, 200)
    assert "DE0099" not in json.dumps(told.payload)
    assert not Effect.objects.exists()


def test_of_a_drill_it_is_noted_on_the_drill_s_own_trail(payment, system):
    say(payment.ben, payment.item)
    announced(payment, critical=True)
    assert due() == 1
    drill = Drill.objects.select_related("item__drill_for").get()
    client = Client()
    client.force_login(drill.item.drill_for)
    assert client.get(f"/inbox/{drill.pk}/on-file/", headers=FRAGMENT).status_code == 200
    told = Entry.objects.get(name="operation.looked_up")
    assert (told.actor, told.trail_id) == (drill.item.drill_for, drill.pk)


def test_without_script_it_is_a_page(payment, system):
    system.will(body=b'{"no": "DE0017"}')
    page = page_of(payment).content.decode()
    assert "<html" in page
    assert "the same as on file" in page


def test_the_item_asks_for_it_by_itself_and_offers_a_link(payment):
    client = Client()
    client.force_login(payment.ada)
    page = client.get(f"/inbox/{payment.item.pk}/").content.decode()
    assert f'hx-get="/inbox/{payment.item.pk}/on-file/" hx-trigger="load"' in page
    assert f'<a href="/inbox/{payment.item.pk}/on-file/">' in page
    name_it(payment, None)
    assert "on-file" not in client.get(f"/inbox/{payment.item.pk}/").content.decode()
    assert page_of(payment).status_code == 404


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 500, "body": b"boom"}, "It answered 500."),
        ({"body": b"[1]"}, "It answered 200."),
        ({"body": b"<html>"}, "could not be read"),
        ({"status": 401, "body": b"{}"}, "It answered 401."),
    ],
)
def test_what_cannot_be_read_is_said_and_blocks_nothing(payment, system, answer, words):
    system.will(**answer)
    answer = page_of(payment, **FRAGMENT)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert words in page
    assert "Decide as you would without it." in page
    assert "DE0017" in page


@pytest.mark.parametrize("status", [404, 410])
def test_that_there_is_none_on_file_is_a_warning_and_blocks_nothing(payment, system, status):
    system.will(status=status, body=b"{}")
    answer = page_of(payment, **FRAGMENT)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert '<div class="note warn">' in page
    assert "There is none on file." in page
    assert f"It answered {status}. Find out why before you approve." in page
    assert "could not be read" not in page
    assert "DE0017" in page


def test_a_system_that_is_slow_is_given_up(payment, system, monkeypatch):
    monkeypatch.setattr("apps.connectors.services.reads.READ_TIMEOUT_S", 0.2)
    system.will(before_s=1.0)
    found = read_on_file(payment.ada, action=payment.action, trail=payment.item.trail)
    assert found.values is None
    assert "gave no answer" in found.problem
    assert found.duration_ms < 900


@pytest.mark.parametrize(
    "change",
    [{"effect": "write"}, {"method": "POST"}, {"state": "disabled"}, {"parameters": {**LOOK, "required": ["x"]}}],
)
def test_only_a_read_in_use_that_can_be_asked_is_asked(payment, system, change):
    Operation.objects.filter(slug="bank.get_account").update(**change)
    found = read_on_file(payment.ada, action=payment.action, trail=payment.item.trail)
    assert found.problem
    assert system.asked == []


def test_a_halt_stops_looking_too(payment, system):
    Halt.objects.create(scope="everything", reason="Stop.", engaged_by=make_admin())
    assert "halt" in read_on_file(payment.ada, action=payment.action, trail=payment.item.trail).problem
    assert system.asked == []


def test_systems_that_hang_take_only_so_many_threads(payment, system):
    taken = 0
    while AT_ONCE.acquire(blocking=False):
        taken += 1
    try:
        assert "at once" in read_on_file(payment.ada, action=payment.action, trail=payment.item.trail).problem
    finally:
        AT_ONCE.release(taken)
    assert taken == 6
    assert system.asked == []


def test_people_of_another_unit_see_nothing_on_file(payment, system):
    other = make_payment()
    client = Client()
    client.force_login(other.ada)
    assert client.get(f"/inbox/{payment.item.pk}/on-file/").status_code == 404
    assert system.asked == []


@pytest.mark.parametrize(
    ("on_file", "path"),
    [
        ({"operation": "No Slug"}, "on_file.operation"),
        ({"operation": "a.b", "parameters": {"x": "request."}}, "on_file.parameters.x"),
        ({"operation": "a.b", "values": {"x": "nope("}}, "on_file.values.x"),
        ({"operation": "a.b", "values": 3}, "on_file.values"),
        ({"operation": "a.b", "more": {}}, "on_file"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(on_file, path):
    operation = make_operation()
    client = Client()
    client.force_login(make_admin())
    answer = client.patch(
        f"/api/v1/operations/{operation.slug}/", json.dumps({"on_file": on_file}), content_type="application/json",
        headers={"Idempotency-Key": "one"},
    )  # fmt: skip
    assert answer.status_code == 422, answer.content
    assert path in answer.json()["errors"]
