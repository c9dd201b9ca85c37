"""An agent's page: how autonomous it is, which rules concern it, how it did."""

from typing import Any

import pytest

from apps.agents.models import Action, Agent
from apps.halts.services import engage_halt
from tests.factories.access import make_admin, make_holder
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
