"""A browser's half of push: what it says of itself, and how it reads what came, from RFC 8188 and 8291 alone."""

import base64
import json
import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.core.models import User
from apps.notifications.models import Browser
from apps.notifications.services import add_browser, push_key

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class Phone:
    """A browser with keys of its own at a push service."""

    def __init__(self, url: str, *, private: ec.EllipticCurvePrivateKey | None = None, auth: bytes = b"") -> None:
        self.private = private or ec.generate_private_key(ec.SECP256R1())
        self.auth = auth or os.urandom(16)
        self.path = f"/push/{encoded(os.urandom(12))}"
        self.said = {
            "endpoint": f"{url}{self.path}",
            "p256dh": encoded(point_of(self.private.public_key())),
            "auth": encoded(self.auth),
        }

    def of(self, person: User, **fields: Any) -> Browser:
        """This browser, in which ``person`` asked to be told."""
        return add_browser(person, **{**self.said, "key": push_key(), "user_agent": FIREFOX, **fields})

    def opened(self, body: bytes) -> bytes:
        """What was encrypted for this browser. Raises InvalidTag where it was for another, or was changed."""
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        own = point_of(self.private.public_key())
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.private.exchange(ec.ECDH(), theirs)
        secret = grown(self.auth, shared, b"WebPush: info\x00" + own + sender, 32)
        key = grown(salt, secret, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = grown(salt, secret, b"Content-Encoding: nonce\x00", 12)
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        assert padded[-1:] == b"\x02", "the last record says that it is the last"
        return padded[:-1]

    def shown(self, body: bytes) -> dict[str, str]:
        """The same as the service worker reads it."""
        found = json.loads(self.opened(body))
        assert isinstance(found, dict)
        return found


def grown(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=salt, info=info).derive(secret)


def signed_claims(authorization: str) -> tuple[str, dict[str, Any]]:
    """The public key that the sender names, and what it signed with the private one (RFC 8292). Raises otherwise."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "vapid"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = parts["t"].split(".")
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    raw = decoded(signature)
    assert len(raw) == 64
    both = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(parts["k"]))
    key.verify(both, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    found = json.loads(decoded(claims))
    assert isinstance(found, dict)
    return parts["k"], found
