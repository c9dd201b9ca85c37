"""An identity provider that was broken into: whatever it answers, the door stays shut, and stays a door."""

import gzip
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from apps.access.models import Identity
from apps.access.oidc import ANSWER_MAX, Provider
from apps.audit.models import Entry
from tests.access.test_single_sign_on import START, ada, assert_refused, idp, is_in, sign_on
from tests.factories.identity_provider import SECRET

__all__ = ["ada", "idp"]
pytestmark = pytest.mark.django_db
DEEP = b"[" * 100_000


class TestAnswers:
    @pytest.mark.parametrize(
        "said", [b"", b"[]", b"<html>", DEEP, b"\xff\xfe", b" " * (ANSWER_MAX + 1)], ids=lambda one: repr(one[:8])
    )
    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
    def test_what_is_no_answer_opens_nothing(self, ada, idp, path, said):
        idp.says = {path: said or b" "}
        client = Client()
        if path.startswith("/."):
            assert_refused(client, client.get(START))
        else:
            assert_refused(*sign_on(client))

    def test_a_packed_answer_is_not_unpacked(self, ada, idp):
        idp.headers = {"Content-Encoding": "gzip"}
        idp.says = {"/keys": gzip.compress(json.dumps(idp.keys()).encode())}
        described = json.dumps(idp.description()).encode()
        idp.says["/.well-known/openid-configuration"] = gzip.compress(described)
        client = Client()
        assert_refused(client, client.get(START))

    def test_an_answer_without_end_is_left(self, ada, idp, monkeypatch):
        client = Client()
        monkeypatch.setattr("apps.access.oidc.TIMEOUT_S", 0.0)
        assert_refused(client, client.get(START), "does not answer")

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:1@evil.example/",
            "http://[::1",
            "http://127.0.0.1:9/#at",
            "ftp://127.0.0.1/",
            "//evil.example/",
            "http://localhost:\n/",
            7,
            None,
        ],
    )
    def test_a_description_leads_nowhere_odd(self, ada, idp, url):
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            idp.described = {name: url}
            client = Client()
            assert client.get(START)["Location"] == "/accounts/login/"
            assert not is_in(client)


class TestKeys:
    def test_a_changed_key_is_taken_at_the_next_sign_on_and_the_old_one_no_more(self, ada, idp):
        old, idp.key = idp.key, rsa.generate_private_key(65537, 2048)
        assert is_in(sign_on()[0])
        idp.other = old
        assert not is_in(sign_on()[0])

    @pytest.mark.parametrize(
        "odd",
        [
            {"kty": "oct", "k": "d2hhdCBldmVyeWJvZHkgY291bGQga25vdyBvZiB0aGUgcGxhbmU", "alg": "HS256"},
            {"kty": "oct", "k": "d2hhdCBldmVyeWJvZHkgY291bGQga25vdyBvZiB0aGUgcGxhbmU", "alg": "RS256"},
            {"alg": "PS256"},
            {"alg": "RSA-OAEP"},
            {"use": "enc"},
            {"kid": "two"},
            {"kty": "EC", "crv": "P-256"},
            {"kty": None},
            {"n": 7},
            {"n": ""},
        ],
        ids=str,
    )
    def test_a_key_that_is_not_for_this_proves_nothing(self, ada, idp, odd):
        idp.published = odd
        assert_refused(*sign_on())

    def test_a_key_that_everybody_knows_signs_nothing(self, ada, idp):
        idp.algorithm = "HS256"
        idp.published = {"kty": "oct", "k": "d2hhdCBldmVyeWJvZHkgY291bGQga25vdyBvZiB0aGUgcGxhbmU", "alg": "HS256"}
        assert_refused(*sign_on())

    @pytest.mark.parametrize("said", ['{"keys": [1]}', '{"keys": {"a": 1}}', '{"keys": 1}', "{}", '{"keys": []}'])
    def test_keys_that_are_none(self, ada, idp, said):
        idp.says = {"/keys": said.encode()}
        assert_refused(*sign_on())

    def test_two_of_one_name_are_none(self, ada, idp):
        idp.says = {"/keys": json.dumps({"keys": idp.keys()["keys"] * 2}).encode()}
        assert_refused(*sign_on())


class TestClaims:
    @pytest.mark.parametrize("token", ["", "a.b.c", "....", 7, None, ["x"], "é"])
    def test_what_is_no_token(self, ada, idp, token):
        idp.says = {"/token": json.dumps({"id_token": token}).encode()}
        assert_refused(*sign_on())

    def test_times_that_are_none(self, ada, idp, monkeypatch):
        monkeypatch.setattr("tests.factories.identity_provider.TIMES", {"nbf"})
        for lie in ({"iat": "1"}, {"iat": float("inf")}, {"iat": float("nan")}, {"iat": []}, {"exp": "soon"}):
            idp.lies = {"iat": 1, "exp": 10**12, **lie}
            assert not is_in(sign_on()[0]), lie
        assert not Identity.objects.exists()

    @pytest.mark.parametrize("when", [10**400, -(10**400), float("nan"), float("inf"), "0", [0], True])
    def test_a_moment_that_is_none_is_not_fresh(self, ada, idp, when, monkeypatch):
        client, _answer = sign_on()
        monkeypatch.setattr("tests.factories.identity_provider.TIMES", {"iat", "exp"})
        idp.lies = {"amr": ["mfa"], "auth_time": when}
        assert sign_on(client, "?next=/inbox/")[1]["Location"] == "/settings/"
        assert not Entry.objects.filter(name="user.stepped_up").exists()


def test_the_secret_is_in_no_traceback():
    told = repr(Provider(slug="house", name="House", issuer="https://id.example", client_id="a", secret=SECRET))
    assert SECRET not in told


def test_the_door_still_leads_where_one_wanted_to_go_and_nowhere_else(ada, idp):
    idp.lies = {"email_verified": False}
    assert sign_on(query="?next=/inbox/")[1]["Location"] == "/accounts/login/?next=%2Finbox%2F"
    assert sign_on(query="?next=//evil.example/")[1]["Location"] == "/accounts/login/"
    idp.down = True
    assert Client().get(f"{START}?next=/inbox/")["Location"] == "/accounts/login/?next=%2Finbox%2F"
    assert Client().get(f"{START}?next=https://evil.example/")["Location"] == "/accounts/login/"
