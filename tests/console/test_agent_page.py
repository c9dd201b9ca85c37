"""An agent's page: how autonomous it is, which rules concern it, how it did."""

from typing import Any

import pytest
from lxml import html

from apps.agents.models import Action, Agent
from apps.connectors.models import OperationPermission
from apps.halts.services import engage_halt
from tests.factories.access import make_admin, make_holder
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation
from tests.oversight.test_api import caller, decide
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db


def test_it_says_how_autonomous_it_is_which_rules_concern_it_and_how_it_did(client: Any) -> None:
    desk = make_desk()
    desk.ask(250_000)
    item = Action.objects.get().escalations.get()
    assert decide(caller(desk.approver), item, version=item.version).status_code == 200
    engage_halt(make_admin(), scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="It errs.")
    client.force_login(make_admin())
    page = " ".join(client.get(f"/agents/{desk.agent.slug}/").content.decode().split())
    assert "Level 4 of 4: acts within its limits" in page
    for rule in ("small", "large", "huge"):
        assert f"{desk.policy.slug} · {rule}" in page
    assert "used 1 time in 90 days" in page
    assert "It errs." in page
    assert "for those who may see figures" not in page


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (50_000, "EUR", {"small"}),
        (100_000, "EUR", {"small"}),
        (100_001, "EUR", {"small", "large"}),
        (50_000, "USD", {"small", "large", "huge"}),
    ],
)
def test_rules_of_amounts_beyond_its_permission_are_not_among_its_words(
    client: Any, minor: int, currency: str, shown: set[str]
) -> None:
    desk = make_desk()
    OperationPermission.objects.update(limit_minor=minor, limit_currency=currency)
    client.force_login(make_admin())
    page = " ".join(client.get(f"/agents/{desk.agent.slug}/").content.decode().split())
    assert {rule for rule in ("small", "large", "huge") if f"{desk.policy.slug} · {rule}" in page} == shown


def test_who_sees_no_items_and_no_figures_is_told_so(client: Any) -> None:
    desk = make_desk()
    desk.ask(250_000)
    item = Action.objects.get().escalations.get()
    assert decide(caller(desk.approver), item, version=item.version).status_code == 200
    client.force_login(make_holder("agents.view_agent", unit=desk.agent.unit))
    page = client.get(f"/agents/{desk.agent.slug}/").content.decode()
    assert "approved as asked" not in page
    assert "for those who may see its items" in page
    assert "for those who may see figures" in page
    client.force_login(make_holder("agents.view_agent", "oversight.view_escalation", unit=desk.agent.unit))
    assert "1 approved as asked" in client.get(f"/agents/{desk.agent.slug}/").content.decode()


def test_a_draft_s_version_is_the_current_one_and_not_active(client: Any) -> None:
    desk = make_desk()
    client.force_login(make_admin())
    address = f"/agents/{desk.agent.slug}/"
    version = f"{address}versions/{desk.agent.version.number}/"
    said = "What it tries with a test key is not counted."
    for state, words in (("active", "Active"), ("draft", "Current")):
        Agent.objects.update(state=state)
        page = client.get(address).content.decode()
        assert f">{words}</span></td>" in page.partition('id="versions"')[2]
        assert (said in page) == (state == "draft")
        assert (">Active</span>" in client.get(version).content.decode()) == (state == "active")


def test_retiring_names_what_follows_and_wants_a_reason(client: Any) -> None:
    agent = make_agent()
    client.force_login(make_admin())
    path = f"/agents/{agent.slug}/retire/"
    page = client.get(f"/agents/{agent.slug}/").content.decode()
    assert 'value="retired"' not in page
    refused = client.post(path, {"reason": " "})
    assert (refused.status_code, "Say why." in refused.content.decode()) == (422, True)
    for state in ("retired", "nonsense"):
        assert client.post(f"/agents/{agent.slug}/state/", {"state": state, "reason": "x"}).status_code == 422
    agent.refresh_from_db()
    assert agent.state == "active"
    assert client.post(path, {"reason": "Its work is done."}).status_code == 302
    agent.refresh_from_db()
    assert agent.state == "retired"
    assert "Retire it" not in client.get(f"/agents/{agent.slug}/").content.decode()


def test_its_keys_are_one_step_from_the_top(client: Any) -> None:
    agent = make_agent()
    client.force_login(make_admin())
    page = html.fromstring(client.get(f"/agents/{agent.slug}/").content)
    assert page.xpath("//*[contains(@class, 'page-head')]//a[@href='#its-keys']")
    assert page.xpath("//details[@id='agent-keys']/*[@id='its-keys']")


def test_operations_are_offered_by_name(client: Any) -> None:
    agent, operation = make_agent(), make_operation(name="Pay an invoice")
    client.force_login(make_admin())
    told = f"Pay an invoice ({operation.slug})</option>"
    for path in (f"/agents/{agent.slug}/", "/access/who/"):
        assert told in client.get(path).content.decode()
