"""What our templates and static files keep: no inline code, nothing evaluated, known icons, budgets."""

import re
from pathlib import Path

import brotli
from django.template import TemplateSyntaxError, engines

from apps.core.templatetags.acp import icon

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
FORBIDDEN = {
    "inline script": r"<script(?![^>]*(\bsrc=|type=\"application/json\"))",
    "inline style": r"<style|\sstyle=",
    "handler attribute": r"\son[a-z]+=",
    "hx-on": r"hx-on",
    "evaluated htmx value": r"js:|javascript:",
    "bracket trigger filter": r"hx-trigger=[\"'][^\"']*\[",
    "foreign address": r"(src|href|action)=[\"'](https?:)?//",
}
MAX_LINES = 120


def wrong_in(path: Path) -> list[str]:
    text = path.read_text()
    found = [name for name, pattern in FORBIDDEN.items() if re.search(pattern, text)]
    found += ["too long"] if len(text.splitlines()) > MAX_LINES else []
    try:
        engines["django"].from_string(text)
    except TemplateSyntaxError as error:
        found.append(str(error))
    return found


def test_every_template_compiles_is_short_and_holds_no_inline_code() -> None:
    assert len(TEMPLATES) > 400
    assert {path: found for path in TEMPLATES if (found := wrong_in(path))} == {}


def test_every_icon_that_a_template_or_the_menu_names_exists() -> None:
    sources = [*TEMPLATES, ROOT / "apps/core/context.py"]
    names = {name for path in sources for name in re.findall(r'{% icon "([a-z0-9-]+)"', path.read_text())}
    names |= set(re.findall(r'Place\("\w+", _\("[^"]+"\), "([a-z0-9-]+)"', (ROOT / "apps/core/context.py").read_text()))
    assert names
    for name in names:
        assert "<svg" in icon(name)


def test_the_sheet_keeps_its_size_and_its_layers() -> None:
    sheet = (ROOT / "static/acp.css").read_text()
    assert len(sheet.splitlines()) <= 900
    assert "@layer reset, tokens, base, layout, components, utilities;" in sheet
    important = [line for line in sheet.splitlines() if "!important" in line]
    assert len(important) == 1  # reduced motion
    assert "url(" not in sheet.replace("url(#hatch)", "")


def test_what_we_send_first_stays_within_its_budget() -> None:
    size = {
        name: len(brotli.compress((ROOT / "static" / name).read_bytes()))
        for name in ("acp.css", "app.js", "live.js", "charts.js")
    }
    assert size["acp.css"] <= 10_000
    assert size["app.js"] + size["live.js"] + size["charts.js"] <= 8_000


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_series_of_charts_stand_out_from_the_ground_and_from_each_other() -> None:
    sheet = (ROOT / "static/acp.css").read_text()
    pairs = re.findall(r"--series-\d: light-dark\((#\w{6}), (#\w{6})\)", sheet)
    assert len(pairs) == 4
    for ground, column in ((1.0, 0), (0.013, 1)):
        lights = [_luminance(pair[column]) for pair in pairs]
        for light in lights:
            assert (max(light, ground) + 0.05) / (min(light, ground) + 0.05) >= 3
    assert min(_far(pairs, column) for column in (0, 1)) > 20


def _far(pairs: list[tuple[str, str]], column: int) -> float:
    """The least distance (Delta E 76) of two series, in normal, deuteranopic, protanopic and tritanopic sight."""
    sights = [
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
        ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
        ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    ]
    least = 999.0
    for sight in sights:
        labs = [_lab(pair[column], sight) for pair in pairs]
        least = min(
            [
                least,
                *(
                    sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5
                    for i, a in enumerate(labs)
                    for b in labs[:i]
                ),
            ]
        )
    return least


def _lab(colour: str, sight: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    seen = [max(0.0, min(1.0, sum(m * c for m, c in zip(row, linear, strict=True)))) for row in sight]
    matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    x, y, z = (
        sum(m * c for m, c in zip(row, seen, strict=True)) / white
        for row, white in zip(matrix, (0.9505, 1, 1.089), strict=True)
    )
    fx, fy, fz = ((t ** (1 / 3)) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
