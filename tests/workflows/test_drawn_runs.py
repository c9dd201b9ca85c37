"""The page of a run: what it waits for comes first, its drawing is walked along its edges, is zoomed, or is a list."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.core.models import User
from apps.workflows.models import Run
from apps.workflows.rules.definition import definition_of
from apps.workflows.rules.drawing import MAX_NODES
from apps.workflows.selectors.drawings import ZOOMS, picture_for
from tests.factories.access import make_holder
from tests.factories.workflows import make_run, make_workflow

pytestmark = pytest.mark.django_db
UPSIDE_DOWN = {
    "last": {"agent": "a.last", "needs": ["left", "right"]},
    "right": {"agent": "a.right", "needs": ["first"]},
    "left": {"agent": "a.left", "needs": ["first"]},
    "first": {"agent": "a.first"},
}


@pytest.fixture
def viewer() -> User:
    return make_holder("workflows.view_run", "workflows.view_workflow")


def page(viewer: User, run: Run, query: str = "") -> str:
    client = Client()
    client.force_login(viewer)
    answer = client.get(f"/runs/{run.pk}/?{query}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def walked(html: str) -> list[str]:
    """The steps in the order in which the keyboard reaches them in the drawing."""
    drawing = html.partition('class="dag"')[2].partition("</svg>")[0]
    return re.findall(r'<a href="[^"]*step=([a-z0-9]+)#step"', drawing)


def chain(n: int) -> dict[str, Any]:
    """Steps one after another, written from the last to the first."""
    steps = {f"s{at}": {"agent": "a.b", **({"needs": [f"s{at - 1}"]} if at else {})} for at in range(n)}
    return dict(reversed(steps.items()))


def test_the_keyboard_goes_along_the_edges_however_the_steps_were_written(viewer: User) -> None:
    workflow = make_workflow({"steps": UPSIDE_DOWN})
    order = walked(page(viewer, make_run(workflow)))
    assert order == ["first", "right", "left", "last"]
    for name, step in UPSIDE_DOWN.items():
        assert all(order.index(before) < order.index(name) for before in step.get("needs", []))


def test_what_it_waits_for_stands_before_everything_else(viewer: User) -> None:
    html = page(viewer, make_run(make_workflow({"steps": UPSIDE_DOWN}))).partition("<main")[2]
    places = [html.index(part) for part in ("<h1>", 'id="waits"', 'class="dag"', 'class="tabs"', "This run")]
    assert places == sorted(places)
    assert "<h2" not in html[places[0] : places[1] - 60]


@pytest.mark.parametrize("query", ["", "zoom=100", "zoom=7", "zoom=x", "zoom=-50", "zoom=99999999999"])
def test_what_is_no_zoom_shows_it_as_it_is(viewer: User, query: str) -> None:
    html = page(viewer, make_run(make_workflow({"steps": UPSIDE_DOWN})), query)
    width, shown = re.search(r'viewBox="0 0 (\d+) \d+" width="(\d+)"', html).groups()  # type: ignore[union-attr] # it is drawn
    assert width == shown
    assert "100 %" in html
    assert "As it was" not in html


def test_it_is_zoomed_by_links_that_keep_the_view_and_the_step(viewer: User) -> None:
    run = make_run(make_workflow({"steps": UPSIDE_DOWN}))
    seen = []
    address = "tab=graph&step=left&zoom=50"
    while address:
        html = page(viewer, run, address)
        width, shown = re.search(r'viewBox="0 0 (\d+) \d+" width="(\d+)"', html).groups()  # type: ignore[union-attr] # it is drawn
        seen.append(round(100 * int(shown) / int(width)))
        assert 'aria-current="true"><title>' in html
        larger = re.search(r'href="/runs/[^?]*\?([^"]*)">Larger<', html)
        address = larger[1].replace("&amp;", "&") if larger else ""
        assert not address or "step=left" in address
    assert seen == list(ZOOMS)
    assert all("zoom=200" in link for link in re.findall(r'href="([^"]*step=[a-z]+#step)" class=', html))


def test_a_workflow_is_zoomed_too(viewer: User) -> None:
    workflow = make_workflow({"steps": UPSIDE_DOWN})
    client = Client()
    client.force_login(viewer)
    html = client.get(f"/workflows/{workflow.slug}/?version=1&zoom=150").content.decode()
    assert "version=1&amp;zoom=200" in html
    assert walked(html) == ["first", "right", "left", "last"]


def test_beyond_a_hundred_and_fifty_steps_there_is_the_list(viewer: User) -> None:
    drawn, listed = make_workflow({"steps": chain(MAX_NODES)}), make_workflow({"steps": chain(MAX_NODES + 1)})
    assert drawn.active is not None
    assert listed.active is not None
    picture = picture_for(viewer, definition_of(drawn.active.compiled))
    assert picture is not None
    assert [box.name for box in picture.boxes] == [f"s{at}" for at in range(MAX_NODES)]
    assert picture_for(viewer, definition_of(listed.active.compiled)) is None
    html = page(viewer, make_run(listed))
    assert 'class="dag"' not in html
    assert "Too many steps for a drawing; the list says it all." in html
    table = html.partition('<caption class="vh">Steps</caption>')[2].partition("</table>")[0]
    assert "step=s0#step" in table
