"""The button that asks a browser to show notices, its service worker, and what the page says where it cannot be.

A headless Chromium reaches no push service: ``PushManager.subscribe`` is played by a script where a name says so.
"""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.notifications.models import Browser
from apps.oversight.models import Escalation
from tests.browser.conftest import assert_accessible, assert_nothing_overflows, sign_in
from tests.browser.scene import set_the_scene
from tests.notifications.phone import Phone
from tests.serving import wait_for

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


CLICKED = """
async () => {
  const done = [];
  ExtendableEvent.prototype.waitUntil = function (work) { this.work = work; };
  clients.openWindow = async (url) => { done.push(`open ${new URL(url).pathname}`); };
  WindowClient.prototype.focus = async function () { done.push(`focus ${new URL(this.url).pathname}`); };
  const [notification] = await registration.getNotifications();
  const event = new NotificationEvent("notificationclick", {notification});
  dispatchEvent(event);
  await event.work;
  return [...done, (await registration.getNotifications()).length];
}
"""
SHOWN = """
async () => {
  const worker = await navigator.serviceWorker.ready;
  for (let i = 0; i < 20; i++) {
    const [note] = await worker.getNotifications();
    if (note) return {title: note.title, body: note.body, topic: note.tag, path: note.data};
    await new Promise((done) => setTimeout(done, 100));
  }
}
"""


class Pushed:
    """The service worker of a page, as it is, and what Chromium's developer tools push to it."""

    def __init__(self, page: Page) -> None:
        self.page, self.origin = page, page.url.split("/settings")[0]
        self.session = page.context.new_cdp_session(page)
        self.known: list[str] = []
        self.session.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: self.known.extend(one["registrationId"] for one in event["registrations"]),
        )
        self.session.send("ServiceWorker.enable")
        page.evaluate(
            "navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(() => 1)"
        )
        wait_for(lambda: bool(page.wait_for_timeout(50) or self.known))

    def push(self, path: str) -> dict[str, str]:
        """Push a notice that leads to ``path``; what is shown. Again where the tools lose it: a topic is shown once."""
        self.note = {"title": "High: Waits for you", "body": "Action", "path": path, "topic": "t" * 32}
        data = json.dumps(self.note).ljust(512)
        about = {"origin": self.origin, "registrationId": self.known[-1], "data": data}
        for _ in range(5):
            self.session.send("ServiceWorker.deliverPushMessage", about)
            if shown := self.page.evaluate(SHOWN):
                return dict(shown)
        raise AssertionError("Nothing was shown within ten seconds.")

    def click(self) -> list[str | int]:
        """Click it; what the worker opened or focused, and how many notices are left."""
        return list(self.page.context.service_workers[0].evaluate(CLICKED))


def test_the_service_worker_shows_what_is_pushed_and_a_click_opens_it_here_alone(page: Page, db: str) -> None:
    scene = set_the_scene()
    item = scene.payment(risk="high")
    page.context.grant_permissions(["notifications"])
    sign_in(page, scene.ada.username, PAGE)
    pushed, path = Pushed(page), f"/inbox/{item.pk}/"
    assert pushed.push(path) == pushed.note
    assert pushed.click() == [f"open {path}", 0], "no tab shows the item: the one where somebody may be typing stays"
    page.goto(path)
    pushed.push(path)
    assert pushed.click() == [f"focus {path}", 0]
    pushed.push("https://evil.example/inbox/")
    assert pushed.click() == [0]
    assert item.state == Escalation.objects.get(pk=item.pk).state == "pending"
