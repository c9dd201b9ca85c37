"""Addresses for tests: what a test key asks is called there alone, with a secret of its own, under the same rules."""

import threading

import pytest

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.connectors import services
from apps.connectors.models import Connector, ConnectorCall, ConnectorSecret, Effect
from apps.connectors.selectors import health_for
from apps.connectors.services.calls import NotConfiguredError, call_to
from apps.core.errors import InvalidError
from apps.core.services import system_user
from apps.oversight.models import Escalation
from tests.connectors.conftest import System
from tests.connectors.test_api import person
from tests.connectors.test_views import browser
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_connector, make_operation
from tests.workflows.actions import Desk, make_desk, the_action, work

pytestmark = pytest.mark.django_db
LIVE, TEST = "live-secret-7b1", "test-secret-9c2"


@pytest.fixture
def sandbox():
    """A second system: the place for tests."""
    server = System()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def desk_with(system, sandbox: System | None, **operation: object) -> Desk:
    """A desk whose bank has both addresses and both secrets, and whose agent asks with a test key."""
    desk = make_desk(system.url, **operation)
    bank = desk.operation.connector
    tests = {"test_base_url": sandbox.url, "test_allow_internal": True} if sandbox else {}
    Connector.objects.filter(pk=bank.pk).update(auth={"type": "bearer"}, **tests)
    admin = make_admin()
    services.set_secret(admin, connector=bank, secret=LIVE)
    if sandbox:
        services.set_secret(admin, connector=bank, secret=TEST, credential="test")
    return Desk(
        desk.agent, make_key_for(desk.agent, environment="test"), desk.operation, desk.queue, desk.policy, desk.approver
    )


def sent(server: System) -> list[str]:
    return [headers["Authorization"] for _method, _path, headers, _body in server.asked]


class TestCalls:
    def test_a_test_is_called_at_the_test_address_with_its_own_secret(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox)
        asked = desk.ask(1000).json()
        assert asked["consequence"].startswith("A test, called at the test address.")
        sandbox.will(200, b'{"id": 7}')
        work()
        assert (the_action().state, the_action().result) == ("succeeded", {"id": 7})
        assert (sent(sandbox), sent(system)) == ([f"Bearer {TEST}"], [])

    def test_a_live_one_is_called_at_the_live_address_alone(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox)
        live = Desk(desk.agent, make_key_for(desk.agent), desk.operation, desk.queue, desk.policy, desk.approver)
        assert live.ask(1000).status_code == 202
        work()
        assert (sent(system), sent(sandbox)) == ([f"Bearer {LIVE}"], [])

    def test_without_a_test_address_nothing_is_called(self, system) -> None:
        desk = desk_with(system, None)
        assert desk.ask(1000).json()["consequence"].startswith("A test, nothing is called.")
        work()
        assert (the_action().state, system.asked, ConnectorCall.objects.count()) == ("succeeded", [], 0)

    def test_without_a_test_secret_nothing_is_sent(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox)
        ConnectorSecret.objects.filter(credential="test").delete()
        desk.ask(1000)
        work()
        assert (the_action().state, the_action().error["code"]) == ("failed", "not_configured")
        assert (system.asked, sandbox.asked) == ([], [])

    def test_without_a_live_secret_the_one_for_tests_is_not_sent(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox)
        ConnectorSecret.objects.filter(credential="main").delete()
        bank = Connector.objects.get()
        with pytest.raises(NotConfiguredError):
            call_to(desk.operation, bank, {"iban": "DE1"}, environment=Environment.LIVE)

    def test_nobody_is_asked_what_a_test_did(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox, idempotency="none")
        desk.ask(1000)
        sandbox.will(500)
        work()
        assert (the_action().state, the_action().error["code"]) == ("failed", "system_error")
        assert not Escalation.objects.exists()

    def test_health_and_limits_count_live_calls(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox)
        Connector.objects.update(limits={"per_minute": 1})
        desk.ask(1000)
        sandbox.will(500)
        work()
        bank = Connector.objects.get()
        assert (ConnectorCall.objects.get().environment, health_for(make_admin(), bank).calls) == ("test", 0)
        live = Desk(desk.agent, make_key_for(desk.agent), desk.operation, desk.queue, desk.policy, desk.approver)
        live.ask(1000)
        work()
        assert Action.objects.get(environment="live").state == "succeeded"

    def test_what_is_asked_before_it_has_a_place_goes_nowhere_else(self, system, sandbox) -> None:
        """The address went away meanwhile: the live one is no substitute."""
        desk = desk_with(system, sandbox)
        desk.ask(1000)
        Connector.objects.update(test_base_url="", test_allow_internal=False)
        work()
        assert (the_action().state, system.asked, sandbox.asked) == ("succeeded", [], [])
        assert Effect.objects.get().response == {"status": None, "body": None}

    def test_inside_addresses_are_refused_unless_allowed_there(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox)
        Connector.objects.update(test_allow_internal=False)
        desk.ask(1000)
        work()
        assert (the_action().error["code"], sandbox.asked) == ("egress_refused", [])

    def test_looking_up_and_trying_use_it_too(self, system, sandbox) -> None:
        desk = desk_with(system, sandbox, dry_run={"method": "POST", "path": "/payments/try"})
        read = make_operation(
            connector=desk.operation.connector, slug="bank.look", method="GET", path="/look", effect="read",
            parameters={"type": "object"}, amount=None, target="", consequence="",
        )  # fmt: skip
        type(desk.operation).objects.filter(pk=desk.operation.pk).update(on_file={"operation": read.slug})
        desk.ask(200_000)
        action, admin = the_action(), make_admin()
        sandbox.will(200, b'{"iban": "DE2"}')
        assert services.read_on_file(admin, action=action, trail=action.trail).values == {"iban": "DE2"}
        assert services.try_out(admin, action=action, trail=action.trail).would_fit is True
        assert [path for _method, path, _headers, _body in sandbox.asked] == ["/look", "/payments/try"]
        assert system.asked == []


