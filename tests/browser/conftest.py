"""A real server, a real browser, and a page that forgives no console error, foreign request or CSP violation."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.conftest import copy_database, drop_database, use_database
from tests.serving import serving

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's own loop runs in the thread of the test
PASSWORD = "correct horse battery"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING = {"type": "tag", "values": AXE_TAGS}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}  # all of it that a theme can break
PATIENCE_MS = 60_000  # tells what hangs from what is slow on a busy machine
expect.set_options(timeout=PATIENCE_MS)
SETTLED = "async () => { for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame); }"  # two frames drawn


def chromium() -> str | None:
    """The browser of this machine; ``ACP_CHROMIUM`` names another."""
    return os.environ.get("ACP_CHROMIUM") or next(filter(None, map(shutil.which, PLACES)), None)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Chromium from the system; without one, Playwright's own if it was installed."""
    found = chromium()
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    own = {"executable_path": found} if found else {}
    if not found and not os.environ.get("PLAYWRIGHT_BROWSERS_PATH") and not os.environ.get("CI"):
        pytest.skip("no Chromium: install one, or name it in ACP_CHROMIUM")
    return {**browser_type_launch_args, **own, "args": [*browser_type_launch_args.get("args", []), *sandbox]}


@pytest.fixture(scope="session")
def browser_database(template_database: str, django_db_setup: None) -> Iterator[str]:
    """One database for all browser tests; each makes its own unit, people and items in it."""
    name = f"acp_browser_{os.getpid()}"
    copy_database(template_database, name)
    yield name
    drop_database(name)


@pytest.fixture(scope="session")
def server(browser_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The web process as it runs in earnest; yields its address."""
    with serving(browser_database, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def db(browser_database: str, server: str, django_db_blocker: Any) -> Iterator[str]:
    """This process writes into the browser's database, with real commits."""
    from django.db import connections

    before = str(connections["default"].settings_dict["NAME"])
    with django_db_blocker.unblock():
        use_database(browser_database)
        yield browser_database
        use_database(before)


@dataclass
class Watch:
    """What a page complained of. ``expected``: statuses that a test provokes on purpose."""

    problems: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def on_console(self, message: ConsoleMessage) -> None:
        """Errors and warnings; a status that was provoked is none."""
        provoked = any(
            f"status of {status}" in message.text or f"Code {status}" in message.text for status in self.expected
        )
        if message.type in {"error", "warning"} and not provoked:
            self.problems.append(f"console {message.type}: {message.text}")

    def on_request(self, request: Request, server: str) -> None:
        """Anything that leaves the house."""
        if not request.url.startswith((server, "data:", "blob:")):
            self.problems.append(f"foreign request: {request.url}")

    def on_failed(self, request: Request) -> None:
        """Anything that did not arrive; what the page itself gave up is no failure."""
        if "ERR_ABORTED" not in (request.failure or ""):
            self.problems.append(f"failed: {request.url} {request.failure}")


REPEATED = """() => {
  const ids = [...document.querySelectorAll('[id]')].map((it) => it.id);
  return ids.filter((id, place) => ids.indexOf(id) !== place);
}"""
VIOLATIONS = """
window.__violations = [];
document.addEventListener(
  'securitypolicyviolation', (e) => window.__violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""


@pytest.fixture
def watch() -> Watch:
    """The complaints of this test's pages."""
    return Watch()


@pytest.fixture
def open_page(browser: Browser, server: str, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Opens watched pages: ``open_page(width=390, dark=True, javascript=False)``; at the end all must be calm."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []

    def make(
        *, width: int = 1360, height: int = 860, dark: bool = False, javascript: bool = True, scale: int = 1,
        base_url: str = server,
    ) -> Page:  # fmt: skip
        context = browser.new_context(
            base_url=base_url, viewport={"width": width, "height": height}, java_script_enabled=javascript,
            color_scheme="dark" if dark else "light", reduced_motion="reduce", device_scale_factor=scale,
        )  # fmt: skip
        if javascript:
            context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", watch.on_console)
        page.on("pageerror", lambda error: watch.problems.append(f"page error: {error}"))
        page.on("request", lambda request: watch.on_request(request, base_url))
        page.on("requestfailed", watch.on_failed)
        contexts.append(context)
        pages.append(page)
        page.has_javascript, page.home = javascript, base_url  # type: ignore[attr-defined] # read below
        return page

    yield make
    for page in pages:
        if page.has_javascript and page.url.startswith(page.home):  # type: ignore[attr-defined] # set above
            watch.problems += page.evaluate("window.__violations || []")
    for context in contexts:
        context.close()
    assert not watch.problems, "\n".join(watch.problems)


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A watched page of a desktop."""
    return open_page()


def sign_in(page: Page, username: str, path: str = "/inbox/") -> None:
    """Through the door, as people come."""
    page.goto(f"/accounts/login/?next={path}")
    page.get_by_label("Username or e-mail").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**{path}*")


LOOKS = 3
"""So often a page is looked at again."""


def assert_accessible(page: Page, rules: dict[str, Any] = EVERYTHING) -> None:
    """No violation of WCAG 2.2 AA or of good practice that is still there once the page has been drawn anew.

    A busy Chromium can hand out an element's initial style (black, 16px) while its own is pending, and after a change
    of the theme the text of one and the ground of the other: what is wrong stays wrong however often one looks.
    """
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    results = Axe().run(page, options=options)
    for _ in range(LOOKS):
        if not results.response["violations"]:
            break
        page.evaluate(SETTLED)
        results = Axe().run(page, options=options)
    assert not results.response["violations"], results.generate_report()
    assert not page.evaluate(REPEATED), "a label leads to the first of those that share an id"


def assert_nothing_overflows(page: Page) -> None:
    """No sideways scrolling."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
