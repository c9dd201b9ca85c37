"""A halt on pages that are open already: the banner comes and goes by itself."""

import pytest
from playwright.sync_api import Page, expect

from apps.audit.models import Entry
from apps.halts.services import engage_halt, lift_halt
from controlplane.waiting import LATELY_S
from tests.browser.conftest import assert_accessible, sign_in
from tests.browser.scene import set_the_scene
from tests.factories.access import make_admin

pytestmark = pytest.mark.browser


LISTEN = "() => { window.rung = []; document.body.addEventListener('acp:halts', e => rung.push(e.detail.version)); }"


def test_the_banner_comes_by_itself_and_goes_with_the_halt(page: Page, db: str) -> None:
    scene = set_the_scene()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, scene.ada.username, "/help/")
    expect(page.locator(".live[data-state=live]")).to_be_visible()
    banner = page.get_by_role("alert").filter(has_text=scene.agent.slug)
    expect(banner).to_have_count(0)
    page.evaluate(LISTEN)
    halt = engage_halt(
        make_admin(), scope="agent", target=scene.agent.slug, unit=scene.unit, reason="It pays the wrong people."
    )
    expect(banner).to_contain_text("It pays the wrong people.")
    assert_accessible(page)
    told = Entry.objects.get(name="halt.engaged", subject_id=halt.pk)
    assert told.pk in page.evaluate("rung"), "the stream said so"
    assert not any("/live/versions" in url for url in asked), "nobody had to look by the clock"
    lift_halt(make_admin(), halt_id=halt.pk, reason="Mended.")
    expect(banner).to_have_count(0)


def test_a_halt_that_came_before_the_stream_of_a_page_is_shown_on_it(page: Page, db: str) -> None:
    scene = set_the_scene()
    sign_in(page, scene.ada.username, "/help/")
    following = page.context.new_page()  # so that the listener has heard of it before the stream begins
    following.goto(page.url)
    expect(following.locator(".live[data-state=live]")).to_be_visible()
    page.add_init_script("window.Connecting = EventSource; EventSource = class { close() {} };")
    page.goto("/help/")
    engage_halt(make_admin(), scope="agent", target=scene.agent.slug, unit=scene.unit, reason="It pays twice.")
    expect(following.get_by_role("alert").filter(has_text="It pays twice.")).to_be_visible()
    page.evaluate("EventSource = Connecting; for (const name of ['offline', 'online']) dispatchEvent(new Event(name));")
    expect(page.get_by_role("alert").filter(has_text="It pays twice.")).to_be_visible()


def test_a_halt_that_came_while_a_page_was_cut_off_is_shown_when_it_is_back(page: Page, db: str) -> None:
    scene = set_the_scene()
    sign_in(page, scene.ada.username, "/help/")
    expect(page.locator(".live[data-state=live]")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator(".live[data-state=offline]")).to_be_visible()
    engage_halt(make_admin(), scope="agent", target=scene.agent.slug, unit=scene.unit, reason="It pays thrice.")
    page.wait_for_timeout(1_000 * (LATELY_S + 1))
    page.context.set_offline(False)
    expect(page.get_by_role("alert").filter(has_text="It pays thrice.")).to_be_visible()
