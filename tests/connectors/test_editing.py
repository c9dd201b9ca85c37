"""The page on which a person says how an operation is carried out."""

import pytest

from apps.connectors.models import Connector, Operation
from tests.connectors.test_views import browser
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.connectors import make_connector, make_operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def paying() -> Operation:
    bank = make_connector(slug="bank")
    make_operation(
        connector=bank, slug="bank.look", method="GET", path="/look", effect="read", parameters={"type": "object"},
        amount=None, target="", consequence="",
    )  # fmt: skip
    return make_operation(connector=bank, slug="bank.pay")


SAID = {
    "version": "1",
    "verify_operation": "bank.look",
    "verify_parameters": "iban: request.iban\n\nat: response.id",
    "verify_expect": "found.paid == true",
    "verify_within_s": "30",
    "dry_run_method": "POST",
    "dry_run_path": "/payments/validate",
    "exclusive": "'iban:' + request.iban",
    "on_conflict": "ask",
    "timeout_s": "7",
}
PATH = "/connectors/bank/operations/bank.pay/edit/"


NEW = {
    "slug": "core-banking", "name": "Core banking", "adapter": "http", "base_url": "https://bank.example/v2",
    "unit": "", "sign_in": "header", "header": "X-Api-Key", "username": "",
}  # fmt: skip


def test_a_system_is_named_on_a_page_by_who_manages_there() -> None:
    admin = browser(make_admin())
    assert 'href="/new-connector/"' in admin.get("/connectors/").content.decode()
    made = admin.post("/new-connector/", NEW)
    assert (made.status_code, made["Location"]) == (302, "/connectors/core-banking/")
    bank = Connector.objects.get(slug="core-banking")
    assert (bank.name, bank.auth, bank.unit) == ("Core banking", {"type": "header", "name": "X-Api-Key"}, None)
    again = admin.post("/new-connector/", NEW | {"name": "Another"})
    assert (again.status_code, "one with this short name" in again.content.decode()) == (422, True)
    bank.refresh_from_db()
    assert bank.name == "Core banking"
    odd = admin.post("/new-connector/", NEW | {"slug": "Core Banking", "base_url": "ftp://bank.example"})
    page = odd.content.decode()
    assert (odd.status_code, "such as core-banking" in page, 'value="ftp://bank.example"' in page) == (422, True, True)


def test_of_one_unit_only_there_and_strangers_nowhere() -> None:
    unit, other = make_unit(), make_unit()
    manager = browser(make_holder("connectors.manage_connector", unit=unit))
    assert "shared by all" not in manager.get("/new-connector/").content.decode()
    for wrong in ("", other.slug):
        assert manager.post("/new-connector/", NEW | {"unit": wrong}).status_code == 422
    assert manager.post("/new-connector/", NEW | {"unit": unit.slug}).status_code == 302
    assert Connector.objects.get().unit == unit
    assert browser(make_user()).get("/new-connector/").status_code == 403


def test_it_is_saved_shown_again_and_taken_away(paying: Operation) -> None:
    page = browser(make_admin())
    assert page.post(PATH, SAID).status_code == 302
    paying.refresh_from_db()
    assert paying.verify == {
        "operation": "bank.look",
        "parameters": {"iban": "request.iban", "at": "response.id"},
        "expect": "found.paid == true",
        "within_s": 30,
    }
    assert paying.dry_run == {"method": "POST", "path": "/payments/validate"}
    assert (paying.exclusive, paying.timeout_s, paying.version) == ("'iban:' + request.iban", 7, 2)
    assert (paying.consequence, paying.idempotency) == ("Will pay {amount} to {iban}.", "header")  # all else stays
    assert paying.on_conflict == "ask"
    shown = page.get(PATH).content.decode()
    for text in ("at: response.id\niban: request.iban", "found.paid == true", "/payments/validate", "bank.look"):
        assert text in shown
    assert page.post(PATH, {"version": "2", "timeout_s": "7"}).status_code == 302
    paying.refresh_from_db()
    assert (paying.verify, paying.dry_run, paying.exclusive, paying.on_conflict) == (None, None, "", "queue")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("verify_operation", "", "The slug of an operation."),
        ("verify_expect", "found.", "verify_expect"),
        ("verify_expect", "", "An object with operation"),
        ("verify_parameters", "no colon", "a colon and an expression"),
        ("verify_parameters", "iban: request.", "iban:"),
        ("verify_within_s", "9999", "verify_within_s"),
        ("dry_run_path", "/payments", "a dry run has a call of its own"),
        ("dry_run_method", "", "One of: GET, POST"),
        ("exclusive", "request.", "exclusive"),
        ("exclusive", "", "Without a key"),
        ("on_conflict", "shout", "on_conflict"),
        ("timeout_s", "0", "timeout_s"),
        ("timeout_s", "", "timeout_s"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_the_rest_stays(
    paying: Operation, field: str, value: str, told: str
) -> None:
    answer = browser(make_admin()).post(PATH, {**SAID, field: value})
    shown = answer.content.decode()
    assert (answer.status_code, told in shown, 'role="alert"' in shown) == (422, True, True)
    kept = "timeout_s" if field != "timeout_s" else "exclusive"
    assert SAID[kept].replace("'", "&#x27;") in shown
    paying.refresh_from_db()
    assert (paying.version, paying.verify, paying.exclusive) == (1, None, "")


def test_what_somebody_else_changed_meanwhile_is_not_written_over(paying: Operation) -> None:
    Operation.objects.filter(pk=paying.pk).update(version=4)
    page = browser(make_admin())
    answer = page.post(PATH, SAID)
    assert (answer.status_code, "It changed since you looked" in answer.content.decode()) == (409, True)
    assert 'name="version" value="4"' in answer.content.decode()
    paying.refresh_from_db()
    assert paying.verify is None


def test_others_and_what_is_gone(paying: Operation) -> None:
    assert browser(make_user()).get(PATH).status_code in {403, 404}
    admin = browser(make_admin())
    assert admin.get("/connectors/bank/operations/nope/edit/").status_code == 404
    Operation.objects.filter(pk=paying.pk).update(state="retired")
    assert admin.post(PATH, SAID).status_code == 404
    paying.refresh_from_db()
    assert (paying.state, paying.version) == ("retired", 1)