class TestSecrets:
    def test_one_secret_never_opens_both(self, system, sandbox) -> None:
        bank = desk_with(system, sandbox).operation.connector
        for credential, secret in (("test", LIVE), ("main", TEST)):
            with pytest.raises(InvalidError) as refused:
                services.set_secret(make_admin(), connector=bank, secret=secret, credential=credential)
            assert "of the other" in str(refused.value.errors)
        assert ConnectorSecret.objects.filter(replaced_at=None).count() == 2

    def test_no_secret_for_a_place_that_there_is_not(self) -> None:
        bank = make_connector(auth={"type": "bearer"})
        with pytest.raises(InvalidError):
            services.set_secret(make_admin(), connector=bank, secret=TEST, credential="test")

    def test_it_goes_with_its_address(self, system, sandbox) -> None:
        desk_with(system, sandbox)
        bank, api = Connector.objects.get(), person(make_admin())
        moved = api("PATCH", f"/connectors/{bank.slug}/", {"test_base_url": "https://other.example.com"})
        assert (moved.status_code, moved.body["test_secret"]) == (200, None)
        assert moved.body["secret"]["environment"] == "live"
        kept = ConnectorSecret.objects.get(replaced_at=None)
        assert kept.credential == "main"


class TestSaying:
    def test_by_the_api(self) -> None:
        admin = make_admin()
        bank, api = make_connector(auth={"type": "bearer"}), person(admin)
        path = f"/connectors/{bank.slug}/"
        assert api("PATCH", path, {"test_base_url": "https://try.example.com"}).body["test_base_url"] == (
            "https://try.example.com"
        )
        made = api("PUT", f"{path}secret/", {"secret": TEST, "environment": "test"})
        assert (made.status_code, made.body["environment"]) == (200, "test")
        assert api("GET", path).body["test_secret"]["fingerprint"] == made.body["fingerprint"]
        assert api("DELETE", f"{path}secret/?environment=nope").status_code == 422
        assert api("DELETE", f"{path}secret/").status_code == 404  # there is no live one
        assert api("DELETE", f"{path}secret/?environment=test").status_code == 204

    @pytest.mark.parametrize(
        "address",
        ["http://127.0.0.1:1029", "http://127.0.0.1:1029/", "ftp://x.example", "https://u:p@x.example", "no address"],
    )
    def test_the_live_address_and_what_is_none_are_refused(self, address: str) -> None:
        bank = make_connector()
        refused = person(make_admin())("PATCH", f"/connectors/{bank.slug}/", {"test_base_url": address})
        assert (refused.status_code, list(refused.body["errors"])) == (422, ["test_base_url"])
        bank.refresh_from_db()
        assert bank.test_base_url == ""

    def test_another_person_allows_an_inside_one(self) -> None:
        bank, first, second = make_connector(), make_admin(), make_admin()
        api = person(first)
        asked = api(
            "PATCH", f"/connectors/{bank.slug}/", {"test_base_url": "http://10.0.0.9", "test_allow_internal": True}
        ).body
        assert (asked["test_allow_internal"], asked["test_inside_asked_by"]) == (False, first.username)
        assert (asked["allow_internal"], asked["inside_asked_by"]) == (True, None)  # the live one goes on
        answer = {"answer": "allow", "host": "10.0.0.9:80", "environment": "test"}
        assert api("POST", f"/connectors/{bank.slug}/inside/", answer).status_code == 403
        allowed = person(second)("POST", f"/connectors/{bank.slug}/inside/", answer)
        assert (allowed.status_code, allowed.body["test_allow_internal"]) == (200, True)

    def test_by_page_with_limits(self) -> None:
        bank, page = make_connector(limits={"concurrent": 3}), browser(make_admin())
        shown = page.get(f"/connectors/{bank.slug}/edit/").content.decode()
        assert 'value="3"' in shown
        wrong = page.post(
            f"/connectors/{bank.slug}/edit/", {"test_base_url": "http://127.0.0.1:1029", "limit_concurrent": "0"}
        )
        assert wrong.status_code == 422
        said = {"test_base_url": "https://try.example.com", "limit_per_minute": "60"}
        assert page.post(f"/connectors/{bank.slug}/edit/", said).status_code == 302
        bank.refresh_from_db()
        assert (bank.test_base_url, bank.limits, bank.allow_internal) == (
            "https://try.example.com",
            {"per_minute": 60},
            True,
        )
        assert "https://try.example.com" in page.get(f"/connectors/{bank.slug}/").content.decode()

    def test_who_may_not_manage_it_may_not(self) -> None:
        bank = make_connector()
        assert browser(make_agent().owner).get(f"/connectors/{bank.slug}/edit/").status_code in {403, 404}

    def test_a_document_says_it_and_gets_it_back(self, monkeypatch) -> None:
        monkeypatch.setenv("BANK_TEST", TEST)
        text = (
            "kind: Connector\nslug: bank\nbase_url: https://bank.example.com\nauth: {type: bearer}\n"
            "test_base_url: http://10.0.0.9\ntest_allow_internal: true\ntest_secret_env: BANK_TEST\n"
        )
        apply_texts(system_user("console"), texts={"x.yaml": text})
        bank = Connector.objects.get(slug="bank")
        assert (bank.test_base_url, bank.test_allow_internal) == ("http://10.0.0.9", True)
        assert bank.secrets.get().credential == "test"
        text = export_for(system_user("console"), kinds=["Connector"])
        assert "test_secret_env names where" in text
        assert "test_base_url: http://10.0.0.9" in text
        apply_texts(system_user("console"), texts={"x.yaml": text})
        assert export_for(system_user("console"), kinds=["Connector"]) == text
