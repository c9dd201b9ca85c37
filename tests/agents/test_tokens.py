"""Tokens of agents over HTTP: asked for with a key or a signature, bound, short, ended at once."""

import base64
import hashlib
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from django.db import connection
from django.test import Client

from apps.agents.models import AccessToken, Action, Agent, AgentCredential, SpentAssertion
from apps.agents.rules.assertions import claims_problem
from apps.agents.services import change_state, create_credential, revoke_credential
from apps.agents.services.access_tokens import forget_tokens
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.services import engage_halt
from tests.agents.tokens import (
    FORM,
    ISSUER,
    JWT_BEARER,
    TOKEN,
    Signer,
    ask,
    ask_signed,
    eddsa,
    es256,
    forged,
    make_signer,
    me,
    rs256,
)
from tests.conftest import drop_database
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.security.test_canary import found_in_the_database
from tests.serving import serving
from tests.workflows.actions import Desk, make_desk


@pytest.fixture
def desk() -> Desk:
    return make_desk()


def token_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def refused(answer: Any) -> tuple[int, str]:
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, answer.json()["error"]


@pytest.mark.django_db
class TestByKey:
    def test_the_key_is_the_secret_and_the_token_acts_as_the_key(self, desk: Desk) -> None:
        answer = ask(client_id=desk.agent.slug, client_secret=desk.key, resource=f"{ISSUER}/api/v1/")
        assert answer.json() == {"access_token": token_of(answer), "token_type": "Bearer", "expires_in": 900}
        assert answer["Cache-Control"] == "no-store"
        asked = desk.post("actions/", desk.body(100), key="k", token=token_of(answer))
        assert asked.status_code == 202
        assert Action.objects.get().agent == desk.agent
        told = Entry.objects.get(name="accesstoken.created")
        assert (told.actor, told.payload["agent"], told.unit) == (desk.agent.user, desk.agent.slug, desk.agent.unit_id)
        assert desk.key not in str(told.payload)

    def test_by_basic_each_part_is_form_encoded(self, desk: Desk) -> None:
        both = base64.b64encode(f"{desk.agent.slug}:{desk.key.replace('_', '%5F')}".encode()).decode()
        assert token_of(ask(headers={"Authorization": f"Basic {both}"}))

    @pytest.mark.parametrize("wrong", ["", "acp_agt_00000000_x_y", "nothing"])
    def test_what_is_no_key_is_refused_as_the_rfc_says(self, desk: Desk, wrong: str) -> None:
        assert refused(ask(client_id=desk.agent.slug, client_secret=wrong)) == (401, "invalid_client")
        both = base64.b64encode(f"{desk.agent.slug}:{wrong}".encode()).decode()
        answer = ask(headers={"Authorization": f"Basic {both}"})
        assert refused(answer) == (401, "invalid_client")
        assert answer["WWW-Authenticate"].startswith("Basic ")
        assert not AccessToken.objects.exists()

    def test_another_agent_s_key_is_none(self, desk: Desk) -> None:
        assert refused(ask(client_id=make_agent().slug, client_secret=desk.key)) == (401, "invalid_client")

    def test_a_dead_key_gets_none_and_is_told(self, desk: Desk) -> None:
        revoke_credential(make_admin(), credential=desk.agent.credentials.get())
        assert refused(ask(client_id=desk.agent.slug, client_secret=desk.key)) == (401, "invalid_client")
        assert Entry.objects.filter(name="agent.key_refused").count() == 1

    def test_it_is_hashed_at_rest_and_nowhere_in_clear(self, desk: Desk) -> None:
        text = token_of(ask(client_id=desk.agent.slug, client_secret=desk.key))
        assert AccessToken.objects.get().digest == hashlib.sha256(text.encode()).hexdigest()
        assert found_in_the_database(text.split("_")[3]) == []


