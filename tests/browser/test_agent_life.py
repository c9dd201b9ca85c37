"""An agent's whole life as its owner sees it: made, first call, asked about, narrowed, stopped, retired."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from apps.halts.models import Halt
from apps.halts.services import lift_halt
from tests.browser.conftest import PASSWORD, Watch, assert_accessible, sign_in
from tests.browser.scene import Scene, set_the_scene
from tests.factories.access import make_admin

pytestmark = pytest.mark.browser
PAYMENT = {"currency": "EUR", "iban": "DE89370400440532013000"}


class Caller:
    """The agent's own process: it asks over HTTP with its key, each time for something new."""

    def __init__(self, server: str, key: str, operation: str) -> None:
        self.address, self.key, self.operation = f"{server}/api/v1/actions/", key, operation
        self.asked = 0

    def pay(self, amount_minor: int, **more: Any) -> httpx.Response:
        """Ask to pay ``amount_minor`` cents."""
        self.asked += 1
        body = {"operation": self.operation, "parameters": {**PAYMENT, "amount_minor": amount_minor, **more}}
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": f"ask-{self.asked}"}
        return httpx.post(self.address, json=body, headers=headers, timeout=20)


def open_line(page: Page, ident: str) -> None:
    """Open a closed part of an agent's page."""
    line = page.locator(f"details#{ident}")
    if not line.evaluate("it => it.open"):
        line.locator("summary").click()


def make_it(page: Page, scene: Scene, slug: str, owner: str) -> str:
    """Fill in the form for a new agent; the test key that the next page shows once."""
    page.goto("/new-agent/")
    page.get_by_role("button", name="Make the agent").click()
    expect(page.get_by_role("alert")).to_be_visible()  # nothing was said yet: the summary names what is missing
    page.get_by_label("Name", exact=True).fill("Paula")
    page.get_by_label("Short name").fill(slug)
    page.get_by_label("Unit").select_option(scene.unit.slug)
    page.get_by_label("Owner").fill(owner)
    page.get_by_label("Risk").select_option("medium")
    page.get_by_label("Purpose").fill("Pays invoices that are due.")
    page.locator(f"input[name=operations][value='{scene.operation.slug}']").check()
    page.get_by_role("button", name="Make the agent").click()
    expect(page.get_by_text("Waiting for its first call")).to_be_visible()
    return page.locator("#key").inner_text().removeprefix("export ACP_KEY=").strip()


def move(page: Page, slug: str, to: str) -> None:
    """Change its state from its page."""
    page.goto(f"/agents/{slug}/")
    open_line(page, "state")
    page.locator(f"#state input[value={to}]").check()
    page.locator("#state").get_by_label("Why").fill("It is time.")
    page.get_by_role("button", name="Change state").click()


def test_from_the_form_for_a_new_agent_to_its_end(page: Page, watch: Watch, db: str, server: str) -> None:
    watch.expected.add(422)  # the first form is sent empty
    scene = set_the_scene()
    admin = make_admin(password=PASSWORD, name="Dora")
    slug, number = f"paula-{admin.pk.hex[-6:]}", scene.operation.slug
    sign_in(page, admin.username, "/agents/")

    key = make_it(page, scene, slug, admin.username)
    assert_accessible(page)
    trial = Caller(server, key, number)
    tried = trial.pay(50_000).json()  # a test key: judged, and nothing outside is called
    assert (tried["verdict"]["effect"], tried["environment"]) == ("allow", "test")
    came = page.locator("#calls")
    expect(came).to_contain_text("the rules allow it")  # the page heard of it by itself
    assert trial.pay(50_000, iban=7).status_code == 422
    expect(came).to_contain_text("Refused")

    move(page, slug, "pilot")
    expect(page.locator(".page-head")).to_contain_text("Pilot")
    open_line(page, "agent-keys")
    page.locator("#agent-keys").get_by_role("button", name="Make a key").click()
    agent = Caller(server, page.get_by_label("New key").inner_text().strip(), number)
    assert agent.pay(50_000).json()["verdict"]["effect"] == "allow"
    asked = agent.pay(250_000).json()
    assert (asked["verdict"]["effect"], asked["state"]) == ("require_approval", "pending_approval")

    page.goto(f"/agents/{slug}/?narrow={number}#permission")
    form = page.locator("#permission form")
    form.get_by_label("At most").fill("200.00")
    form.get_by_label("Currency").fill("EUR")
    form.get_by_label("Why").fill("Small ones to begin with.")
    form.get_by_role("button", name="Save permission").click()
    expect(page.locator("summary", has_text=number)).to_contain_text("Narrowed")
    assert agent.pay(50_000).status_code == 403
    assert agent.pay(15_000).json()["verdict"]["effect"] == "allow"

    page.goto("/halts/")
    stop = page.get_by_role("listitem").filter(has_text=slug)
    stop.get_by_role("textbox").fill("It pays the wrong people.")
    stop.get_by_role("button", name="Stop").click()
    assert agent.pay(15_000).status_code == 423
    page.goto(f"/agents/{slug}/")
    expect(page.get_by_text("It pays the wrong people.").first).to_be_visible()
    assert_accessible(page)

    lift_halt(make_admin(), halt_id=Halt.objects.get(target=slug, lifted_at=None).pk, reason="Found and mended.")
    assert agent.pay(15_000).json()["verdict"]["effect"] == "allow"

    move(page, slug, "retired")
    expect(page.locator(".page-head")).to_contain_text("Retired")
    assert agent.pay(15_000).status_code in {401, 403}
