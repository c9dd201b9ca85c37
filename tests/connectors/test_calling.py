"""The pages on which a person changes what is called: a system's own address, and the call of an operation."""

import json

import pytest

from apps.connectors.forms import seen_of
from apps.connectors.models import Connector, ConnectorSecret, Operation
from apps.connectors.services import set_secret
from apps.core.services import system_user
from tests.connectors.test_views import browser
from tests.factories.access import make_admin, make_user
from tests.factories.connectors import PAYMENT, make_connector, make_operation
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db

CALL = {
    "version": "1", "name": "Pay", "method": "PUT", "path": "/v2/payments/{iban}", "parameters": json.dumps(PAYMENT),
    "effect": "write", "idempotency": "natural", "target": "iban", "consequence": "Pays {amount} to {iban}.",
}  # fmt: skip


@pytest.fixture
def bank() -> Connector:
    return make_connector(
        slug="bank", base_url="https://bank.example/v1", allow_internal=False, auth={"type": "bearer"}
    )


@pytest.fixture
def paying(bank: Connector) -> Operation:
    return make_operation(connector=bank, slug="bank.pay", exclusive="request.iban", timeout_s=7)


def address(bank: Connector, **said: str) -> dict[str, str]:
    kept = {"seen": seen_of(bank), "name": bank.name, "base_url": bank.base_url, "sign_in": "bearer"}
    return {**kept, **said}


class TestCall:
    PATH = "/connectors/bank/operations/bank.pay/call/"

    def test_it_is_saved_and_all_else_stays(self, paying: Operation) -> None:
        page = browser(make_admin())
        assert (
            json.dumps(PAYMENT, indent=2).split("\n")[1].strip().replace('"', "&quot;")
            in page.get(self.PATH).content.decode()
        )
        assert page.post(self.PATH, CALL).status_code == 302
        paying.refresh_from_db()
        assert (paying.method, paying.path, paying.effect, paying.idempotency) == (
            "PUT", "/v2/payments/{iban}", "write", "natural",
        )  # fmt: skip
        assert (paying.parameters, paying.version) == (PAYMENT, 2)
        assert (paying.exclusive, paying.timeout_s, paying.amount["path"]) == ("request.iban", 7, "amount_minor")

    @pytest.mark.parametrize(
        ("field", "value", "told"),
        [
            ("method", "TRACE", "method"),
            ("path", "/a/../b", "no empty or dotted segments"),
            ("path", "https://evil.example/", "path"),
            ("path", "/x/{nothing}", "must be required"),
            ("parameters", "{", "This is no JSON"),
            ("parameters", '{"type": "object", "type": "array"}', "a name stands twice"),
            ("parameters", "[]", "A JSON Schema of an object"),
            ("parameters", '{"type": "string"}', "parameters"),
            ("effect", "harmless", "effect"),
            ("target", "nobody", "no such parameter"),
            ("consequence", "Pays {nobody}.", "consequence"),
            ("name", "", "name"),
        ],
    )
    def test_what_does_not_fit_is_said_and_the_rest_stays(
        self, paying: Operation, field: str, value: str, told: str
    ) -> None:
        answer = browser(make_admin()).post(self.PATH, {**CALL, field: value})
        shown = answer.content.decode()
        assert (answer.status_code, told in shown, 'role="alert"' in shown) == (422, True, True)
        kept = "consequence" if field != "consequence" else "name"
        assert CALL[kept] in shown
        paying.refresh_from_db()
        assert (paying.version, paying.method, paying.path) == (1, "POST", "/payments")

    def test_what_somebody_else_changed_is_not_written_over(self, paying: Operation) -> None:
        Operation.objects.filter(pk=paying.pk).update(version=4)
        answer = browser(make_admin()).post(self.PATH, CALL)
        assert (answer.status_code, 'name="version" value="4"' in answer.content.decode()) == (409, True)
        paying.refresh_from_db()
        assert paying.method == "POST"

    def test_others_and_what_is_no_call(self, paying: Operation) -> None:
        assert browser(make_user()).post(self.PATH, CALL).status_code in {403, 404}
        admin = browser(make_admin())
        assert admin.get("/connectors/bank/operations/nope/call/").status_code == 404
        Connector.objects.filter(pk=paying.connector_id).update(adapter="email")
        assert admin.get(self.PATH).status_code == 404
        Operation.objects.filter(pk=paying.pk).update(state="retired")
        Connector.objects.filter(pk=paying.connector_id).update(adapter="http")
        assert admin.post(self.PATH, CALL).status_code == 404
        paying.refresh_from_db()
        assert (paying.method, paying.version) == ("POST", 1)

    def test_it_says_first_what_waits_and_that_does_not_run(self, system) -> None:
        desk = make_desk(system.url)
        asked = desk.ask(1000).json()
        page, path = browser(make_admin()), (
            f"/connectors/{desk.operation.connector.slug}/operations/{desk.operation.slug}/call/"
        )  # fmt: skip
        assert "1 action waits for people or was approved" in page.get(path).content.decode()
        assert page.post(path, CALL).status_code == 302
        work()
        seen = desk.get(f"actions/{asked['id']}/").json()
        assert (seen["state"], seen["error"]["code"], system.asked) == ("failed", "operation_changed", [])


