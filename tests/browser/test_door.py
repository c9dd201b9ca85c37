from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch, assert_accessible, assert_nothing_overflows
from tests.browser.scene import set_the_scene

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1360, 390])
@pytest.mark.parametrize("path", ["/styleguide/", "/accounts/login/"])
def test_the_style_guide_and_the_door_are_accessible(
    open_page: Callable[..., Page], path: str, width: int, dark: bool
) -> None:
    page = open_page(width=width, dark=dark)
    page.goto(path)
    expect(page.get_by_role("heading").first).to_be_visible()
    assert_accessible(page)
    assert_nothing_overflows(page)


def test_a_chart_is_drawn_and_follows_the_theme(page: Page) -> None:
    page.goto("/styleguide/")
    plot = page.get_by_role("img", name="Line: the median falls")
    plot.scroll_into_view_if_needed()
    expect(plot.locator(".main-svg").first).to_be_visible(timeout=30_000)
    before = plot.locator(".xtick text").first.evaluate("e => getComputedStyle(e).fill")
    page.get_by_role("button", name="Switch between light and dark").click()  # all charts are drawn again
    expect(plot.locator(".xtick text").first).not_to_have_css("fill", before)
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_table_behind_a_chart_opens_by_its_button(page: Page) -> None:
    page.goto("/styleguide/")
    button = page.get_by_role("button", name="Table")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("cell", name="5.4 h")).to_be_visible()


def test_a_wrong_password_says_so_and_keeps_the_name(page: Page, db: str) -> None:
    scene = set_the_scene()
    page.goto("/accounts/login/")
    page.get_by_label("Username or e-mail").fill(scene.ada.username)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Username or e-mail")).to_have_value(scene.ada.username)


def test_a_page_that_is_not_there_says_what_to_do(page: Page, db: str, watch: Watch) -> None:
    from tests.browser.conftest import sign_in

    watch.expected = {404}
    scene = set_the_scene()
    sign_in(page, scene.ada.username)
    page.goto("/nowhere/")
    expect(page.get_by_role("heading", name="Not here, or not yours to see")).to_be_visible()
    assert_accessible(page)


def test_the_menu_opens_on_a_phone_without_javascript(open_page: Callable[..., Page], db: str) -> None:
    from tests.browser.conftest import sign_in

    scene = set_the_scene()
    page = open_page(width=390, height=844, javascript=False)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("link", name="Inbox")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Inbox")).to_be_visible()
