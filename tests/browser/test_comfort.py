"""What makes the inbox one's own: a palette, keys, who else looks, one item after the other."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.core.services import keep_shortcuts
from apps.oversight.models import Escalation
from tests.browser.conftest import assert_accessible, sign_in
from tests.browser.scene import Scene, set_the_scene

pytestmark = pytest.mark.browser


@pytest.fixture
def scene(db: str) -> Scene:
    return set_the_scene()


def state_of(item: Escalation) -> str:
    item.refresh_from_db()
    return item.state


def test_the_palette_jumps_to_what_is_typed_by_keyboard_alone(page: Page, scene: Scene) -> None:
    item = scene.payment()
    sign_in(page, scene.ada.username, "/help/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="A page, an id, a name")
    expect(field).to_be_focused()
    expect(page.get_by_role("option", name="Inbox")).to_be_visible()
    assert_accessible(page)
    field.fill(str(item.pk)[-8:])
    expect(page.get_by_role("option", name=re.compile("1,840.00 EUR"))).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/inbox/{item.pk}/")


def test_a_key_that_was_moved_decides_and_its_old_place_does_nothing(page: Page, scene: Scene) -> None:
    item = scene.payment()
    keep_shortcuts(scene.ada, keys={"a": "y"}, off=False)
    sign_in(page, scene.ada.username)
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Approve Y")).to_be_visible()
    assert state_of(item) == "pending"
    page.keyboard.press("y")
    expect(page.get_by_text("Approved: ")).to_be_visible()
    assert state_of(item) == "approved"


def test_keys_that_are_off_do_nothing(page: Page, scene: Scene) -> None:
    item = scene.payment()
    keep_shortcuts(scene.ada, keys={}, off=True)
    sign_in(page, scene.ada.username)
    page.keyboard.press("a")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert state_of(item) == "pending"


def test_each_sees_that_the_other_looks(open_page: Callable[..., Page], scene: Scene) -> None:
    item = scene.payment()
    first, second = open_page(), open_page()
    sign_in(first, scene.ada.username, f"/inbox/{item.pk}/")
    sign_in(second, scene.ben.username, f"/inbox/{item.pk}/")
    expect(second.get_by_text("Ada is viewing").first).to_be_visible()
    first.evaluate("document.body.dispatchEvent(new Event('acp:here'))")  # fifteen seconds later
    expect(first.get_by_text("Ben is viewing").first).to_be_visible()


def test_a_sitting_goes_from_start_to_its_end_by_keyboard(page: Page, scene: Scene) -> None:
    items = [scene.payment(amount) for amount in (150_000, 160_000)]
    sign_in(page, scene.ada.username, "/inbox/focus/")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("1 of 2")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("a")
    expect(page.get_by_text("2 of 2")).to_be_visible()
    page.wait_for_timeout(700)  # sooner, the same key is taken for the press that decided the item before
    page.keyboard.press("a")
    expect(page.get_by_text("Done: 2 decided, 0 skipped")).to_be_visible()
    assert [state_of(item) for item in items] == ["approved", "approved"]


def test_evidence_is_opened_in_place_and_ticked(page: Page, scene: Scene) -> None:
    scene.payment(risk="high")
    sign_in(page, scene.ada.username)
    page.get_by_role("button", name="Show Invoice 8841").click()
    expect(page.get_by_text("1,840.00 EUR, due 30 November")).to_be_visible()
    expect(page.get_by_text("Viewed", exact=True)).to_be_visible()


def test_the_page_itself_never_scrolls_however_long_an_open_item_is(page: Page, scene: Scene) -> None:
    scene.payment(250_000)
    sign_in(page, scene.ada.username)
    page.locator("a.row-link").first.click()
    page.evaluate("for (const line of document.querySelectorAll('#detail details')) line.open = true")
    assert page.evaluate("document.querySelector('#detail').scrollHeight > innerHeight")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight + 1")