class TestAddress:
    PATH = "/connectors/bank/address/"

    def test_another_host_destroys_the_secret_and_all_else_stays(self, bank: Connector) -> None:
        Connector.objects.filter(pk=bank.pk).update(limits={"concurrent": 2}, test_base_url="https://test.bank.example")
        bank.refresh_from_db()
        set_secret(system_user("console"), connector=bank, secret="a-secret-of-the-bank")
        said = address(bank, base_url="https://other.example/v1", sign_in="header", header="X-Api-Key", username="left")
        assert browser(make_admin()).post(self.PATH, said).status_code == 302
        bank.refresh_from_db()
        assert (bank.base_url, bank.auth) == ("https://other.example/v1", {"type": "header", "name": "X-Api-Key"})
        assert (bank.limits, bank.test_base_url) == ({"concurrent": 2}, "https://test.bank.example")
        assert not ConnectorSecret.objects.filter(replaced_at=None).exists()

    def test_the_name_alone_keeps_the_secret(self, bank: Connector) -> None:
        set_secret(system_user("console"), connector=bank, secret="a-secret-of-the-bank")
        assert browser(make_admin()).post(self.PATH, address(bank, name="House bank")).status_code == 302
        bank.refresh_from_db()
        assert bank.name == "House bank"
        assert ConnectorSecret.objects.filter(replaced_at=None).count() == 1

    def test_an_inside_address_waits_for_another_person(self, bank: Connector) -> None:
        said = address(bank, base_url="http://10.0.0.5/", allow_internal="on")
        assert browser(make_admin()).post(self.PATH, said).status_code == 302
        bank.refresh_from_db()
        assert (bank.allow_internal, bank.inside_asked_by is not None) == (False, True)

    @pytest.mark.parametrize(
        ("field", "value", "told"),
        [
            ("base_url", "ftp://bank.example", "The scheme is"),
            ("base_url", "https://user:pass@bank.example", "No user name or password"),
            ("base_url", "https://bank.example:22", "This port may not be reached"),
            ("base_url", "", "base_url"),
            ("sign_in", "magic", "sign_in"),
            ("header", "Host", "belongs to the plane"),
            ("header", "", "The name of a header"),
            ("name", " ", "name"),
        ],
    )
    def test_what_does_not_fit_is_said(self, bank: Connector, field: str, value: str, told: str) -> None:
        said = address(bank, **({"name": "Kept name", "sign_in": "header", "header": "X-Key"} | {field: value}))
        answer = browser(make_admin()).post(self.PATH, said)
        shown = answer.content.decode()
        assert (answer.status_code, told in shown, 'role="alert"' in shown) == (422, True, True)
        assert "Kept name" in shown or field == "name"
        bank.refresh_from_db()
        assert (bank.base_url, bank.auth) == ("https://bank.example/v1", {"type": "bearer"})

    def test_stale_and_strangers(self, bank: Connector) -> None:
        said = address(bank, base_url="https://mine.example")
        assert browser(make_user()).post(self.PATH, said).status_code in {403, 404}
        Connector.objects.filter(pk=bank.pk).update(base_url="https://theirs.example")
        answer = browser(make_admin()).post(self.PATH, said)
        bank.refresh_from_db()
        assert (answer.status_code, bank.base_url) == (409, "https://theirs.example")
        assert seen_of(bank) in answer.content.decode()
