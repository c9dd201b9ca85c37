"""The pages: what an admin sees and does, what others do not, and that a secret is on none of them."""

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.connectors import services
from apps.connectors.models import ConnectorSecret
from apps.core.services import system_user
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.connectors import make_connector, make_operation, permit

pytestmark = pytest.mark.django_db
CANARY = "canary-31ce/5+k"


def browser(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin():
    return browser(make_admin())


@pytest.fixture
def bank(system):
    connector = make_connector(slug="bank", name="Bank", base_url=system.url, auth={"type": "bearer"})
    services.set_secret(make_admin(), connector=connector, secret=CANARY)
    return connector


def test_the_list_says_how_each_system_does(admin, bank):
    page = admin.get("/connectors/")
    assert page.status_code == 200
    assert "Bank" in page.content.decode()
    assert "No call yet" in page.content.decode()


def test_a_fragment_is_the_list_alone(admin, bank):
    page = admin.get("/connectors/", headers={"HX-Request": "true"})
    assert "<html" not in page.content.decode()
    assert "Bank" in page.content.decode()


def test_one_system_with_all_that_concerns_it(admin, bank, system):
    agent, operation = make_agent(name="Payer"), make_operation(connector=bank, slug="bank.pay")
    permit(agent.user, operation, ["iban"], reason="Because")
    system.will(500, b"{}")
    plane = system_user("plane")
    action = make_action(agent=agent, operation="bank.pay", state="approved", parameters={"iban": "DE89"})
    services.prepare_effect(plane, action=action)
    effect = services.claim_effect(plane, action=action)
    services.settle_effect(plane, effect=effect, call=services.dispatch_effect(plane, effect=effect))
    text = admin.get("/connectors/bank/").content.decode()
    fingerprint = ConnectorSecret.objects.get().fingerprint
    for shown in (
        "Will pay {amount} to {iban}.",
        "Irreversible",
        "Payer",
        "iban",
        fingerprint,
        "1 of 1 · 100.0%",
        "an error of the system",
    ):
        assert shown in text
    assert CANARY not in text


def test_the_secret_is_rotated_without_javascript(admin, bank):
    answer = admin.post("/connectors/bank/secret/", {"secret": "another-secret"}, follow=True)
    assert answer.status_code == 200
    assert "Sealed." in answer.content.decode()
    assert "another-secret" not in answer.content.decode()
    assert ConnectorSecret.objects.get(replaced_at=None).version == 2


def test_a_secret_that_does_not_fit_is_not_shown_again(admin, bank):
    answer = admin.post("/connectors/bank/secret/", {"secret": f"{CANARY}\tx"})
    assert answer.status_code == 422
    assert CANARY not in answer.content.decode()
    assert ConnectorSecret.objects.count() == 1


def test_a_system_is_disabled_with_a_reason(admin, bank):
    answer = admin.post("/connectors/bank/state/", {"state": "disabled", "reason": ""})
    assert answer.status_code == 422
    bank.refresh_from_db()
    assert bank.state == "active"
    assert admin.post("/connectors/bank/state/", {"state": "disabled", "reason": "Wrong bank"}).status_code == 302
    bank.refresh_from_db()
    assert bank.state == "disabled"
    assert Entry.objects.get(name="connector.disabled").payload["reason"] == "Wrong bank"


def test_an_operation_is_disabled_and_used_again(admin, bank):
    operation = make_operation(connector=bank, slug="bank.pay")
    place = "/connectors/bank/operations/bank.pay/state/"
    assert admin.post(place, {"state": "disabled", "reason": " "}).status_code == 422
    assert admin.post(place, {"state": "disabled", "reason": "x"}).status_code == 302
    operation.refresh_from_db()
    assert operation.state == "disabled"
    assert admin.post(place, {"state": "active"}).status_code == 302


def test_the_connection_is_tested_without_the_secret(admin, bank, system, closed_port):
    answer = admin.post("/connectors/bank/probe/", follow=True)
    assert "Reached." in answer.content.decode()
    assert system.asked == []
    type(bank).objects.update(base_url=f"http://127.0.0.1:{closed_port}")
    answer = admin.post("/connectors/bank/probe/", follow=True)
    assert "cannot be reached" in answer.content.decode()
    assert [entry.payload["reached"] for entry in Entry.objects.filter(name="connector.probed").order_by("id")] == [
        True,
        False,
    ]


def test_users_of_a_system_see_it_and_change_nothing(bank):
    user = browser(make_holder("connectors.use_operation", unit=make_unit()))
    text = user.get("/connectors/bank/").content.decode()
    assert "Bank" in text
    assert ConnectorSecret.objects.get().fingerprint not in text
    for place, body in (
        ("secret/", {"secret": "x-y-z"}),
        ("state/", {"state": "disabled", "reason": "x"}),
        ("probe/", {}),
    ):
        assert user.post(f"/connectors/bank/{place}", body).status_code == 403
    bank.refresh_from_db()
    assert bank.state == "active"
    assert ConnectorSecret.objects.count() == 1


def test_strangers_see_nothing(bank):
    stranger = browser(make_user())
    assert stranger.get("/connectors/").status_code == 403
    assert stranger.get("/connectors/bank/").status_code == 404
    assert stranger.post("/connectors/bank/secret/", {"secret": "x"}).status_code == 404
    assert Client().get("/connectors/bank/").status_code == 302
