"""A device with passkeys, in software: it makes and answers what a browser would."""

import hashlib
import json
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256

ORIGIN = "https://plane.example.com"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def to_text(value: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """The same back."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Device:
    """One passkey of one person. ``origin``: the page that it believes to be on; ``verifies``: asks for a PIN."""

    def __init__(self, *, origin: str = ORIGIN, verifies: bool = True) -> None:
        self.origin, self.verifies = origin, verifies
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = token_bytes(16)
        self.handle = b""

    def _said(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _state(self, place: str, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(place.encode()).digest() + bytes([flags]) + struct.pack(">I", 0)

    def _answer(self, response: dict[str, str]) -> str:
        told = {"id": to_text(self.id), "rawId": to_text(self.id), "type": "public-key", "response": response}
        return json.dumps({**told, "clientExtensionResults": {"credProps": {"rk": True}}})

    def make(self, options: dict[str, Any]) -> str:
        """What is sent when a passkey was made for these creation options."""
        asked = options["publicKey"]
        self.handle = to_bytes(asked["user"]["id"])
        public = cbor.encode(dict(ES256.from_cryptography_key(self.key.public_key())))
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + public
        state = self._state(asked["rp"]["id"], ATTESTED) + attested
        told = self._said("webauthn.create", asked["challenge"])
        sealed = cbor.encode({"fmt": "none", "attStmt": {}, "authData": state})
        return self._answer({"clientDataJSON": to_text(told), "attestationObject": to_text(sealed)})

    def use(self, options: dict[str, Any]) -> str:
        """What is sent when it is used for these request options."""
        asked = options["publicKey"]
        told, state = self._said("webauthn.get", asked["challenge"]), self._state(asked["rpId"])
        signature = self.key.sign(state + hashlib.sha256(told).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": to_text(told),
                "authenticatorData": to_text(state),
                "signature": to_text(signature),
                "userHandle": to_text(self.handle),
            }
        )
