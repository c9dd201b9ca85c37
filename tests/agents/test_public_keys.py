"""Public keys of agents: what is taken, what is refused, and a private key that is pasted by mistake."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from django.test import Client

from apps.agents.models import AgentCredential
from apps.agents.rules.public_keys import PrivateKeyProblem, read_public_key
from apps.audit.models import Entry
from apps.core.rules import ValueProblem
from tests.agents.tokens import Signer, eddsa, es256, make_signer, rs256
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent
from tests.security.test_canary import found_in_the_database

RFC_8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


class TestReading:
    def test_the_thumbprint_of_the_rfc(self) -> None:
        found = read_public_key(RFC_8037)
        assert (found.thumbprint, found.algorithm) == ("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "EdDSA")
        assert found.jwk == {**RFC_8037, "kid": found.thumbprint}

    @pytest.mark.parametrize("make", [es256, eddsa, rs256])
    def test_however_it_is_written_it_is_the_same_key(self, make: Any) -> None:
        signer = make()
        written = [signer.pem, f"\n{signer.pem} ", signer.jwk(), json.dumps(signer.jwk()), {**signer.jwk(), "x5t": "y"}]
        assert len({read_public_key(each).thumbprint for each in written}) == 1

    @pytest.mark.parametrize("make", [es256, eddsa, rs256])
    def test_a_private_one_is_refused_without_repeating_it(self, make: Any) -> None:
        signer = make()
        for given in (signer.private_pem, signer.jwk(private=True), json.dumps(signer.jwk(private=True))):
            with pytest.raises(PrivateKeyProblem) as refused:
                read_public_key(given)
            assert str(given)[40:60] not in str(refused.value)

    @pytest.mark.parametrize(
        "given",
        [
            "", "x", "{", "[]", 7, None, [], {}, {"keys": [RFC_8037]}, {**RFC_8037, "use": "enc"},
            {**RFC_8037, "alg": "HS256"}, {**RFC_8037, "alg": 7}, {**RFC_8037, "key_ops": ["encrypt"]},
            {**RFC_8037, "key_ops": 7}, {**RFC_8037, "kid": "x" * 101}, {**RFC_8037, "kid": 7}, {**RFC_8037, "x": 7},
            {**RFC_8037, "x": "AAAA"}, {**RFC_8037, "crv": "X25519"}, {**RFC_8037, "crv": "secp256k1"},
            {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA"}, {"kty": ["RSA"]}, "x" * 9000,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 43},
        ],
    )  # fmt: skip
    def test_what_is_no_key_is_refused(self, given: Any) -> None:
        with pytest.raises(ValueProblem):
            read_public_key(given)

    def test_weak_and_other_kinds_are_refused(self) -> None:
        keys = [
            Signer(rsa.generate_private_key(65537, 1024), "RS256"),
            Signer(rsa.generate_private_key(3, 2048), "RS256"),
            Signer(ec.generate_private_key(ec.SECP384R1()), "ES384"),
            Signer(ed448.Ed448PrivateKey.generate(), "EdDSA"),
        ]
        for signer in keys:
            for given in (signer.pem, signer.jwk()):
                with pytest.raises(ValueProblem):
                    read_public_key(given)


@pytest.mark.django_db
class TestTheApi:
    def post(self, agent: Any, user: Any = None, **body: Any) -> Any:
        client = Client()
        client.force_login(user or make_admin())
        return client.post(f"/api/v1/agents/{agent.slug}/credentials/", body, "application/json")

    def test_it_is_registered_and_recorded(self) -> None:
        agent, signer = make_agent(), es256()
        made = self.post(agent, public_key=signer.pem, networks=["192.0.2.0/24"], days=30).json()
        assert (made["kind"], made["algorithm"], made["networks"]) == ("public_key", "ES256", ["192.0.2.0/24"])
        assert Entry.objects.get(name="agentcredential.created").payload["thumbprint"] == made["thumbprint"]

    @pytest.mark.parametrize("form", ["pem", "jwk", "text"])
    def test_a_private_key_is_refused_and_nowhere_kept_or_logged(self, form: str, caplog: Any) -> None:
        agent, signer = make_agent(), es256()
        jwk = signer.jwk(private=True)
        given = {"pem": signer.private_pem, "jwk": jwk, "text": json.dumps(jwk)}[form]
        answer = self.post(agent, public_key=given)
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["public_key"]
        for secret in (jwk["d"], signer.private_pem.splitlines()[1]):
            assert secret not in answer.content.decode() + caplog.text
            assert found_in_the_database(secret) == []
        assert not AgentCredential.objects.exists()

    def test_one_key_is_one_agent_s_and_does_not_come_back(self) -> None:
        agent = make_agent()
        signer = make_signer(agent)
        assert self.post(make_agent(), public_key=signer.pem).status_code == 409
        AgentCredential.objects.update(revoked_at="2026-01-01T00:00Z")
        assert self.post(agent, public_key=signer.jwk()).status_code == 409
        assert AgentCredential.objects.count() == 1

    def test_two_at_once_and_keys_are_counted_apart(self) -> None:
        agent = make_agent()
        for _ in range(2):
            assert self.post(agent).status_code == 201
            assert self.post(agent, public_key=es256().pem).status_code == 201
        assert self.post(agent, public_key=es256().pem).status_code == 409

    def test_whoever_does_not_manage_it_registers_none(self) -> None:
        assert self.post(make_agent(), make_user(), public_key=es256().pem).status_code == 404
        assert not AgentCredential.objects.exists()


@pytest.mark.django_db
class TestThePage:
    def test_a_key_is_pasted_shown_and_ended(self) -> None:
        agent, client, signer = make_agent(), Client(), es256()
        client.force_login(make_admin())
        form = {"public_key": signer.pem, "days": 30, "environment": "live"}
        assert client.post(f"/agents/{agent.slug}/public-keys/", form).status_code == 302
        page = client.get(f"/agents/{agent.slug}/").content.decode()
        credential = AgentCredential.objects.get()
        assert credential.digest in page
        assert "the tokens that it got die at once" in page
        assert client.post(f"/agents/{agent.slug}/keys/{credential.pk}/revoke/").status_code == 302
        credential.refresh_from_db()
        assert credential.revoked_at

    def test_a_private_jwk_is_refused_and_not_shown_again(self) -> None:
        agent, client, signer = make_agent(), Client(), es256()
        client.force_login(make_admin())
        for given in (json.dumps(signer.jwk(private=True)), signer.private_pem):
            answer = client.post(f"/agents/{agent.slug}/public-keys/", {"public_key": given, "days": 30})
            assert answer.status_code == 422
            assert given[60:100] not in answer.content.decode()
            assert "private key" in answer.content.decode()
        assert not AgentCredential.objects.exists()
        assert found_in_the_database(signer.jwk(private=True)["d"]) == []

    def test_what_is_wrong_stands_beside_its_field_and_the_rest_stays(self) -> None:
        agent, client = make_agent(), Client()
        client.force_login(make_admin())
        answer = client.post(f"/agents/{agent.slug}/public-keys/", {"public_key": "hello", "days": 7})
        assert answer.status_code == 422
        assert "hello" in answer.content.decode()
        assert 'value="7"' in answer.content.decode()
