"""A halt on pages that are open already: the banner comes and goes by itself."""

import time

import pytest
from playwright.sync_api import Page, expect

from apps.halts.services import engage_halt, lift_halt
from tests.browser.conftest import assert_accessible, sign_in
from tests.browser.scene import set_the_scene
from tests.factories.access import make_admin

pytestmark = pytest.mark.browser


def test_the_banner_comes_by_itself_and_goes_with_the_halt(page: Page, db: str) -> None:
    scene = set_the_scene()
    sign_in(page, scene.ada.username, "/help/")
    expect(page.locator(".live[data-state=live]")).to_be_visible()
    banner = page.get_by_role("alert").filter(has_text=scene.agent.slug)
    expect(banner).to_have_count(0)
    halt = engage_halt(
        make_admin(), scope="agent", target=scene.agent.slug, unit=scene.unit, reason="It pays the wrong people."
    )
    expect(banner).to_contain_text("It pays the wrong people.")
    assert_accessible(page)
    time.sleep(2)  # pages ask at most once in two seconds
    lift_halt(make_admin(), halt_id=halt.pk, reason="Mended.")
    expect(banner).to_have_count(0)
