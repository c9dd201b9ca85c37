"""An agent's whole life as people see it: made, first call, asked about and approved, narrowed, stopped, retired."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from apps.connectors.models import Connector
from tests.browser.conftest import PASSWORD, Watch, assert_accessible, sign_in
from tests.browser.scene import Scene, set_the_scene
from tests.conftest import copy_database, drop_database
from tests.connectors.conftest import System, system
from tests.factories.access import make_admin
from tests.serving import serving, wait_for, working

__all__ = ["system"]
pytestmark = pytest.mark.browser
PAYMENT = {"currency": "EUR", "iban": "DE89370400440532013000"}


@pytest.fixture(scope="module")
def browser_database(template_database: str, django_db_setup: None) -> Iterator[str]:
    """A database of this file's own: the clock changes what other tests left in theirs."""
    name = f"acp_life_{os.getpid()}"
    copy_database(template_database, name)
    yield name
    drop_database(name)


@pytest.fixture(scope="module")
def server(browser_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The web process, a worker and the clock, as they run in earnest; yields the address."""
    folder = tmp_path_factory.mktemp("life")
    with serving(browser_database, folder) as address, working(browser_database, folder):
        yield address


class Caller:
    """The agent's own process: it asks over HTTP with its key, each time for something new."""

    def __init__(self, server: str, key: str, operation: str) -> None:
        self.address, self.operation, self.asked = f"{server}/api/v1/actions/", operation, 0
        self.headers = {"Authorization": f"Bearer {key}"}

    def pay(self, amount_minor: int, **more: Any) -> httpx.Response:
        """Ask to pay ``amount_minor`` cents."""
        self.asked += 1
        body = {"operation": self.operation, "parameters": {**PAYMENT, "amount_minor": amount_minor, **more}}
        headers = {**self.headers, "Idempotency-Key": f"ask-{self.asked}"}
        return httpx.post(self.address, json=body, headers=headers, timeout=20)

    def look(self, action: str) -> dict[str, Any]:
        """What the API says of one of its actions now."""
        found: dict[str, Any] = httpx.get(f"{self.address}{action}/", headers=self.headers, timeout=20).json()
        return found


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


@dataclass
class Life:
    """One agent, its owner's page, its own process, and the bank that it pays from."""

    page: Page
    open_page: Callable[..., Page]
    server: str
    scene: Scene
    bank: System
    slug: str
    agent: Caller

    def of_it(self) -> dict[str, Any]:
        """What the API says of the agent to its owner."""
        found: dict[str, Any] = self.page.request.get(f"/api/v1/agents/{self.slug}/").json()
        return found

    def paid(self) -> list[int]:
        """What the bank was asked to pay, in cents."""
        return [json.loads(body)["amount_minor"] for _method, _path, _headers, body in self.bank.asked]

    def sees_last(self, *texts: str) -> None:
        """The agent's page shows this of what it did last."""
        self.page.goto(f"/agents/{self.slug}/")
        done = self.page.locator("section", has=self.page.locator("#did")).get_by_role("listitem").first
        for text in texts:
            expect(done).to_contain_text(text)

    def sees_it_end(self, action: str) -> None:
        """The action's page says that a worker carried it out; its caller hears the same."""
        state = self.page.locator("#action .page-head .badge").first

        def has_ended() -> bool:
            self.page.goto(f"/actions/{action}/")
            return state.inner_text() == "Succeeded"

        wait_for(has_ended)
        assert self.agent.look(action)["state"] == "succeeded"

    def is_tried(self, key: str) -> None:
        """A draft with a test key: judged, and nothing outside is called."""
        assert self.of_it()["state"] == "draft"
        trial = Caller(self.server, key, self.scene.operation.slug)
        tried = trial.pay(50_000).json()
        assert (tried["verdict"]["effect"], tried["environment"]) == ("allow", "test")
        came = self.page.locator("#calls")
        expect(came).to_contain_text("the rules allow it")  # the page heard of it by itself
        assert trial.pay(50_000, iban=7).status_code == 422
        expect(came).to_contain_text("Refused")
        assert self.paid() == []

    def becomes_a_pilot(self) -> None:
        """It gets a key that acts."""
        move(self.page, self.slug, "pilot")
        expect(self.page.locator(".page-head")).to_contain_text("Pilot")
        assert self.of_it()["state"] == "pilot"
        self.page.get_by_role("link", name="Keys", exact=True).click()  # opens what holds them
        self.page.locator("#agent-keys").get_by_role("button", name="Make a key").click()
        key = self.page.get_by_label("New key").inner_text().strip()
        self.agent = Caller(self.server, key, self.scene.operation.slug)

    def pays_alone(self, amount_minor: int) -> None:
        """What the rules allow is done, and its caller hears so."""
        before, asked = self.paid(), self.agent.pay(amount_minor).json()
        assert asked["verdict"]["effect"] == "allow"
        self.sees_it_end(asked["id"])
        assert self.paid() == [*before, amount_minor]

    def asks_and_is_approved(self) -> None:
        """Above its limit a person opens the item in the inbox and approves it; then, and only then, it runs."""
        before, asked = self.paid(), self.agent.pay(250_000).json()
        assert (asked["verdict"]["effect"], asked["state"]) == ("require_approval", "pending_approval")
        self.page.goto(f"/actions/{asked['id']}/")
        expect(self.page.locator(".live")).to_have_attribute("data-state", "live")
        ada = self.open_page()
        sign_in(ada, self.scene.ada.username)
        ada.get_by_role("link", name=re.compile("2,500.00 EUR")).first.click()
        ada.wait_for_url(re.compile(r"/inbox/[0-9a-f-]{36}/"))
        detail = ada.get_by_role("article")
        expect(detail).to_contain_text("Will pay 2,500.00 EUR to DE89370400440532013000.")
        expect(detail).to_contain_text("Payments above 1,000.00 need a person.")
        assert self.paid() == before, "nothing runs before somebody says yes"
        detail.get_by_role("button", name="Approve").click()
        expect(ada.get_by_role("heading", name="Nothing waits for you").first).to_be_visible()
        expect(self.page.locator("#action .page-head")).to_contain_text("Succeeded")  # it heard by itself
        assert (self.agent.look(asked["id"])["state"], self.paid()) == ("succeeded", [*before, 250_000])

    def is_narrowed(self) -> None:
        """To 200.00 a payment; it acts on its next request."""
        number = self.scene.operation.slug
        self.page.goto(f"/agents/{self.slug}/?narrow={number}#permission")
        form = self.page.locator("#permission form")
        form.get_by_label("At most").fill("200.00")
        form.get_by_label("Currency").fill("EUR")
        form.get_by_label("Why").fill("Small ones to begin with.")
        form.get_by_role("button", name="Save permission").click()
        expect(self.page.locator("summary", has_text=number)).to_contain_text("Narrowed")
        refused = self.agent.pay(50_000)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert "200.00 EUR" in refused.json()["detail"]

    def is_stopped(self) -> str:
        """By its owner, who may not lift it; the address of the halt's page."""
        self.page.goto("/halts/")
        stop = self.page.get_by_role("listitem").filter(has_text=self.slug)
        stop.get_by_role("textbox").fill("It pays the wrong people.")
        stop.get_by_role("button", name="Stop").click()
        stopped = self.agent.pay(15_000)
        assert (stopped.status_code, stopped.json()["code"]) == (423, "halted")
        self.page.goto(f"/agents/{self.slug}/")
        expect(self.page.get_by_text("It pays the wrong people.").first).to_be_visible()
        assert_accessible(self.page)
        self.page.locator("dd", has_text="It pays the wrong people.").get_by_role("link").click()
        expect(self.page.get_by_text("You engaged it, so somebody else must lift it.")).to_be_visible()
        expect(self.page.get_by_role("button", name="Lift")).to_have_count(0)
        return self.page.url.removeprefix(self.server)

    def is_let_go_on(self, halt: str, second: str) -> None:
        """By a second person, on the halt's own page."""
        eve = self.open_page()
        sign_in(eve, second, halt)
        eve.get_by_role("textbox", name="Why may it go on?").fill("Found and mended.")
        eve.get_by_role("button", name="Lift").click()
        eve.goto(halt)
        expect(eve.locator(".page-head")).to_contain_text("Lifted")
        expect(eve.get_by_role("main")).to_contain_text("Eve: Found and mended.")

    def is_retired(self) -> None:
        """Its key opens nothing more, and the answer says why."""
        before = self.paid()
        self.page.goto(f"/agents/{self.slug}/")
        open_line(self.page, "retire")
        self.page.locator("#retire").get_by_label("Why").fill("It is time.")
        self.page.get_by_role("button", name="for good").click()
        expect(self.page.locator(".page-head")).to_contain_text("Retired")
        assert self.of_it()["state"] == "retired"
        open_line(self.page, "agent-keys")
        expect(self.page.get_by_text("A retired agent gets no key.").first).to_be_visible()
        gone = self.agent.pay(15_000)
        assert (gone.status_code, gone.json()["code"]) == (401, "credential_revoked")
        assert "retired" in gone.json()["detail"]
        assert self.paid() == before, "what was refused ran nowhere"


def test_from_the_form_for_a_new_agent_to_its_end(
    page: Page, open_page: Callable[..., Page], watch: Watch, db: str, server: str, system: System
) -> None:
    watch.expected.add(422)  # the first form is sent empty
    scene = set_the_scene()
    Connector.objects.filter(pk=scene.operation.connector_id).update(base_url=system.url)
    owner, second = (make_admin(password=PASSWORD, name=name) for name in ("Dora", "Eve"))
    slug = f"paula-{owner.pk.hex[-6:]}"
    sign_in(page, owner.username, "/agents/")
    key = make_it(page, scene, slug, owner.username)
    assert_accessible(page)
    life = Life(page, open_page, server, scene, system, slug, Caller(server, key, scene.operation.slug))
    life.is_tried(key)
    life.becomes_a_pilot()
    life.pays_alone(50_000)
    life.sees_last("Will pay 500.00 EUR to DE89370400440532013000.", "Succeeded")
    life.asks_and_is_approved()
    life.sees_last("Will pay 2,500.00 EUR to DE89370400440532013000.", "Succeeded")
    expect(page.get_by_text("1 approved as asked, 0 edited, 0 rejected")).to_be_visible()
    life.is_narrowed()
    life.pays_alone(15_000)
    life.is_let_go_on(life.is_stopped(), second.username)
    life.pays_alone(15_000)
    assert life.paid() == [50_000, 250_000, 15_000, 15_000]
    life.is_retired()
