"""`bin/shots`: pictures of a running demo's pages, as each of its people sees them, wide and on a phone."""

import argparse
import re
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from controlplane import embedded
from controlplane.stack import chromium

SIZES = {"wide": (1280, 800), "phone": (390, 844)}
PAGES = {
    "": ["/accounts/login/"],
    "ada": [
        "/",
        "/inbox/",
        "/inbox/<first>/",
        "/inbox/?group=like",
        "/inbox/?view=decided",
        "/inbox/focus/",
        "/help/",
        "/settings/",
        "/settings/shortcuts/",
        "/styleguide/",
    ],
    "eve": [
        "/",
        "/dashboards/overview/",
        "/dashboards/purchase-order/",
        "/dashboards/purchase-order/versions/",
        "/dashboards/purchase-order/weeks/",
        "/dashboards/purchase-order/weeks/now/",
        "/dashboards/purchase-order/weeks/<any>/<any>/",
        "/dashboards/expense-declaration/",
        "/dashboards/agents/",
        "/dashboards/agents/expense-checker/",
        "/dashboards/agents/expense-checker/versions/",
        "/dashboards/uptime/of-systems/erp/",
        "/dashboards/unusual/",
        "/dashboards/cost/",
        "/dashboards/cost/behind/<any>/",
        "/dashboards/oversight/",
        "/dashboards/oversight/behind/<any>/",
        "/dashboards/overview/cycle_time_p50_s/",
        "/dashboards/overview/error_rate/",
        "/dashboards/overview/escalation_rate/",
        "/dashboards/goals/",
        "/dashboards/prices/",
        "/dashboards/rates/",
        "/dashboards/event-logs/",
        "/dashboards/data-quality/",
        "/reports/weekly/",
    ],
    "olga": ["/", "/runs/", "/runs/<first>/", "/workflows/purchase-order/", "/actions/", "/actions/<first>/"],
    "admin": ["/", "/agents/", "/agents/payables/", "/policies/", "/connectors/", "/access/", "/halts/", "/settings/"],
    "aud": ["/", "/audit/", "/audit/<first>/"],
}
DRAWN = "() => [...document.querySelectorAll('.plot')].every((plot) => plot.dataset.done || plot.dataset.failed)"
WAIT_MS, TRIES = 250, 60
NAMES = {"<first>": "(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]+)", "<any>": "[A-Za-z0-9_-]+"}
"""What stands for a row of the page that was shown before: the id of one, or any name."""


def main() -> int:
    """Exit status 1 when a page could not be shown."""
    options = _options()
    executable = chromium.find()
    if executable is None:
        print("There is no Chromium: install one, or name it in ACP_CHROMIUM.", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        missed = [path for person in PAGES for path in _shoot(browser, person, options)]
    print(f"Pictures: {options.out}" + (f"; not shown: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


def _shoot(browser: Browser, person: str, options: argparse.Namespace) -> list[str]:
    """Take one person's pictures; the addresses that did not answer with a page."""
    context = browser.new_context(base_url=options.url, color_scheme=options.scheme, reduced_motion="reduce")
    page, missed = context.new_page(), []
    if person:
        page.goto("/accounts/login/")
        page.fill("[name=login]", person)
        page.fill("[name=password]", options.password)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "/accounts/login/" not in url)
    for path in PAGES[person]:
        answer = page.goto(_resolved(page, path))
        if answer is None or not answer.ok:
            missed.append(f"{path} as {person or 'anybody'}")
            continue
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            _draw(page)
            name = "-".join(filter(None, [person, *re.findall(r"[a-z0-9_-]+", path), size, options.scheme]))
            page.screenshot(path=options.out / f"{name}.png", full_page=True)
    context.close()
    return missed


def _draw(page: Page) -> None:
    """Bring every chart into the window once, as none is drawn before, and wait until all are."""
    for figure in page.locator(".plot").all():
        figure.scroll_into_view_if_needed()
    for _ in range(TRIES):
        if page.evaluate(DRAWN):
            break
        page.wait_for_timeout(WAIT_MS)
    page.evaluate("scrollTo(0, 0)")


def _resolved(page: Page, path: str) -> str:
    """The first address of this kind, whatever it asks, on the page that was shown before."""
    if "<" not in path:
        return path
    parts = re.split("(<[a-z]+>)", path)
    pattern = re.compile("".join(NAMES.get(part, re.escape(part)) for part in parts) + r"(?:\?.*)?")
    links = [link.get_attribute("href") or "" for link in page.locator("a[href]").all()]
    return next((link for link in links if pattern.fullmatch(link)), path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/shots", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the demo answers")
    parser.add_argument("--out", type=Path, default=embedded.default_data_dir() / "shots")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--password", default="demo-demo")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