@pytest.mark.django_db
class TestTheForm:
    @pytest.mark.parametrize(
        ("more", "code"),
        [
            ({"grant_type": "password"}, "unsupported_grant_type"),
            ({"grant_type": ""}, "invalid_request"),
            ({"scope": "everything"}, "invalid_scope"),
            ({"resource": "https://elsewhere.example/"}, "invalid_target"),
            ({"resource": [f"{ISSUER}/api/v1/", "https://elsewhere.example/"]}, "invalid_target"),
            ({"client_secret": ["a", "b"]}, "invalid_request"),
            ({"client_assertion": "x"}, "invalid_request"),
            ({"note": "\x00"}, "invalid_request"),
            ({"note": "x" * 20_000}, "invalid_request"),
            ({f"p{n}": "x" for n in range(30)}, "invalid_request"),
        ],
    )
    def test_what_does_not_fit_is_named(self, desk: Desk, more: dict[str, Any], code: str) -> None:
        assert refused(ask(**{"client_id": desk.agent.slug, "client_secret": desk.key, **more})) == (400, code)
        assert not AccessToken.objects.exists()

    def test_json_a_get_and_a_query_are_none(self, desk: Desk) -> None:
        body = {"grant_type": "client_credentials", "client_id": desk.agent.slug, "client_secret": desk.key}
        assert refused(Client().post("/oauth/token", json.dumps(body), "application/json"))[1] == "invalid_request"
        assert Client().get("/oauth/token", body).status_code == 405
        assert refused(Client().post(f"/oauth/token?{urlencode(body)}", "", FORM)) == (400, "invalid_request")

    def test_without_an_address_of_its_own_there_is_no_server(self, desk: Desk, settings: Any) -> None:
        settings.ACP_URL = ""
        assert refused(ask(client_id=desk.agent.slug, client_secret=desk.key))[0] == 404
        assert Client().get("/.well-known/oauth-authorization-server").status_code == 404
        assert me("x")["WWW-Authenticate"] == 'Bearer error="invalid_token"'

    def test_clients_find_their_way_from_a_401(self) -> None:
        answer = Client().get("/api/v1/me/")
        found = answer["WWW-Authenticate"].partition('resource_metadata="')[2].partition('"')[0]
        assert "error=" not in answer["WWW-Authenticate"]
        resource = Client().get(found.removeprefix(ISSUER)).json()
        assert resource["resource"] == f"{ISSUER}/api/v1/"
        server = Client().get("/.well-known/oauth-authorization-server").json()
        assert [server["issuer"]] == resource["authorization_servers"]
        assert (server["token_endpoint"], server["grant_types_supported"]) == (TOKEN, ["client_credentials"])
        assert server["token_endpoint_auth_signing_alg_values_supported"] == ["ES256", "RS256", "EdDSA"]


