"""Charts as people meet them: fetched when they are looked at, the same in every form, and whole on paper."""

import csv
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any
from unicodedata import normalize

import pytest
from playwright.sync_api import Locator, Page, Request, expect
from pypdf import PdfReader

from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.browser.conftest import PASSWORD, assert_nothing_overflows, sign_in
from tests.browser.looks import LOST
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import make_cost, make_decision, make_run

pytestmark = pytest.mark.browser

HERE = "/dashboards/charted/?range=7d&tz=UTC"
SLUGS = ("cycle-time", "throughput", "error-rate", "error-classes", "sla", "cost", "escalation-rate", "autonomy")
LIBRARY = re.compile(r"plotly[^/]*\.js")
A4_PX = 718
"""The width of a sheet of A4 between its margins."""
READABLE = 4.5
BARS_OF = """
async (plot, name) => {
  for (let i = 0; i < 20; i++) await new Promise(requestAnimationFrame); // the sheet has moved them into place
  const at = plot.data.filter((one) => one.type === "bar").findIndex((one) => one.name === name);
  const bars = [...plot.querySelectorAll(".barlayer .trace")][at].querySelectorAll(".point path");
  return [...bars].map((bar) => { const {x, y, width, height} = bar.getBoundingClientRect();
    return {x: x + width / 2, y: y + height / 2}; });
}
"""
"""The middles of the bars of a trace."""
COLOURS_OF = """
(plot) => [...plot.data.map((one) => (one.marker ?? one.line).color), plot.querySelector(".ytick text").style.fill]
"""
GROUND_OF = """
(plot) => { const pixel = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  for (let e = plot; e; e = e.parentElement) { pixel.fillStyle = getComputedStyle(e).backgroundColor;
    pixel.clearRect(0, 0, 1, 1); pixel.fillRect(0, 0, 1, 1); const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    if (a === 255) return `rgb(${r}, ${g}, ${b})`; } }
"""
SHOWN_ON_PAPER = "(e) => [...document.querySelectorAll(e)].filter((one) => one.checkVisibility()).length"


CLASSES = ["busy", "lost", "refused", "timeout"]


@dataclass
class Charted:
    """Who looks, and which bars there have to be."""

    username: str
    failed: int


@pytest.fixture(scope="session")
def companies_with_charts() -> dict[str, Charted]:
    """One for all tests of a process."""
    return {}


@pytest.fixture
def charted(db: str, companies_with_charts: dict[str, Charted]) -> Charted:
    """A workflow with eighty runs of the last six days, and somebody who sees their figures."""
    if "one" not in companies_with_charts:
        unit, random, facts, now = make_unit(name="Charts"), Random(11), Facts(), database_now()
        make_holder("kpis.view_kpi", unit=unit, username="carla", name="Carla Harts", password=PASSWORD)
        for n in range(80):
            end = now - timedelta(hours=random.randint(1, 6 * 24))
            state = "failed" if n % 5 == 0 else "succeeded"
            run = make_run(
                workflow="charted",
                unit_id=unit.pk,
                finished_at=end,
                started_at=end - timedelta(minutes=random.randint(5, 400)),
                state=state,
                error_class=CLASSES[n // 5 % len(CLASSES)] if state == "failed" else "",
                sla_ms=14_400_000,
            )
            facts.runs.append(run)
            facts.costs.append(make_cost(run, incurred_at=end, amount_micro=random.randint(10, 90) * 10_000))
            if n % 3 == 0:
                facts.decisions.append(make_decision(run, decided_at=end - timedelta(minutes=2)))
        write_facts(facts=facts)
        companies_with_charts["one"] = Charted("carla", failed=16)
    return companies_with_charts["one"]


def look(page: Page, charted: Charted) -> None:
    """Sign in on a page without charts, and open the one that has them."""
    sign_in(page, charted.username, "/help/")
    page.goto(HERE)


def drawn(page: Page, slug: str) -> Locator:
    """The plot of this chart, once it is there."""
    plot = page.locator(f"#{slug} .plot")
    plot.scroll_into_view_if_needed()
    expect(plot).to_have_attribute("data-done", "1")
    return plot


def table_of(page: Page, slug: str) -> list[list[str]]:
    """What the chart's table says, the oldest first."""
    rows = page.locator(f"#{slug} tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return list(reversed(rows))


def file_of(page: Page, slug: str) -> list[dict[str, str]]:
    """The rows of the file that the chart offers."""
    address = page.locator(f"#{slug}").get_by_role("link", name="CSV").get_attribute("href")
    text = page.request.get(str(address)).text()
    return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith(("#", '"#', "'#"))))


