"""An agent's side of asking for tokens: keys of its own, assertions that it signs, and what attackers make of them."""

import base64
import hmac
import json
import time
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.test import Client

from apps.agents.models import Agent
from apps.agents.services.credentials import register_public_key
from tests.factories.access import make_admin

ISSUER = "http://127.0.0.1:8000"
TOKEN = f"{ISSUER}/oauth/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"
_n = count(1)


@dataclass
class Signer:
    """A private key that an agent keeps, and how it signs with it."""

    private: Any
    algorithm: str

    @property
    def pem(self) -> str:
        """The public half."""
        key = self.private.public_key()
        return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

    @property
    def private_pem(self) -> str:
        """What nobody else should ever see."""
        return str(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())

    def jwk(self, *, private: bool = False) -> dict[str, Any]:
        """The key as a JWK."""
        key = self.private if private else self.private.public_key()
        kind = jwt.get_algorithm_by_name(self.algorithm)
        return dict(kind.to_jwk(key, as_dict=True))

    def sign(self, client: str, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """An assertion of ``client``, in order but for ``claims``; those that are None are left out."""
        now = int(time.time())
        whole = {"iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": f"j{next(_n)}"}
        kept = {name: value for name, value in {**whole, **claims}.items() if value is not None}
        return jwt.encode(kept, self.private, algorithm=self.algorithm, headers=headers)


def es256() -> Signer:
    return Signer(ec.generate_private_key(ec.SECP256R1()), "ES256")


def eddsa() -> Signer:
    return Signer(ed25519.Ed25519PrivateKey.generate(), "EdDSA")


def rs256() -> Signer:
    return Signer(rsa.generate_private_key(65537, 2048), "RS256")


def make_signer(agent: Agent, signer: Signer | None = None, **fields: Any) -> Signer:
    """A signer whose public key is registered with ``agent``."""
    found = signer or es256()
    register_public_key(make_admin(), agent=agent, public_key=found.pem, **fields)
    return found


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """A JWT as an attacker writes one: unsigned, or with an HMAC."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    body = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{body}.{part(hmac.digest(secret, body.encode(), sha256)) if secret else ''}"


def ask(peer: str = "127.0.0.1", *, headers: dict[str, str] | None = None, **form: Any) -> Any:
    """What ``/oauth/token`` answers."""
    body = urlencode({"grant_type": "client_credentials", **form}, doseq=True)
    return Client(REMOTE_ADDR=peer).post("/oauth/token", body, FORM, headers=headers or {})


def ask_signed(assertion: str, peer: str = "127.0.0.1", **form: Any) -> Any:
    """The same with an assertion."""
    return ask(peer, client_assertion_type=JWT_BEARER, client_assertion=assertion, **form)


def me(token: str, peer: str = "127.0.0.1", **headers: str) -> Any:
    """What the API says to whoever holds ``token``."""
    return Client(REMOTE_ADDR=peer).get("/api/v1/me/", headers={"Authorization": f"Bearer {token}", **headers})