@pytest.mark.django_db
class TestBySignature:
    @pytest.mark.parametrize("make", [es256, eddsa, rs256])
    @pytest.mark.parametrize("audience", [ISSUER, TOKEN, [ISSUER]])
    def test_each_algorithm_and_each_name_of_the_server(self, desk: Desk, make: Any, audience: Any) -> None:
        signer = make_signer(desk.agent, make())
        text = token_of(ask_signed(signer.sign(desk.agent.slug, aud=audience)))
        assert me(text).json()["agent"]["slug"] == desk.agent.slug

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": "https://elsewhere.example"}, {"aud": [ISSUER, "https://elsewhere.example"]}, {"aud": None},
            {"aud": f"{ISSUER}/"}, {"iss": "somebody"}, {"iss": None}, {"jti": None}, {"jti": ""}, {"jti": 7},
            {"exp": None}, {"exp": "soon"}, {"exp": True}, {"exp": 1}, {"exp": time.time() + 3600},
            {"exp": 2**52}, {"iat": time.time() - 3600}, {"iat": time.time() + 3600}, {"nbf": time.time() + 3600},
        ],
    )  # fmt: skip
    def test_wrong_audience_wrong_subject_wrong_age(self, desk: Desk, claims: dict[str, Any]) -> None:
        signer = Signer(make_signer(desk.agent).private, "ES256")
        now = int(time.time())
        whole = {"iss": desk.agent.slug, "sub": desk.agent.slug, "aud": ISSUER, "exp": now + 60, "jti": "j", **claims}
        kept = {name: value for name, value in whole.items() if value is not None}
        assertion = jwt.api_jws.encode(json.dumps(kept).encode(), signer.private, algorithm="ES256")
        assert refused(ask_signed(assertion)) == (401, "invalid_client")
        assert not AccessToken.objects.exists()
        assert not SpentAssertion.objects.exists()

    def test_it_is_taken_once(self, desk: Desk) -> None:
        signer = make_signer(desk.agent)
        assertion = signer.sign(desk.agent.slug, jti="once")
        assert token_of(ask_signed(assertion))
        assert refused(ask_signed(assertion)) == (401, "invalid_client")
        assert refused(ask_signed(signer.sign(desk.agent.slug, jti="once"))) == (401, "invalid_client")
        assert AccessToken.objects.count() == 1
        entry = Entry.objects.get(name="agentcredential.refused")
        assert entry.payload["code"] == "assertion_replayed"
        assert AgentCredential.objects.get(public_key__isnull=False).refusals == 2

    def test_unsigned_and_signed_with_what_everybody_knows(self, desk: Desk) -> None:
        signer = make_signer(desk.agent)
        now = int(time.time())
        claims = {"iss": desk.agent.slug, "sub": desk.agent.slug, "aud": ISSUER, "exp": now + 60, "jti": "j"}
        secrets = (signer.pem.encode(), json.dumps(signer.jwk()).encode(), signer.jwk()["x"].encode())
        forgeries = [forged({"alg": alg}, claims) for alg in ("none", "None", "ES256", "")]
        forgeries += [forged({"alg": "HS256"}, claims, secret) for secret in secrets]
        forgeries += [forged({"alg": "ES256"}, claims, secret) for secret in secrets]
        forgeries += [es256().sign(desk.agent.slug), f"{signer.sign(desk.agent.slug)[:-8]}AAAAAAAA", "a.b.c", "x"]
        forgeries += [forged({"alg": "ES256", "kid": "\x00"}, claims), forged({"alg": "ES256", "kid": [1]}, claims)]
        forgeries += [es256().sign(desk.agent.slug, headers={"jwk": signer.jwk(), "jku": "https://evil.example/"})]
        for forgery in forgeries:
            assert refused(ask_signed(forgery, peer=f"192.0.2.{len(forgery) % 200}")) == (401, "invalid_client")
        assert not AccessToken.objects.exists()
        assert token_of(ask_signed(signer.sign(desk.agent.slug)))

    def test_one_key_is_found_by_its_name_or_by_trying(self, desk: Desk) -> None:
        jwk = {**(first := es256()).jwk(), "kid": "k1", "alg": "ES256", "use": "sig"}
        client = Client()
        client.force_login(make_admin())
        address = f"/api/v1/agents/{desk.agent.slug}/credentials/"
        made = client.post(address, {"public_key": jwk}, "application/json").json()
        second = make_signer(desk.agent)
        assert (made["kind"], made["algorithm"], "key" in made) == ("public_key", "ES256", False)
        assert token_of(ask_signed(first.sign(desk.agent.slug, headers={"kid": "k1"})))
        assert token_of(ask_signed(first.sign(desk.agent.slug, headers={"kid": made["key_id"]})))
        assert token_of(ask_signed(second.sign(desk.agent.slug), client_id=desk.agent.slug))
        assert refused(ask_signed(second.sign(desk.agent.slug, headers={"kid": "k1"})))[0] == 401
        assert refused(ask_signed(second.sign(desk.agent.slug), client_id="somebody"))[0] == 401

    def test_a_removed_key_signs_for_nothing_and_its_use_is_told(self, desk: Desk) -> None:
        signer = make_signer(desk.agent)
        text = token_of(ask_signed(signer.sign(desk.agent.slug)))
        revoke_credential(make_admin(), credential=AgentCredential.objects.get(public_key__isnull=False))
        assert me(text).status_code == 401
        assert refused(ask_signed(signer.sign(desk.agent.slug))) == (401, "invalid_client")
        assert Entry.objects.filter(name="agent.key_refused").count() == 1

    def test_its_thumbprint_is_no_key(self, desk: Desk) -> None:
        make_signer(desk.agent)
        credential = AgentCredential.objects.get(public_key__isnull=False)
        assert refused(ask(client_id=desk.agent.slug, client_secret=credential.digest)) == (401, "invalid_client")
        assert me(credential.digest).status_code == 401


