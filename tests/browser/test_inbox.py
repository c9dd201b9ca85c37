import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.agents.models import Action
from apps.oversight.models import Escalation, Grant
from apps.oversight.services import cast_vote
from tests.browser.conftest import Watch, assert_accessible, assert_nothing_overflows, sign_in
from tests.browser.scene import Scene, set_the_scene

pytestmark = pytest.mark.browser


@pytest.fixture
def scene(db: str) -> Scene:
    return set_the_scene()


def state_of(item: Escalation) -> str:
    item.refresh_from_db()
    return item.state


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1360, 390])
def test_list_and_item_are_accessible(open_page: Callable[..., Page], scene: Scene, width: int, dark: bool) -> None:
    scene.payment(risk="high", parameters={"note": "a\u202eb"})
    item = scene.payment()
    page = open_page(width=width, dark=dark)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    assert_accessible(page)
    page.goto(f"/inbox/{item.pk}/")
    for line in page.locator("details.line > summary").all():
        line.click()
    assert_accessible(page)
    assert_nothing_overflows(page)
    page.get_by_role("button", name="Reject").click()
    assert_accessible(page)


@pytest.mark.parametrize("title", ["", "A title that goes on and on about one invoice of many, " * 5])
def test_all_that_a_decision_needs_stands_above_the_fold(page: Page, scene: Scene, title: str) -> None:
    item = scene.payment(risk="high", parameters={"note": "Invoice 8841", "urgent": True})
    if title:
        more = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
        Action.objects.filter(pk=item.action_id).update(parameters={**item.values(), **more})
        Escalation.objects.filter(pk=item.pk).update(title=title)
    sign_in(page, scene.ada.username)
    detail = page.get_by_role("article")
    for part in (
        detail.get_by_text("Will pay 1,840.00 EUR to DE89370400440532013000."),
        detail.get_by_text("= 1,840.00 EUR", exact=True),
        detail.get_by_text("Payments above 1,000.00 need a person."),
        detail.get_by_text("irreversible", exact=False).last,
        detail.get_by_text("then it will not run", exact=False),
        detail.get_by_role("button", name="Approve"),
        detail.get_by_role("button", name="Reject"),
    ):
        box = part.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 860
    assert detail.get_by_text("The supplier confirmed", exact=False).is_hidden()


def test_three_items_are_decided_by_keyboard(page: Page, scene: Scene) -> None:
    first, second, third = (scene.payment(amount) for amount in (150_000, 160_000, 170_000))
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name=re.compile("1,600.00 EUR"))).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.get_by_label("In your words").fill("It was 1,450.00.")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("heading", name=re.compile("1,700.00 EUR"))).to_be_visible()
    page.keyboard.press("b")
    page.get_by_label("What must change?").fill("Name the order.")
    page.get_by_role("button", name="Request changes").click()
    expect(page.get_by_role("heading", name="Nothing waits for you").first).to_be_visible()
    assert [state_of(item) for item in (first, second, third)] == ["approved", "rejected", "changes_requested"]
    second.refresh_from_db()
    assert (second.reason_code, second.reason) == ("wrong_amount", "It was 1,450.00.")
    expect(page.get_by_role("link", name=re.compile("1,500.00 EUR"))).to_be_visible()  # nothing moved away


DRAGGED = "document.querySelectorAll('main [id]').forEach((part) => { part.style.minHeight = '1px'; })"
"""As a browser styles what somebody drags larger: by script, which the pages' policy lets pass."""


def test_what_was_dragged_larger_leaves_the_next_item_without_inline_styles(page: Page, scene: Scene) -> None:
    for amount in (150_000, 160_000):
        scene.payment(amount)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    page.evaluate(DRAGGED)
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name=re.compile("1,600.00 EUR"))).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_j_and_k_move_the_open_item_and_the_focus(page: Page, scene: Scene) -> None:
    for amount in (150_000, 160_000):
        scene.payment(amount)
    sign_in(page, scene.ada.username)
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name=re.compile("1,600.00 EUR"))).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("1,600.00 EUR"))).to_be_focused()
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    assert set(Escalation.objects.filter(agent=scene.agent).values_list("state", flat=True)) == {"pending"}