def number_in(text: str) -> float:
    found = re.search(r"[\d,.]+", text)
    assert found, text
    return float(found[0].replace(",", ""))


def test_the_library_comes_with_the_first_chart_that_is_looked_at_and_once(
    open_page: Callable[..., Page], charted: Charted
) -> None:
    fetched: list[str] = []

    def note(request: Request) -> None:
        fetched.extend([request.url] if LIBRARY.search(request.url) else [])

    page = open_page(height=400)
    page.on("request", note)
    look(page, charted)
    page.wait_for_load_state("networkidle")
    assert page.locator(".plot").count() == len(SLUGS)
    assert not fetched
    drawn(page, SLUGS[0])
    assert len(fetched) == 1
    for slug in SLUGS[1:]:
        drawn(page, slug)
    assert len(fetched) == 1
    fetched.clear()
    for path in ("/settings/", "/dashboards/data-quality/", "/dashboards/charted/error_rate/"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
    assert not fetched


@pytest.mark.parametrize(
    ("chart", "name"),
    [
        ("throughput", "Succeeded"),
        ("throughput", "Failed"),
        ("sla", "Breaches"),
        *(("error-classes", name) for name in CLASSES),
    ],
)
def test_a_click_on_a_bar_leads_to_as_many_as_it_shows(page: Page, charted: Charted, chart: str, name: str) -> None:
    look(page, charted)
    plot = drawn(page, chart)
    heights = plot.evaluate("(plot, name) => plot.data.find((one) => one.name === name).y", name)
    at = max(range(len(heights)), key=lambda place: heights[place] or 0)
    assert heights[at] > (chart != "error-classes")  # of a class there may be one a day
    bars = plot.evaluate(BARS_OF, name)
    drawn_before = sum(bool(height) for height in heights[:at])  # no bar is drawn of nothing, but in a stack of parts
    bar = bars[at if len(bars) == len(heights) else drawn_before]
    page.mouse.move(bar["x"], bar["y"])
    page.mouse.click(bar["x"], bar["y"])
    page.wait_for_url("**/dashboards/charted/*/?*")
    expect(page.get_by_text(f"{heights[at]} in this list")).to_be_visible()


def parts_of(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG. Raises AssertionError where one is damaged."""
    at = 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        part, (check,) = content[at + 8 : at + 8 + length], struct.unpack(">I", content[at + 8 + length :][:4])
        assert zlib.crc32(kind + part) == check
        yield kind, part
        at += 12 + length


def test_a_picture_of_a_chart_is_one(page: Page, charted: Charted) -> None:
    look(page, charted)
    drawn(page, "throughput")
    with page.expect_download() as waiting:
        page.locator("#throughput").get_by_role("button", name="PNG").click()
    content = waiting.value.path().read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    parts = dict[bytes, bytes]()
    for kind, part in parts_of(content):
        parts[kind] = parts.get(kind, b"") + part
    assert struct.unpack(">II", parts[b"IHDR"][:8]) == (1920, 960)
    lines = zlib.decompress(parts[b"IDAT"])
    each = len(lines) // 960
    different = {lines[at : at + each] for at in range(0, len(lines), each)}
    assert len(different) > 200, "hardly anything is on it"
    assert re.fullmatch(r"charted-throughput-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d\.png", waiting.value.suggested_filename)


def test_bars_their_table_and_their_file_say_the_same(page: Page, charted: Charted) -> None:
    look(page, charted)
    expected: dict[str, dict[str, tuple[str, float]]] = {
        "throughput": {"Succeeded": ("Succeeded", 1), "Failed": ("Failed", 1)},
        "sla": {"SLA adherence": ("SLA adherence (0..1)", 100), "Breaches": ("Breaches", 1)},
        "error-rate": {"Error rate": ("Error rate (0..1)", 100)},
    }
    for slug, series in expected.items():
        traces = {
            one["name"]: one
            for one in drawn(page, slug).evaluate("(plot) => plot.data.map(({name, x, y}) => ({name, x, y}))")
        }
        table, rows = table_of(page, slug), file_of(page, slug)
        heads = page.locator(f"#{slug} thead th").all_text_contents()
        for name, (column, scale) in series.items():
            at, seen = heads.index(name), 0
            drawn_at: dict[str, Any] = dict(zip(traces[name]["x"], traces[name]["y"], strict=True))
            for line, row in zip(table, rows, strict=True):
                height = drawn_at.get(row["From"])
                if height is None:
                    continue
                assert float(row[column]) * scale == pytest.approx(height, abs=1e-3), (slug, name, row)
                assert number_in(line[at]) == pytest.approx(height, abs=0.051), (slug, name, line)
                seen += 1
            assert seen >= 6


def test_on_paper_tables_stand_for_charts_and_nothing_is_cut_off(
    open_page: Callable[..., Page], charted: Charted
) -> None:
    page = open_page(width=A4_PX, height=1000)
    look(page, charted)
    drawn(page, "throughput")
    page.emulate_media(media="print")
    shown = {what: page.evaluate(SHOWN_ON_PAPER, what) for what in (".rail", ".top", ".filters", ".btn", ".plot")}
    assert not any(shown.values()), shown
    for slug in SLUGS:
        expect(page.locator(f"#{slug} tbody tr").first).to_be_visible()
    assert not page.evaluate(LOST)
    paper = PdfReader(io.BytesIO(page.pdf(format="A4")))
    text = " ".join(normalize("NFKC", " ".join(one.extract_text() for one in paper.pages)).split())
    for line in table_of(page, "throughput"):
        assert line[0] in text
    assert page.locator("#autonomy .finding").inner_text() in text
    assert "Sign out" not in text


def test_without_scripts_the_tables_are_there(open_page: Callable[..., Page], charted: Charted) -> None:
    page = open_page(javascript=False)
    look(page, charted)
    for slug in SLUGS:
        row = page.locator(f"#{slug} tbody tr").first
        if not row.is_visible():
            page.locator(f"#{slug} summary").click()
        expect(row).to_be_visible()
    expect(page.get_by_role("button", name="PNG")).to_have_count(0)
    failed = [number_in(line[2]) for line in table_of(page, "throughput")]
    assert sum(failed) == charted.failed


def luminance(colour: str) -> float:
    channels = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_a_chart_takes_the_colours_of_the_theme_and_its_axes_can_be_read(page: Page, charted: Charted) -> None:
    look(page, charted)
    plot, seen = drawn(page, "throughput"), []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        axis = page.locator("#throughput .ytick text").first
        expect(axis).to_be_visible()
        if seen:
            expect(axis).not_to_have_css("fill", seen[0][1])
        colours = plot.evaluate(COLOURS_OF)
        ground = plot.evaluate(GROUND_OF)
        assert contrast(colours[-1], ground) >= READABLE, (scheme, colours, ground)
        assert all(contrast(one, ground) >= 3 for one in colours[:-1]), (scheme, colours, ground)
        seen.append((colours, axis.evaluate("(e) => getComputedStyle(e).fill")))
    light, dark = seen[0][0], seen[1][0]
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_on_a_phone_no_chart_is_wider_than_the_page(open_page: Callable[..., Page], charted: Charted) -> None:
    page = open_page(width=390, height=800)
    look(page, charted)
    for slug in SLUGS:
        plot = drawn(page, slug)
        assert plot.evaluate("(e) => e.querySelector('svg').getBoundingClientRect().right <= innerWidth")
    assert_nothing_overflows(page)