class TestClaims:
    def test_the_edges_of_an_age(self) -> None:
        right = {"iss": "a", "sub": "a", "aud": "s", "jti": "j", "exp": 1060}

        def problem(**claims: Any) -> str:
            return claims_problem({**right, **claims}, client="a", audiences=["s"], now=1000)

        assert problem() == ""
        assert (problem(exp=1000), problem(exp=1000.5)) == ("assertion_expired", "")
        assert (problem(exp=1330), problem(exp=1331)) == ("", "too_long")
        assert (problem(iat=1030), problem(iat=1031), problem(nbf=1031)) == ("", "not_yet", "not_yet")
        assert (problem(iat=700), problem(iat=699)) == ("", "too_long")


@pytest.mark.django_db
class TestTheNextRequest:
    @pytest.fixture
    def text(self, desk: Desk) -> str:
        return token_of(ask(client_id=desk.agent.slug, client_secret=desk.key))

    def test_after_suspension_it_is_dead_and_there_is_no_other(self, desk: Desk, text: str) -> None:
        assert me(text).status_code == 200
        change_state(make_admin(), agent=desk.agent, to="suspended", reason="odd")
        answer = me(text)
        assert (answer.status_code, answer.json()["code"]) == (401, "credential_revoked")
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]
        again = ask(client_id=desk.agent.slug, client_secret=desk.key)
        assert refused(again) == (400, "unauthorized_client")
        assert not Action.objects.exists()

    def test_a_halt_stops_it_without_ending_it(self, desk: Desk, text: str) -> None:
        engage_halt(
            system_user("console"), scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="Look at it."
        )
        assert desk.post("actions/", desk.body(100), key="k", token=text).status_code == 423
        assert not Action.objects.exists()

    def test_a_revoked_key_takes_its_tokens_along(self, desk: Desk, text: str) -> None:
        revoke_credential(make_admin(), credential=desk.agent.credentials.get())
        assert me(text).json()["code"] == "credential_revoked"

    def test_from_another_network_it_is_refused_and_told(self, desk: Desk) -> None:
        key = create_credential(make_admin(), agent=desk.agent, networks=["192.0.2.0/24"]).text
        form = {"client_id": desk.agent.slug, "client_secret": key}
        assert refused(ask("198.51.100.1", **form)) == (401, "invalid_client")
        text = token_of(ask("192.0.2.9", **form))
        assert me(text, "192.0.2.7").status_code == 200
        assert me(text, "198.51.100.1").json()["code"] == "network_not_allowed"
        assert Entry.objects.get(name="agent.key_refused").payload["address"] == "198.51.100.1"

    def test_after_a_quarter_of_an_hour_it_has_expired(self, text: str) -> None:
        AccessToken.objects.update(expires_at=ClockTimestamp() - timedelta(seconds=1))
        assert me(text).json()["code"] == "credential_expired"
        assert Entry.objects.get(name="accesstoken.refused").payload["code"] == "credential_expired"
        assert not Entry.objects.filter(name="agent.key_refused").exists()

    def test_it_is_for_one_resource(self, text: str, settings: Any) -> None:
        settings.ACP_URL = "https://plane.example"
        assert me(text).json()["code"] == "wrong_resource"
        assert me(text).json()["code"] == "wrong_resource"
        entry = Entry.objects.get(name="accesstoken.refused")
        assert (entry.payload["code"], entry.unit) == ("wrong_resource", Agent.objects.get().unit_id)

    def test_a_token_gets_no_token(self, desk: Desk, text: str) -> None:
        assert refused(ask(client_id=desk.agent.slug, client_secret=text)) == (401, "invalid_client")

    def test_it_carries_version_and_environment(self, desk: Desk) -> None:
        made = create_credential(make_admin(), agent=desk.agent, environment="test", version=1)
        text = token_of(ask(client_id=desk.agent.slug, client_secret=made.text))
        assert me(text).json()["environment"] == "test"
        assert me(text, **{"Acp-Agent-Version": "2"}).json()["code"] == "unknown_version"

    def test_the_agent_hands_it_back(self, desk: Desk, text: str) -> None:
        def hand_back(what: str, secret: str = desk.key) -> int:
            body = urlencode({"client_id": desk.agent.slug, "client_secret": secret, "token": what})
            return Client().post("/oauth/revoke", body, FORM).status_code

        assert (hand_back("rubbish"), hand_back(text, "rubbish"), me(text).status_code) == (200, 401, 200)
        assert (hand_back(text), hand_back(text), me(text).status_code) == (200, 200, 401)
        assert Entry.objects.filter(name="accesstoken.revoked").count() == 1

    def test_people_see_live_ones_and_end_one(self, desk: Desk, text: str) -> None:
        client = Client()
        client.force_login(make_admin())
        address = f"/api/v1/agents/{desk.agent.slug}/tokens/"
        (shown,) = client.get(address).json()["results"]
        assert text not in json.dumps(shown)
        assert client.delete(f"{address}{shown['id']}/").status_code == 204
        assert client.get(address).json()["results"] == []
        assert me(text).json()["code"] == "credential_revoked"


