"""A halt on pages that are open already: the banner comes and goes by itself."""

import pytest
from playwright.sync_api import Page, expect

from apps.audit.models import Entry
from apps.halts.services import engage_halt, lift_halt
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
