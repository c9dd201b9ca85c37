"""Drills as people meet them: announced, decided like any item, and said at once; in both themes and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.oversight.models import Drill, DrillPlan
from apps.oversight.services import plan_drills
from tests.browser.conftest import assert_accessible, assert_nothing_overflows, sign_in
from tests.browser.scene import Scene, set_the_scene
from tests.factories.access import grant, make_admin, make_role
from tests.factories.drills import due
from tests.factories.oversight import say

pytestmark = pytest.mark.browser
WORDS = "Among the payments are up to two exercises a week, as agreed with the works council."


def whole(page: Page) -> None:
    """The page is accessible and nothing of it is cut."""
    assert_accessible(page)
    assert_nothing_overflows(page)


def drilled() -> tuple[Scene, Drill]:
    """A payment that ben approved, and the drill that was made of it."""
    scene = set_the_scene()
    say(scene.ben, scene.payment())
    plan_drills(make_admin(), queue=scene.queue, per_week=2, announcement=WORDS)
    DrillPlan.objects.exclude(queue=scene.queue).update(ended_at="2026-01-01T00:00:00Z")
    due()
    drill = Drill.objects.select_related("item__drill_for").get(queue=scene.queue)
    return scene, drill


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "missed"), [(1360, True), (390, False)])
def test_whoever_decides_one_is_told_at_once(
    open_page: Callable[..., Page], db: str, width: int, dark: bool, missed: bool
) -> None:
    scene, drill = drilled()
    person = drill.item.drill_for
    assert person is not None
    grant(person, make_role("kpis.view_kpi"), scene.unit)
    page = open_page(width=width, dark=dark)
    sign_in(page, person.username, "/inbox/")
    expect(page.get_by_text("There are announced drills in")).to_be_visible()
    page.goto(f"/inbox/{drill.pk}/")
    whole(page)
    expect(page.locator("#detail").get_by_text("drill")).to_have_count(0)
    if missed:
        page.keyboard.press("a")
    else:
        page.keyboard.press("r")
        page.keyboard.press("1")
        page.get_by_label("In your words").fill("The account is another.")
        page.get_by_role("button", name="Reject").click()
    said = "This was a drill, and you approved it." if missed else "This was a drill. You caught it."
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_text("Nothing ran and nothing can run from it.")).to_be_visible()
    expect(page.get_by_text("has no sentence that says what it does")).to_have_count(0)
    whole(page)
    page.goto("/dashboards/oversight/")
    expect(page.get_by_role("heading", name="Your drills")).to_be_visible()
    whole(page)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1360, 390])
def test_who_manages_a_queue_turns_them_on_and_off(
    open_page: Callable[..., Page], db: str, width: int, dark: bool
) -> None:
    scene = set_the_scene()
    manager = scene.ada
    grant(manager, make_role("access.manage_access"), scene.unit)
    page = open_page(width=width, dark=dark)
    sign_in(page, manager.username, "/inbox/drills/")
    section = page.locator("section").filter(has=page.get_by_role("heading", name=scene.queue.name))
    section.get_by_label("Announcement").fill(WORDS)
    section.get_by_role("button", name="Announce drills").click()
    expect(page.get_by_text("Announced. The first drill comes a day from now at the earliest.")).to_be_visible()
    expect(page.get_by_text(WORDS).first).to_be_visible()
    whole(page)
    section.get_by_label("At most a week").fill("99")
    section.get_by_role("button", name="Change").click()
    whole(page)
    page.goto("/inbox/drills/")
    section.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("Turned off. What waited of them is gone.")).to_be_visible()
    whole(page)
