"""What is pressed holds for the item that was read: never for the one that takes its place under the pointer."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, Route, expect

from apps.oversight.models import Escalation
from tests.browser.conftest import sign_in
from tests.browser.scene import Scene, set_the_scene

pytestmark = pytest.mark.browser
FIRST, SECOND = re.compile("1,500.00 EUR"), re.compile("1,600.00 EUR")


@pytest.fixture
def scene(db: str) -> Scene:
    return set_the_scene()


def states_of(*items: Escalation) -> list[str]:
    for item in items:
        item.refresh_from_db()
    return [item.state for item in items]


def middle_of(button: Locator) -> tuple[float, float]:
    box = button.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def approve_of(page: Page) -> Locator:
    return page.get_by_role("button", name="Approve", exact=False).first


@pytest.mark.parametrize("by", ["pointer", "key"])
def test_the_second_of_two_presses_never_decides_the_item_that_came(page: Page, scene: Scene, by: str) -> None:
    first, second = scene.payment(150_000), scene.payment(160_000)
    page.clock.install()
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=FIRST)).to_be_visible()
    place = middle_of(approve_of(page))
    page.clock.pause_at(timezone.now() + timedelta(minutes=1))  # however slow the machine is, no time goes by

    def press() -> None:
        if by == "key":
            page.keyboard.press("a")
        else:
            page.mouse.click(*place)

    press()
    expect(page.get_by_role("heading", name=SECOND)).to_be_visible()
    assert middle_of(approve_of(page)) == place
    press()
    if by == "pointer":
        expect(page.get_by_text("Nothing was recorded: it was pressed")).to_be_visible()
    page.clock.run_for(1000)
    expect(page.locator("[data-settling]")).to_have_count(0)
    assert states_of(first, second) == ["approved", "pending"]
    page.mouse.click(*place)  # read, it is decided like any other
    expect(page.get_by_role("heading", name="Nothing waits for you").first).to_be_visible()
    assert states_of(second) == ["approved"]


@pytest.mark.parametrize("by", ["pointer", "key"])
def test_while_another_item_is_on_its_way_nothing_is_decided_and_the_page_says_so(
    page: Page, scene: Scene, by: str
) -> None:
    first, second = scene.payment(150_000), scene.payment(160_000)
    held: list[Route] = []
    page.route(re.compile(f"/inbox/{second.pk}/(\\?|$)"), lambda route: held.append(route))
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=FIRST)).to_be_visible()
    approve = approve_of(page)
    approve.focus()
    with page.expect_request(re.compile(f"/inbox/{second.pk}/")):
        page.get_by_role("link", name=SECOND).evaluate("row => row.click()")
    if by == "key":
        page.keyboard.press("Enter")
    else:
        page.mouse.click(*middle_of(approve))
    expect(page.get_by_text("Nothing was recorded: it was pressed")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_role("heading", name=SECOND)).to_be_visible()
    assert states_of(first, second) == ["pending", "pending"]


def test_a_button_held_down_while_the_item_changes_decides_neither(page: Page, scene: Scene) -> None:
    first, second = scene.payment(150_000), scene.payment(160_000)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=FIRST)).to_be_visible()
    page.mouse.move(*middle_of(approve_of(page)))
    page.mouse.down()
    page.get_by_role("link", name=SECOND).evaluate("row => row.click()")
    expect(page.get_by_role("heading", name=SECOND)).to_be_visible()
    page.mouse.up()
    page.wait_for_load_state("networkidle")
    assert states_of(first, second) == ["pending", "pending"]
