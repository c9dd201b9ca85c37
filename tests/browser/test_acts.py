"""What a person does with an item besides deciding it, told as they would tell it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from apps.agents.models import Repetition
from apps.halts.models import Halt
from apps.halts.services import lift_halt
from apps.oversight.models import DecidingHabit, Delegation, Escalation, Snooze
from apps.oversight.services import perform_due_items
from tests.browser.conftest import PASSWORD, Watch, assert_accessible, assert_nothing_overflows, sign_in
from tests.browser.scene import Scene, set_the_scene
from tests.factories.access import grant, make_admin, make_role

pytestmark = pytest.mark.browser


@pytest.fixture
def scene(db: str) -> Scene:
    return set_the_scene(risk="low")


def low(scene: Scene, amount_minor: int, **more: Any) -> Escalation:
    return scene.payment(amount_minor, risk="low", **more)


def test_ada_ticks_with_x_reads_the_total_and_approves_what_is_alike(page: Page, scene: Scene) -> None:
    items = [low(scene, amount) for amount in (150_000, 160_000, 170_000)]
    sign_in(page, scene.ada.username)
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.get_by_text("3 selected")).to_be_visible()
    assert_accessible(page)
    page.locator("#bulk").get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Approve 3 items?")).to_be_visible()
    expect(page.get_by_text("4,800.00 EUR", exact=True)).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Approve 3 items").click()
    expect(page.get_by_role("heading", name="What became of each")).to_be_visible()
    while perform_due_items():
        pass
    expect(page.get_by_text("3 of 3")).to_be_visible()
    assert_accessible(page)
    for item in items:
        item.refresh_from_db()
        assert item.state == "approved"


def test_ada_selects_what_is_shown_with_one_click_and_lets_go_of_it(page: Page, scene: Scene) -> None:
    for amount in (150_000, 160_000, 170_000):
        low(scene, amount)
    sign_in(page, scene.ada.username)
    every = page.get_by_role("link", name="Select these 3")
    every.click()
    expect(page.get_by_text("3 selected")).to_be_visible()
    assert_accessible(page)
    every.click()
    expect(page.locator("#bulk")).to_be_hidden()


def test_no_single_key_decides_about_many(page: Page, scene: Scene) -> None:
    first, second = low(scene, 150_000), low(scene, 160_000)
    sign_in(page, scene.ada.username)
    for box in page.locator(".pick").all():
        box.check()
    page.locator(".pick").first.focus()
    page.keyboard.press("a")
    expect(page.get_by_text("Approved: ")).to_be_visible()
    first.refresh_from_db()
    second.refresh_from_db()
    assert sorted([first.state, second.state]) == ["approved", "pending"]


def test_ben_puts_an_item_aside_with_s_and_finds_it_among_the_snoozed(page: Page, scene: Scene, watch: Watch) -> None:
    item = scene.payment()
    sign_in(page, scene.ben.username)
    page.keyboard.press("s")
    page.get_by_label("Or until (UTC)").fill("2999-01-01T10:00")
    watch.expected = {422}
    page.get_by_role("button", name="Snooze", exact=True).last.click()
    summary = page.locator(".summary").filter(has_text="That is after its deadline.")
    expect(summary).to_be_focused()
    expect(page.locator("#id_snooze_until_error")).to_contain_text("That is after its deadline.")
    expect(page.get_by_label("Or until (UTC)")).to_have_value("2999-01-01T10:00")
    assert_accessible(page)
    page.get_by_role("button", name="15 minutes").click()
    expect(page.get_by_text("Put aside.")).to_be_visible()
    assert Snooze.objects.filter(escalation=item).count() == 1
    page.get_by_role("link", name="Snoozed").click()
    expect(page.get_by_role("link", name=re.compile("1,840.00 EUR"))).to_be_visible()


def test_ada_takes_a_held_decision_back_with_z(page: Page, scene: Scene) -> None:
    DecidingHabit.objects.create(person=scene.ada, hold_s=20)
    item = scene.payment(150_000)
    scene.payment(160_000)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text("Approved, releases in 20 s: ")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("z")
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    expect(page.get_by_text("Approved, releases in 20 s: ")).to_have_count(0)
    item.refresh_from_db()
    assert item.state == "pending"


def test_m_opens_the_thread_and_the_agent_is_asked(page: Page, scene: Scene) -> None:
    item = scene.payment()
    sign_in(page, scene.ada.username)
    expect(page.get_by_text("Live")).to_be_visible()
    page.keyboard.press("m")
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    page.keyboard.type("Which contract is this under?")
    page.get_by_role("button", name="Ask the agent").click()
    expect(page.get_by_text("The agent was asked")).to_be_visible()
    item.refresh_from_db()
    assert item.sla_paused_at is not None


def test_a_question_that_waits_behind_the_list_still_goes_to_the_agent(page: Page, scene: Scene) -> None:
    """While the list fetches news, what is sent from the item is held back: which button sent it must last."""
    item = scene.payment()
    sign_in(page, scene.ada.username)
    expect(page.get_by_text("Live")).to_be_visible()
    expect(page.locator(".htmx-request, [aria-busy=true]")).to_have_count(0)  # the item's own parts are there
    kept: list[Route] = []
    page.route(re.compile(r"/inbox/(\?.*)?$"), lambda route: route.continue_() if kept else kept.append(route))
    page.evaluate("document.body.dispatchEvent(new CustomEvent('acp:inbox'))")
    page.keyboard.press("m")
    page.keyboard.type("Which contract is this under?")
    page.get_by_role("button", name="Ask the agent").click()
    expect(page.get_by_role("button", name="Recording…")).to_be_disabled()
    page.wait_for_function("document.activeElement === document.body")  # the button was left
    with page.expect_response(re.compile("/presence/")):
        page.evaluate("document.body.dispatchEvent(new Event('acp:here'))")
    expect(page.get_by_role("button", name="Recording…")).to_be_disabled()  # whatever else was answered meanwhile
    assert len(kept) == 1
    item.refresh_from_db()
    assert item.sla_paused_at is None
    kept[0].continue_()
    expect(page.get_by_text("The agent was asked")).to_be_visible()
    item.refresh_from_db()
    assert item.sla_paused_at is not None


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1360, 390])
def test_more_is_accessible_and_fits(open_page: Callable[..., Page], scene: Scene, width: int, dark: bool) -> None:
    item = scene.payment()
    grant(scene.ada, make_role("halts.engage_halt"), scene.unit)
    page = open_page(width=width, dark=dark)
    sign_in(page, scene.ada.username, f"/inbox/{item.pk}/?decide=more")
    for line in page.locator(".decision details.line > summary").all():
        line.click()
    assert_accessible(page)
    assert_nothing_overflows(page)
    page.goto(f"/inbox/bulk/?verdict=reject&ids={item.pk}")
    assert_accessible(page)
    assert_nothing_overflows(page)
    page.goto("/settings/")
    assert_accessible(page)


def test_without_javascript_people_hand_on_put_aside_halt_and_decide_many(
    open_page: Callable[..., Page], scene: Scene
) -> None:
    first, second, third = low(scene, 150_000), low(scene, 160_000), scene.payment(170_000)
    grant(scene.ada, make_role("halts.engage_halt"), scene.unit)
    page = open_page(javascript=False)
    sign_in(page, scene.ada.username)
    for box in page.locator(".pick").all()[:2]:
        box.check()
    page.locator("#bulk").get_by_role("button", name="Reject").click()
    page.get_by_label("No longer needed").check()
    page.get_by_role("button", name="Reject 2 items").click()
    while perform_due_items():
        pass
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text("2 of 2")).to_be_visible()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("rejected", "rejected")
    page.goto(f"/inbox/{third.pk}/")
    page.get_by_role("link", name="More", exact=True).click()
    page.get_by_text("Delegate", exact=True).first.click()
    page.get_by_role("button", name="Delegate").click()
    expect(page.get_by_text("Handed on.")).to_be_visible()
    assert Delegation.objects.get(escalation=third).to == scene.ben
    page.get_by_role("link", name="More", exact=True).click()
    page.get_by_role("button", name=re.compile("Halt the agent")).click()
    halt = Halt.objects.get(scope="agent", target=scene.agent.slug, lifted_at=None)
    lift_halt(make_admin(), halt_id=halt.pk, reason="tried")  # everybody sees what is stopped, the next tests too


@pytest.mark.parametrize(("keys", "at", "shown"), [("jjj", 3, "1,800.00 EUR"), ("jjk", 1, "1,600.00 EUR")])
def test_each_key_moves_one_row_however_slow_the_answers_are(
    page: Page, scene: Scene, keys: str, at: int, shown: str
) -> None:
    for amount in (150_000, 160_000, 170_000, 180_000):
        low(scene, amount)
    sign_in(page, scene.ada.username)
    kept: list[Route] = []
    pressed = False
    page.route(re.compile(r"/inbox/[0-9a-f-]{36}/"), lambda route: route.continue_() if pressed else kept.append(route))
    page.keyboard.press("x")  # the first item is open
    for key in keys:
        page.keyboard.press(key)
    page.keyboard.press("Shift+X")
    expect(page.get_by_text(f"{at + 1} selected")).to_be_visible()
    expect(page.locator(".row-link").nth(at)).to_be_focused()
    pressed = True
    for route in kept:
        route.continue_()
    page.wait_for_timeout(1_500)  # until every answer that was asked for is there
    expect(page.locator(".row-link").nth(at)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("article", name="Open item").get_by_role("heading", name=shown)).to_be_visible()


def test_an_owner_dismisses_a_flag_with_the_mouse_and_reads_why_afterwards(page: Page, scene: Scene) -> None:
    item = scene.payment()
    assert item.action is not None
    assert item.agent is not None
    now = timezone.now()
    Repetition.objects.create(rejected=item.action, agent=item.agent, times=3, last_at=now, flagged_at=now)
    admin = make_admin(username="mender", password=PASSWORD)
    sign_in(page, admin.username)
    page.goto("/flags/")
    page.get_by_label("Why does it say nothing any more?").fill("The agent was mended.")
    assert_accessible(page)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("No flag stands")).to_be_visible()
    page.get_by_label("State").select_option("all")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("“The agent was mended.”")).to_be_visible()
    assert_accessible(page)
