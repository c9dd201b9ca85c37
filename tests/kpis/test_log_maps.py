"""The map of an imported log: drawn from its figures, thinned by a share in the address, with a table beside it."""

import re
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client

from apps.core.models import User
from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.figures import value_text
from apps.kpis.rules.formats import count_text
from apps.kpis.selectors.log_maps import SHARES, THICKEST, log_map_of
from apps.workflows.rules.drawing import MAX_NODES
from tests.factories.access import make_admin
from tests.kpis.test_event_log_doors import imported

DAY = "2026-01-0{}T{:02}:00:00Z"


def arrow(before: str, after: str, count: int, wait_s: float = 60) -> dict[str, Any]:
    return {"from": before, "to": after, "count": count, "wait_p50_s": wait_s, "wait_mean_s": wait_s}


def activities(*names: str) -> list[dict[str, Any]]:
    return [{"activity": name, "events": 10} for name in names]


ARROWS = [arrow("a", "b", 100), arrow("b", "b", 30), arrow("b", "c", 20), arrow("c", "a", 4)]


def test_thickness_follows_how_often_and_every_flow_is_labelled() -> None:
    found = log_map_of(ARROWS, activities("a", "b", "c"), 0)
    widths = {(one.before, one.after): one.width for one in found.flows}
    assert widths["a", "b"] == THICKEST
    assert sorted(widths, key=lambda pair: widths[pair]) == [("c", "a"), ("b", "c"), ("b", "b"), ("a", "b")]
    assert all(
        one.label == f"{count_text(count)} · 1 min" for one, count in zip(found.flows, (100, 30, 20, 4), strict=True)
    )


def test_an_activity_that_follows_itself_is_a_loop() -> None:
    found = log_map_of(ARROWS, activities("a", "b", "c"), 0)
    loop = next(one for one in found.flows if one.before == one.after)
    corner = next(box for box in found.activities if box.name == "b")
    ends = [float(number) for number in re.findall(r"-?\d+\.\d", loop.path)]
    assert corner.x < ends[-2] < ends[0] < corner.x + found.box_width


def test_the_words_beside_every_arrow_lie_within_the_drawing() -> None:
    """Also those of one that goes back at the edge: a digit is six wide as the sheet sets it."""
    often = [arrow("a", "b", 1_234_567, 1e7), arrow("b", "a", 1_000_000, 1e7), arrow("a", "a", 999_999, 1e7)]
    found = log_map_of(often, activities("a", "b"), 0)
    for one in found.flows:
        half = 6 * len(one.label) / 2
        assert found.left <= one.label_x - half
        assert one.label_x + half <= found.left + found.width
        assert found.top + 10 <= one.label_y <= found.top + found.height
    first, second = found.activities
    assert found.left + found.width >= second.x + found.box_width
    widest = max(len(one.label) for one in found.flows)
    assert second.x - first.x - found.box_width > 6 * widest, "boxes are drawn over what is between them"


@pytest.mark.parametrize(("share", "kept"), [(0, 4), (5, 3), (25, 2), (50, 1)])
def test_what_is_rarer_than_a_share_of_the_most_frequent_is_left_out_and_counted(share: int, kept: int) -> None:
    found = log_map_of(ARROWS, activities("a", "b", "c"), share)
    assert (len(found.flows), found.left_out) == (kept, 4 - kept)
    drawn = {name for one in found.flows for name in (one.before, one.after)}
    assert {box.name for box in found.activities} == drawn


def test_beyond_a_hundred_and_fifty_activities_there_is_the_table_alone() -> None:
    def chain(n: int) -> list[dict[str, Any]]:
        return [arrow(f"x{at}", f"x{at + 1}", 5) for at in range(n - 1)]

    assert len(log_map_of(chain(MAX_NODES), [], 0).activities) == MAX_NODES
    assert log_map_of(chain(MAX_NODES + 1), [], 0).activities == []
    assert log_map_of([], activities("a"), 0).activities == []


@pytest.mark.django_db
def test_the_page_draws_it_beside_its_table_and_keeps_the_share_in_the_address() -> None:
    admin: User = make_admin()
    rows = [
        f"{case},{name},{DAY.format(1, hour)}" for case in range(4) for hour, name in enumerate(("in", "do", "out"))
    ]
    rows += [f"4,{name},{DAY.format(2, hour)}" for hour, name in enumerate(("in", "<out>"))]
    log, _id = imported(admin, "\n".join(["case_id,activity,complete", *rows]) + "\n")
    client = Client()
    client.force_login(admin)
    html = client.get(f"/dashboards/event-logs/{log.pk}/").content.decode()
    drawing = html.partition('class="dag"')[2].partition("</svg>")[0]
    assert drawing.count("<rect") == 4
    assert "&lt;out&gt;" in drawing
    assert "<out>" not in drawing
    assert html.index('class="dag"') < html.index("What directly follows what, most frequent first")
    links = [f'href="/dashboards/event-logs/{log.pk}/?rare={share}#l-map"' in html for share in SHARES]
    assert all(links)
    thinned = client.get(f"/dashboards/event-logs/{log.pk}/?rare=50").content.decode()
    assert "1 left out" in thinned
    assert thinned.partition('class="dag"')[2].partition("</svg>")[0].count("<rect") == 3
    for odd in ("x", "-1", "100000", "%00x"):
        assert client.get(f"/dashboards/event-logs/{log.pk}/?rare={odd}").status_code in {200, 422}


def test_a_time_is_said_as_dashboards_say_it() -> None:
    """Rounded, not cut: a log's page and the baseline made of it are read side by side."""
    page = Template("{% load kpis %}{{ s|lasted }}").render(Context({"s": 2868.6}))
    assert page == value_text(DEFINITIONS["cycle_time_p50_s"], 2868.6, "EUR") == "48 min"
