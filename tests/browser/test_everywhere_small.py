"""What holds on every page, on a phone and at twice the size: apart, so that two workers share the pages."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SETTLED, sign_in
from tests.browser.looks import LOST, SPACE_TEXT
from tests.browser.scene import Scene
from tests.browser.test_everywhere import companies, places, scene, walk

__all__ = ["companies", "scene"]
pytestmark = pytest.mark.browser


def test_on_a_phone_too_every_page_is_accessible_in_both_themes_and_large_enough_to_hit_and_to_bear_more_space(
    open_page: Callable[..., Page], scene: Scene
) -> None:
    walk(open_page(width=390, dark=True), scene, dark=True)


def test_nothing_is_lost_at_twice_the_size(open_page: Callable[..., Page], scene: Scene) -> None:
    page = open_page(width=680, height=430, scale=2)
    sign_in(page, "everywhere", "/help/")
    found = {}
    for path in places(scene):
        page.goto(path)
        expect(page.get_by_role("main")).to_be_visible()
        found[path] = page.evaluate(LOST)
        page.evaluate(SPACE_TEXT)
        page.evaluate(SETTLED)
        found[f"spaced text of {path}"] = page.evaluate(LOST)
    assert not {what: problems for what, problems in found.items() if problems}
