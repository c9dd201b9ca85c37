"""The button that asks a browser to show notices, its service worker, and what the page says where it cannot be.

A headless Chromium reaches no push service: ``PushManager.subscribe`` is played by a script where a name says so.
"""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.notifications.models import Browser
from tests.browser.conftest import assert_accessible, assert_nothing_overflows, sign_in
from tests.browser.scene import set_the_scene
from tests.notifications.phone import Phone

pytestmark = pytest.mark.browser
PAGE = "/settings/notifications/"
PLAYED = """
Notification.requestPermission = async () => "granted";
Object.defineProperty(Notification, "permission", {get: () => "granted"});
PushManager.prototype.getSubscription = async () => null;
PushManager.prototype.subscribe = async function (options) {
  window.__asked = options;
  const {endpoint, p256dh, auth} = SAID;
  return {toJSON: () => ({endpoint, expirationTime: null, keys: {p256dh, auth}})};
};
"""


def played(page: Page) -> Phone:
    phone = Phone("https://fcm.googleapis.com")
    page.context.add_init_script(PLAYED.replace("SAID", json.dumps(phone.said)))
    return phone


@pytest.mark.parametrize("width", [1360, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_with_a_played_push_service_a_browser_is_added_tried_and_removed(
    open_page: Callable[..., Page], db: str, width: int, dark: bool
) -> None:
    scene = set_the_scene()
    page = open_page(width=width, dark=dark)
    phone = played(page)
    sign_in(page, scene.ada.username, PAGE)
    assert_accessible(page)
    page.get_by_role("button", name="Notify me in this browser").click()
    expect(page.get_by_text("You are told in this browser.")).to_be_visible()
    expect(page.get_by_text("This one")).to_be_visible()
    expect(page.get_by_role("button", name="Notify me in this browser")).to_be_hidden()
    assert_accessible(page)
    assert_nothing_overflows(page)
    made = Browser.objects.get(user=scene.ada, gone_at=None)
    assert (made.endpoint, made.auth) == (phone.said["endpoint"], phone.said["auth"])
    assert (
        page.evaluate("navigator.serviceWorker.ready.then((worker) => worker.scope)")
        == f"{page.url.split('/settings')[0]}/"
    )
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Notify me in this browser")).to_be_visible()
    assert not Browser.objects.filter(user=scene.ada, gone_at=None).exists()


def test_where_notifications_are_blocked_the_page_says_so(page: Page, db: str) -> None:
    page.context.add_init_script('Object.defineProperty(Notification, "permission", {get: () => "denied"});')
    sign_in(page, set_the_scene().ada.username, PAGE)
    expect(page.get_by_text("Notifications of the plane are blocked in this browser")).to_be_visible()
    expect(page.get_by_role("button", name="Notify me in this browser")).to_be_hidden()


def test_where_the_push_service_is_not_reached_the_page_says_so(page: Page, db: str) -> None:
    played(page)
    page.context.add_init_script(
        "PushManager.prototype.subscribe = async () => { throw new DOMException('no', 'AbortError'); };"
    )
    sign_in(page, set_the_scene().ada.username, PAGE)
    page.get_by_role("button", name="Notify me in this browser").click()
    expect(page.get_by_role("alert").get_by_text("cannot be reached")).to_be_visible()


def test_without_support_and_without_javascript_the_page_says_why(open_page: Callable[..., Page], db: str) -> None:
    person = set_the_scene().ada.username
    bare = open_page()
    bare.context.add_init_script("delete window.PushManager;")
    sign_in(bare, person, PAGE)
    expect(bare.get_by_text("This browser has no push notifications.")).to_be_visible()
    still = open_page(javascript=False)
    sign_in(still, person, PAGE)
    expect(still.get_by_text("This browser can only be asked with JavaScript.")).to_be_visible()
    expect(still.get_by_role("button", name="Notify me in this browser")).to_be_hidden()


def test_the_service_worker_shows_what_is_pushed_and_opens_it_here_alone(page: Page, db: str) -> None:
    """The worker's own file, run as it is: Chromium delivers what its developer tools push."""
    scene = set_the_scene()
    item = scene.payment(risk="high")
    page.context.grant_permissions(["notifications"])
    sign_in(page, scene.ada.username, PAGE)
    session = page.context.new_cdp_session(page)
    session.send("ServiceWorker.enable")
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: found.extend(one["registrationId"] for one in event["registrations"]),
    )
    page.evaluate(
        "navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(() => true)"
    )
    note = {"title": "High: Waits for you", "body": "Action", "path": f"/inbox/{item.pk}/", "topic": "t" * 32}
    page.wait_for_timeout(200)
    origin = page.url.split("/settings")[0]
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": origin, "registrationId": found[-1], "data": json.dumps(note).ljust(512)},
    )
    shown = page.evaluate(
        """async () => {
          const worker = await navigator.serviceWorker.ready;
          for (let i = 0; i < 50; i++) {
            const [note] = await worker.getNotifications();
            if (note) return {title: note.title, body: note.body, tag: note.tag, data: note.data};
            await new Promise((done) => setTimeout(done, 100));
          }
        }"""
    )
    assert shown == {"title": note["title"], "body": note["body"], "tag": note["topic"], "data": note["path"]}
