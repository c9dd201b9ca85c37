"""The bell in the top bar: it counts by itself, leads to what waits, and needs no script."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.audit.models import Entry
from apps.notifications.services import raise_notice, spread_notices
from apps.oversight.models import Escalation
from tests.browser.conftest import assert_accessible, sign_in
from tests.browser.scene import set_the_scene

pytestmark = pytest.mark.browser


def tell_of(item: Escalation) -> None:
    """What the reaction to a new item does, and the lane behind it."""
    entry = Entry.objects.get(name="escalation.pending", subject_id=item.pk)
    raise_notice(entry.actor, entry=entry)
    spread_notices()


def test_the_bell_counts_what_comes_without_a_reload(page: Page, db: str) -> None:
    scene = set_the_scene()
    sign_in(page, scene.ada.username, "/help/")
    bell = page.locator("#bell")
    expect(bell).to_have_attribute("href", "/notifications/")
    expect(page.get_by_role("link", name="Notifications, 0 unseen")).to_be_visible()
    expect(page.locator(".live[data-state=live]")).to_be_visible()
    item = scene.payment()
    tell_of(item)
    expect(page.get_by_role("link", name="Notifications, 1 unseen")).to_be_visible()
    bell.click()
    page.get_by_role("link", name="Waits for you").click()
    expect(page).to_have_url(re.compile(f"/inbox/{item.pk}/"))
    expect(page.get_by_role("link", name="Notifications, 0 unseen")).to_be_visible()
    assert Escalation.objects.get(pk=item.pk).state == "pending"


def test_without_script_it_leads_to_the_list_and_the_settings(open_page: Callable[..., Page], db: str) -> None:
    scene = set_the_scene()
    tell_of(scene.payment())
    page = open_page(javascript=False)
    sign_in(page, scene.ada.username, "/help/")
    page.get_by_role("link", name="Notifications, 1 unseen").click()
    page.get_by_role("link", name="What and when").click()
    page.get_by_label("E-mail, low risk").select_option("off")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("E-mail, low risk")).to_have_value("off")


def test_the_list_is_accessible_with_something_in_it(page: Page, db: str) -> None:
    scene = set_the_scene()
    tell_of(scene.payment())
    sign_in(page, scene.ada.username, "/notifications/")
    expect(page.get_by_role("button", name="Mark all as seen")).to_be_visible()
    assert_accessible(page)
