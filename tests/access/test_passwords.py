"""Passwords and codes: which are taken, how they are compared, and how often a code works."""

import gzip
from pathlib import Path

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import auth
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from apps.access.passwords import OwnWordsValidator
from controlplane.environment import password_words
from tests.factories.access import make_user
from tests.factories.codes import code_now

pytestmark = pytest.mark.django_db
LONG = "a long one that nobody guesses " * 4
NEW = "another long one, as good as the first"


@pytest.fixture
def ada():
    return make_user(username="ada", email="ada@example.com", password=LONG)


def sign_in(password: str) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": "ada", "password": password})
    return client


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def common() -> str:
    """One of those that everybody takes, long enough for us."""
    path = Path(auth.__file__).parent / "common-passwords.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return next(line.strip() for line in lines if len(line.strip()) >= 12)


def test_a_password_is_compared_as_it_was_typed_to_its_last_character(ada):
    assert not is_in(sign_in(LONG[:-2] + "X "))
    assert not is_in(sign_in(LONG.upper()))
    assert is_in(sign_in(LONG))


@pytest.mark.parametrize("old", ["", "wrong"])
def test_a_new_password_takes_the_present_one(ada, old):
    client = sign_in(LONG)
    client.post("/accounts/password/change/", {"oldpassword": old, "password1": NEW, "password2": NEW})
    ada.refresh_from_db()
    assert ada.check_password(LONG)


@pytest.mark.parametrize("new", ["short", "ada@example.com", None])
def test_short_common_and_telling_ones_are_refused(ada, new):
    new = new or common()
    client = sign_in(LONG)
    answer = client.post("/accounts/password/change/", {"oldpassword": LONG, "password1": new, "password2": new})
    assert answer.status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(LONG)


def test_a_new_one_is_not_mainly_of_the_organisation_s_own_words(ada):
    check = OwnWordsValidator(password_words({"ACP_PASSWORD_WORDS": "Acme, Acmeland"})).validate
    for wrong in ("AcmeLand-2026", "acme.ACME.acme", "Acme-Control-Plane1"):
        with pytest.raises(ValidationError):
            check(wrong)
    for right in ("short", "Acme horses eat staples", "nothing of theirs"):
        check(right)
    said = {"oldpassword": LONG, "password1": "ControlPlane-26", "password2": "ControlPlane-26"}
    sign_in(LONG).post("/accounts/password/change/", said)
    ada.refresh_from_db()
    assert ada.check_password(LONG)


def test_fields_for_passwords_hide_them_and_let_managers_fill_them(ada):
    page = Client().get("/accounts/login/").content.decode()
    assert 'type="password" autocomplete="current-password"' in page
    change = sign_in(LONG).get("/accounts/password/change/").content.decode()
    assert change.count('type="password"') == 3


def test_a_reset_signs_nobody_in_past_their_second_factor(ada):
    TOTP.activate(ada, generate_totp_secret())
    client = Client()
    key = {"uidb36": user_pk_to_url_str(ada), "key": default_token_generator.make_token(ada)}
    page = client.get(reverse("account_reset_password_from_key", kwargs=key))
    client.post(page["Location"], {"password1": NEW, "password2": NEW})
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert not is_in(client)
    client.post("/accounts/login/", {"login": "ada", "password": NEW})
    assert not is_in(client)


class TestCodes:
    def test_a_code_of_an_app_works_once_and_in_its_half_minute_alone(self, ada):
        secret = generate_totp_secret()
        app = TOTP.activate(ada, secret)
        assert not app.validate_code(code_now(secret, later=-2))
        assert not app.validate_code(code_now(secret, later=2))
        code = code_now(secret)
        assert app.validate_code(code)
        assert not app.validate_code(code)

    def test_a_recovery_code_works_once_and_is_long_enough(self, ada):
        codes = RecoveryCodes.activate(ada)
        first = codes.get_unused_codes()[0]
        assert len(set(codes.get_unused_codes())) == 10
        assert len(first) >= 8
        assert codes.validate_code(first)
        assert not codes.validate_code(first)

    def test_a_second_factor_is_changed_by_whoever_just_confirmed_who_they_are(self, ada):
        client = Client()
        client.force_login(ada)
        for path in ("totp/activate/", "recovery-codes/generate/"):
            answer = client.get(f"/accounts/2fa/{path}")
            assert answer.status_code == 302
            assert "/reauthenticate/" in answer["Location"]


def test_no_page_answers_trace(ada):
    client = sign_in(LONG)
    for path in ("/settings/", "/api/v1/me/", "/inbox/", "/agents/"):
        assert client.trace(path).status_code == 405, path
