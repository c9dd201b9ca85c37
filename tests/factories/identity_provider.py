"""A small OpenID Connect provider that speaks HTTP: it signs, checks secrets and codes, and can be made to lie."""

import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

TIMES = {"iat", "exp", "nbf", "auth_time"}
"""Said in seconds from now."""
CLIENT, SECRET = "the-plane", "a secret: of 100% plane+provider"


@dataclass
class IdentityProvider:
    """Whoever comes is ``person``; ``lies`` goes over the claims, ``published`` over the key, ``says`` is answered."""

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    other: rsa.RSAPrivateKey | None = None
    algorithm: str = "RS256"
    down: bool = False
    published: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    says: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def description(self) -> dict[str, Any]:
        """What /.well-known/openid-configuration says."""
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{end}" for name, end in ends.items()}, **self.described}

    def keys(self) -> dict[str, Any]:
        """What it publishes."""
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256", **self.published}]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Somebody signs in without a word; where the browser is sent back to."""
        self.asked.append(asked)
        code = token_urlsafe()
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def token(self, form: dict[str, str], who: str) -> dict[str, Any] | None:
        """For a code, once, to whom it was given and who knows the verifier."""
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or who != f"{CLIENT}:{SECRET}" or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        proof = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if proof != asked["code_challenge"]:
            return None
        return {"access_token": token_urlsafe(), "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}

    def id_token(self, nonce: str) -> str:
        """Signed, with its lies."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": 0, "exp": 300, "nonce": nonce, **self.person, **self.lies}
        told = {name: now + value if name in TIMES else value for name, value in claims.items() if value is not None}
        secret: Any = self.other or self.key
        if self.algorithm == "HS256":
            secret = "what everybody could know of the plane"
        return jwt.encode(
            told, None if self.algorithm == "none" else secret, algorithm=self.algorithm, headers={"kid": "one"}
        )


def door_of(provider: IdentityProvider) -> type[BaseHTTPRequestHandler]:
    """How it is asked over HTTP."""

    class Door(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

        def answer(self, status: int, found: Any = None, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(provider.says.get(urlsplit(self.path).path) or json.dumps(found).encode())

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(place.query).items()}
            told = {"/.well-known/openid-configuration": provider.description, "/keys": provider.keys}
            if found := told.get(place.path):
                self.answer(503 if provider.down else 200, found(), **provider.headers)
            else:
                self.answer(302, Location=provider.authorize(asked))

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            basic = b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            who = ":".join(unquote_plus(half) for half in basic.split(":"))
            found = provider.token({name: values[0] for name, values in parse_qs(text).items()}, who)
            self.answer(200 if found else 400, found or {"error": "invalid_grant"})

    return Door


@contextmanager
def identity_provider(**person: Any) -> Iterator[IdentityProvider]:
    """One that answers on this machine."""
    provider = IdentityProvider(person={"sub": "0001", **person})
    server = ThreadingHTTPServer(("127.0.0.1", 0), door_of(provider))
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