def test_a_rejection_is_sent_mended_and_closed_by_keyboard(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {422}
    first, second = scene.payment(150_000), scene.payment(160_000)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.keyboard.press("a")
    panel = page.get_by_role("form", name="Reject")
    expect(panel).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("1,500.00 EUR"))).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(panel.get_by_role("alert")).to_be_focused()  # what is wrong, not the body
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="Reject")).to_be_focused()
    page.keyboard.press("r")
    page.keyboard.press("3")
    expect(panel.get_by_role("radio").nth(2)).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("In your words")).to_be_focused()
    page.keyboard.type("j k")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name=re.compile("1,600.00 EUR"))).to_be_visible()
    assert [state_of(first), state_of(second)] == ["rejected", "pending"]
    first.refresh_from_db()
    assert first.reason == "j k"
    page.keyboard.press("r")
    toast, words = page.locator(".toast"), page.get_by_label("In your words")
    expect(toast).to_be_visible()
    told, typed = toast.bounding_box(), words.bounding_box()
    assert told is not None
    assert typed is not None
    assert told["y"] + told["height"] <= typed["y"], "the message stands clear of the field"


def test_a_key_does_nothing_while_somebody_types(page: Page, scene: Scene) -> None:
    item = scene.payment()
    sign_in(page, scene.ada.username)
    page.get_by_role("searchbox").press_sequentially("are")
    assert state_of(item) == "pending"


def test_an_edit_keeps_its_types_and_binds_the_grant_to_what_was_edited(page: Page, scene: Scene) -> None:
    item = scene.payment(184_000)
    before = item.digest
    sign_in(page, scene.ada.username)
    page.keyboard.press("e")
    page.get_by_role("textbox", name="amount").fill("1,480")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_role("heading", name="If you approve it as edited")).to_be_focused()
    expect(page.locator("#decision .lead")).to_contain_text("1,480.00 EUR")
    assert state_of(item) == "pending"
    page.get_by_role("button", name="Approve as edited").click()
    expect(page.get_by_text("Approved as edited: ")).to_contain_text("1,480.00 EUR")
    assert state_of(item) == "approved"
    grant = Grant.objects.get(escalation=item)
    assert grant.digest != before
    assert item.action is not None
    item.action.refresh_from_db()
    assert item.action.parameters == {"amount_minor": 148_000, "currency": "EUR", "iban": "DE89370400440532013000"}


def test_an_edit_that_the_rules_deny_changes_nothing_and_says_why(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {422}
    item = scene.payment(184_000)
    sign_in(page, scene.ada.username)
    page.keyboard.press("e")
    page.get_by_role("textbox", name="amount").fill("990000")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_role("alert").get_by_text("Above 100,000.00 no agent pays.")).to_be_visible()
    expect(page.get_by_role("textbox", name="amount")).to_have_value("990000")
    assert state_of(item) == "pending"


def test_an_amount_that_is_none_is_told_at_its_field(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {422}
    item = scene.payment()
    sign_in(page, scene.ada.username)
    page.keyboard.press("e")
    page.get_by_role("textbox", name="amount").fill("12.505")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_text("Enter an amount in EUR, like 450.00.").last).to_be_visible()
    assert state_of(item) == "pending"