@pytest.mark.django_db
class TestTooMuch:
    def test_failures_are_counted_by_address_and_keep_no_agent_out(self, desk: Desk) -> None:
        wrong = {"client_id": desk.agent.slug, "client_secret": "y"}
        for _ in range(20):
            assert refused(ask("192.0.2.1", **wrong))[0] == 401
        answer = ask("192.0.2.1", **wrong)
        assert (refused(answer), answer["Retry-After"]) == ((429, "temporarily_unavailable"), "60")
        assert refused(ask("192.0.2.2", **wrong))[0] == 401
        assert token_of(ask("192.0.2.1", client_id=desk.agent.slug, client_secret=desk.key))

    def test_so_many_tokens_in_a_minute(self, desk: Desk) -> None:
        form = {"client_id": desk.agent.slug, "client_secret": desk.key}
        for _ in range(30):
            token_of(ask(**form))
        assert refused(ask(**form))[0] == 429
        assert AccessToken.objects.count() == 30

    def test_what_is_over_is_forgotten(self, desk: Desk) -> None:
        signer = make_signer(desk.agent)
        token_of(ask_signed(signer.sign(desk.agent.slug)))
        assert forget_tokens() == 0
        AccessToken.objects.update(expires_at=ClockTimestamp() - timedelta(days=2))
        SpentAssertion.objects.update(until=ClockTimestamp() - timedelta(hours=1))
        assert forget_tokens() == 1
        assert not SpentAssertion.objects.exists()


@pytest.mark.usefixtures("real_db")
def test_over_real_http_and_503_where_the_store_cannot_answer(tmp_path: Path) -> None:
    desk, name = make_desk(), str(connection.settings_dict["NAME"])
    signer = make_signer(desk.agent)
    form = {"grant_type": "client_credentials", "client_assertion_type": JWT_BEARER}
    with serving(name, tmp_path, ACP_URL=ISSUER) as address:

        def signed() -> httpx.Response:
            assertion = signer.sign(desk.agent.slug)
            return httpx.post(f"{address}/oauth/token", data={**form, "client_assertion": assertion}, timeout=90)

        answer = signed()
        assert answer.status_code == 200, answer.text
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}", "Idempotency-Key": "k"}
        assert httpx.get(f"{address}/api/v1/me/", headers=bearer, timeout=20).status_code == 200
        drop_database(name)
        answer = signed()
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["Retry-After"]
        answer = httpx.post(f"{address}/api/v1/actions/", headers=bearer, json=desk.body(100), timeout=90)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
