"""A person adds a passkey, signs in with it, confirms by it that it is they, and removes it, in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import Watch, assert_accessible, assert_nothing_overflows, sign_in
from tests.browser.scene import set_the_scene

pytestmark = pytest.mark.browser


@pytest.fixture
def by_name(server: str) -> str:
    """The plane by a name: a browser binds no passkey to a number."""
    return server.replace("127.0.0.1", "localhost")


@pytest.fixture
def named_page(open_page: Callable[..., Page], by_name: str, watch: Watch) -> Page:
    """A watched page on the plane by its name."""
    return open_page(base_url=by_name)


@pytest.fixture
def device(named_page: Page) -> CDPSession:
    """A device that keeps passkeys and always knows its person."""
    session = named_page.context.new_cdp_session(named_page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    session.authenticator = made["authenticatorId"]  # type: ignore[attr-defined] # told to the tests
    return session


def add_passkey(page: Page, name: str) -> None:
    page.goto("/settings/")
    page.get_by_role("link", name="Two-factor sign-in").last.click()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Confirm").click()
    assert_accessible(page)
    page.get_by_label("What you call it").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()


def test_a_passkey_is_added_signs_in_confirms_and_is_removed(named_page: Page, device: CDPSession, db: str) -> None:
    scene, page = set_the_scene(), named_page
    sign_in(page, scene.ada.username)
    add_passkey(page, "Work laptop")
    page.goto("/accounts/2fa/webauthn/")
    expect(page.get_by_role("link", name="Rename Work laptop")).to_be_visible()
    assert_accessible(page)

    page.context.clear_cookies()
    page.goto("/accounts/login/?next=/settings/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()

    page.goto("/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove Work laptop").click()
    page.get_by_role("link", name="Use a passkey").click()
    assert_accessible(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("It is your last second factor")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("heading", name="No passkey yet")).to_be_visible()


def test_in_the_place_of_a_code(named_page: Page, device: CDPSession, db: str) -> None:
    scene, page = set_the_scene(), named_page
    sign_in(page, scene.ada.username)
    add_passkey(page, "Key ring")
    page.context.clear_cookies()
    page.goto("/accounts/login/?next=/settings/")
    page.get_by_label("Username or e-mail").fill(scene.ada.username)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url("**/settings/")


def test_a_device_that_does_not_know_its_person_opens_nothing(named_page: Page, device: CDPSession, db: str) -> None:
    scene, page = set_the_scene(), named_page
    sign_in(page, scene.ada.username)
    add_passkey(page, "Work laptop")
    page.context.clear_cookies()
    told = {"authenticatorId": device.authenticator, "isUserVerified": False}  # type: ignore[attr-defined] # set above
    device.send("WebAuthn.setUserVerified", told)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert").filter(has_text="got no passkey")).to_be_visible()
    assert_accessible(page)


def test_by_a_number_the_page_says_why_there_is_none(page: Page, db: str) -> None:
    scene = set_the_scene()
    sign_in(page, scene.ada.username)
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("open the plane by its name")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1360, 390])
def test_the_pages_are_accessible_on_every_screen(
    open_page: Callable[..., Page], by_name: str, db: str, width: int, dark: bool
) -> None:
    scene = set_the_scene()
    page = open_page(width=width, dark=dark, base_url=by_name)
    sign_in(page, scene.ada.username)
    page.goto("/accounts/reauthenticate/?next=/accounts/2fa/webauthn/add/")
    assert_accessible(page)
    assert_nothing_overflows(page)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/add/")
    for path in ("/accounts/2fa/webauthn/add/", "/accounts/2fa/webauthn/", "/accounts/2fa/", "/accounts/login/"):
        page.goto(path)
        assert_accessible(page)
        assert_nothing_overflows(page)