def test_a_rejection_without_a_reason_is_refused_and_nothing_happens(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {422}
    item = scene.payment()
    sign_in(page, scene.ada.username)
    page.keyboard.press("r")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("Give a reason")
    assert state_of(item) == "pending"


def test_high_risk_asks_for_the_value_once_more(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {422}
    item = scene.payment(184_000, risk="high")
    sign_in(page, scene.ada.username)
    page.keyboard.press("a")
    field = page.get_by_role("textbox", name="This is grave")
    expect(field).to_be_focused()
    field.fill("1,480.00")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("not the value")
    assert state_of(item) == "pending"
    page.get_by_role("textbox", name="This is grave").fill("1,840.00")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Approved: ")).to_be_visible()
    assert state_of(item) == "approved"


def test_the_loser_sees_in_place_who_was_quicker_and_keeps_the_words(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {409}
    item = scene.payment()
    page.route("**/live/**", lambda route: route.fulfill(status=204))  # the news comes too late
    sign_in(page, scene.ada.username)
    page.keyboard.press("r")
    page.get_by_label("In your words").fill("Far too much.")
    cast_vote(scene.ben, escalation_id=item.pk, verdict="approve", version=1)
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("Ben was quicker: approved.")
    expect(page.get_by_role("alert")).to_contain_text("Far too much.")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert state_of(item) == "approved"


def test_a_quorum_of_two_shows_its_progress_and_takes_one_vote_each(page: Page, db: str) -> None:
    scene = set_the_scene(quorum=2)
    item = scene.payment()
    sign_in(page, scene.ada.username)
    expect(page.get_by_text("0 of 2").first).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text("Recorded, 1 of 2 approvals: ")).to_be_visible()
    page.goto(f"/inbox/{item.pk}/?view=team")
    expect(page.get_by_text("It takes more people.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert state_of(item) == "pending"
    cast_vote(scene.ben, escalation_id=item.pk, verdict="approve", version=1)
    assert state_of(item) == "approved"


def test_who_may_not_decide_reads_why_where_the_buttons_would_be(page: Page, scene: Scene) -> None:
    item = scene.payment()
    Escalation.objects.filter(pk=item.pk).update(exclude=[scene.ada.username])
    sign_in(page, scene.ada.username)
    page.goto(f"/inbox/{item.pk}/")
    expect(page.get_by_text("You are excluded from deciding this item.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)


def test_a_question_is_answered_by_choice(page: Page, scene: Scene) -> None:
    item = scene.question(options=["4711", "4712"])
    sign_in(page, scene.ada.username)
    page.get_by_label("4712").check()
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_text("Answered: ")).to_be_visible()
    assert state_of(item) == "answered"
    assert item.answer == "4712"


def test_an_answer_that_does_not_fit_leaves_the_item_waiting(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {422}
    item = scene.question(schema={"type": "integer", "minimum": 10, "title": "How many?"})
    sign_in(page, scene.ada.username)
    page.get_by_label("How many?").fill("3")
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("How many?")).to_have_value("3")
    assert state_of(item) == "pending"
    page.get_by_label("How many?").fill("12")
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_text("Answered: ")).to_be_visible()
    assert (state_of(item), item.answer) == ("answered", 12)


def test_new_items_wait_in_a_pill_and_move_nothing(page: Page, scene: Scene) -> None:
    scene.payment(150_000)
    sign_in(page, scene.ada.username)
    expect(page.get_by_text("Live")).to_be_visible()
    page.wait_for_timeout(3500)  # the list was drawn longer ago than a transaction may take
    row = page.get_by_role("link", name=re.compile("1,500.00 EUR"))
    scene.payment(160_000, risk="high")
    pill = page.get_by_role("link", name=re.compile("1 new"))
    expect(pill).to_contain_text("1 high risk")
    expect(page.get_by_role("link", name=re.compile("1,600.00 EUR"))).to_have_count(0)
    expect(row).to_be_visible()
    page.keyboard.press(".")
    expect(page.get_by_role("link", name=re.compile("1,600.00 EUR"))).to_be_visible()
    expect(row).to_have_attribute("aria-current", "true")


def test_without_event_streams_the_page_asks_every_fifteen_seconds(page: Page, scene: Scene) -> None:
    scene.payment(150_000)
    page.add_init_script("delete window.EventSource")
    page.clock.install()
    sign_in(page, scene.ada.username)
    expect(page.get_by_text("Polling")).to_be_visible()
    page.wait_for_timeout(3500)
    scene.payment(160_000)
    page.clock.fast_forward(16_000)
    expect(page.get_by_role("link", name=re.compile("1 new"))).to_be_visible()


def test_an_item_decided_elsewhere_loses_its_buttons_at_once(page: Page, scene: Scene) -> None:
    item = scene.payment()
    sign_in(page, scene.ada.username)
    expect(page.get_by_text("Live")).to_be_visible()
    cast_vote(scene.ben, escalation_id=item.pk, verdict="approve", version=1)
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.get_by_role("article").get_by_text("by Ben")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_on_a_phone_no_message_lies_over_the_next_decision(
    open_page: Callable[..., Page], scene: Scene, javascript: bool
) -> None:
    first = scene.payment(150_000)
    scene.payment(160_000)
    page = open_page(width=390, height=844, javascript=javascript)
    sign_in(page, scene.ada.username)
    page.goto(f"/inbox/{first.pk}/")
    page.get_by_role("button", name="Approve").click()
    toast, bar = page.locator(".toasts .toast"), page.locator("#decision")
    expect(toast).to_contain_text(re.compile("Approved: .*1,500.00 EUR"))
    expect(page.get_by_role("heading", name=re.compile("1,600.00 EUR"))).to_be_visible()
    toast.hover()  # so that it stays
    said, acts = toast.bounding_box(), bar.bounding_box()
    assert said is not None
    assert acts is not None
    assert said["y"] + said["height"] <= acts["y"] or acts["y"] + acts["height"] <= said["y"]
    assert acts["y"] + acts["height"] <= 844
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(int(javascript))


def test_without_javascript_people_read_filter_decide_and_comment(open_page: Callable[..., Page], scene: Scene) -> None:
    first, second = scene.payment(150_000), scene.payment(160_000)
    page = open_page(javascript=False)
    sign_in(page, scene.ada.username)
    page.get_by_role("searchbox").fill("1,600")
    page.get_by_role("button", name="Apply the filter").click()
    page.get_by_role("link", name=re.compile("1,600.00 EUR")).click()
    page.get_by_role("button", name="Reject").click()
    page.get_by_label("Against policy").check()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("Rejected with your reason: ")).to_be_visible()
    assert state_of(second) == "rejected"
    page.goto(f"/inbox/{first.pk}/")
    page.get_by_text("Timeline").click()
    page.get_by_role("textbox", name="Comment").fill("Looks right.")
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_text("1 comment")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved: ")).to_be_visible()
    assert state_of(first) == "approved"


def test_on_a_phone_the_item_takes_the_place_of_the_list_and_gives_it_back(
    open_page: Callable[..., Page], scene: Scene
) -> None:
    scene.payment()
    page = open_page(width=390, height=844)
    sign_in(page, scene.ada.username)
    expect(page.get_by_role("button", name="Approve")).to_be_hidden()
    page.get_by_role("link", name=re.compile("1,840.00 EUR")).click()
    expect(page.get_by_role("button", name="Approve")).to_be_in_viewport()
    assert_nothing_overflows(page)
    page.get_by_role("link", name="Back to the list").click()
    expect(page.get_by_role("link", name=re.compile("1,840.00 EUR"))).to_be_visible()


def test_a_session_that_ended_leads_back_through_the_door(page: Page, scene: Scene, watch: Watch) -> None:
    watch.expected = {401}
    item = scene.payment()
    sign_in(page, scene.ada.username)
    page.context.clear_cookies(name="sessionid")
    page.keyboard.press("r")
    page.get_by_label("In your words").fill("No.")
    with page.expect_response("**/presence/") as told:
        page.evaluate("document.body.dispatchEvent(new Event('acp:here'))")  # as every few seconds
    assert told.value.status == 401
    expect(page.get_by_label("In your words")).to_have_value("No.")
    expect(page.locator(".toast")).to_have_count(0)
    page.get_by_role("button", name="Reject").click()
    page.wait_for_url("**/accounts/login/?next=**")
    assert state_of(item) == "pending"
