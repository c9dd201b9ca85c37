"""Pictures of every dashboard for people to look at: both themes, a desktop's and a phone's width.

``python -m tests.browser.shots FOLDER --url http://127.0.0.1:8000 [--only cost]`` beside a demo that runs;
``ACP_SHOTS`` names the folder, too.
"""

import argparse
import os
import re
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import chromium

WIDTHS = (1360, 390)
FIXED = ("overview", "agents", "cost", "oversight")
DRAWN = "() => [...document.querySelectorAll('.plot')].every((plot) => plot.dataset.done || plot.dataset.failed)"
WAIT_MS, TRIES = 250, 120


def places(page: Page) -> list[str]:
    """The fixed pages, the first workflow's and the first agent's, and the lists behind the cards of the overview."""
    page.goto("/dashboards/overview/")
    links = [str(link.get_attribute("href")) for link in page.locator("main a[href^='/dashboards/']").all()]
    behind = [link for link in links if re.match(r"/dashboards/overview/\w+/\?", link)]
    chips = [str(link.get_attribute("href")) for link in page.locator("nav.chips a").all()]
    workflows = [link for link in chips if link.split("/")[2] not in FIXED][:1]
    page.goto("/dashboards/agents/")
    agents = [str(link.get_attribute("href")) for link in page.locator("th a[href^='/dashboards/agents/']").all()][:1]
    seen = {link.partition("?")[0]: link for link in reversed(behind)}
    return [*(f"/dashboards/{name}/" for name in FIXED), *workflows, *agents, *seen.values()]


def settle(page: Page) -> None:
    """Bring every chart into the window once, and wait until each is drawn."""
    for figure in page.locator(".plot").all():
        figure.scroll_into_view_if_needed()
    for _ in range(TRIES):
        if page.evaluate(DRAWN):
            break
        page.wait_for_timeout(WAIT_MS)
    page.evaluate("scrollTo(0, 0)")


def shoot(browser: Browser, url: str, folder: Path, user: tuple[str, str], only: str) -> int:
    """Take all of them; how many."""
    taken = 0
    for width in WIDTHS:
        context = browser.new_context(base_url=url, viewport={"width": width, "height": 860}, reduced_motion="reduce")
        page = context.new_page()
        page.goto("/accounts/login/?next=/help/")
        page.get_by_label("Username or e-mail").fill(user[0])
        page.get_by_label("Password").fill(user[1])
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/help/*")
        for path in [one for one in places(page) if only in one]:
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                page.goto(path)
                settle(page)
                name = path.partition("?")[0].removeprefix("/dashboards/").strip("/").replace("/", "-")
                page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
                taken += 1
        context.close()
    return taken


def main() -> None:
    """Read what is asked for, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("ACP_SHOTS", "shots"), type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="demo-demo")
    parser.add_argument("--only", default="", help="a part of the address")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        print(shoot(browser, asked.url, asked.folder, (asked.user, asked.password), asked.only), "pictures")
        browser.close()


if __name__ == "__main__":
    main()
