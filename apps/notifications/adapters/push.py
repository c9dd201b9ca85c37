"""Browser push (RFC 8030): encrypted for one browser, signed by the plane, through the guarded egress of connectors.

An address comes from a browser and is hostile until ``endpoint_of`` has read it: only the push services that
``ACP_PUSH_HOSTS`` names are called, by https, on its usual port.
"""

import base64
import time
from dataclasses import dataclass
from functools import lru_cache

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from py_vapid import Vapid

from apps.connectors.adapters.http import Call, send
from apps.connectors.rules import Origin
from apps.core import envelope
from apps.core.rules import canonical_json
from apps.notifications.adapters.answers import sent_of
from apps.notifications.adapters.chat import webhook_of
from apps.notifications.rules import Note, Sent, is_push_host

TIMEOUT_S = 5
HTTPS_PORT = 443
SIGNED_FOR_S = 12 * 3600
PADDED_BYTES = 512
"""What is pushed is filled up to so many bytes, so that its size says nothing."""
GONE = {404, 410}
PURPOSE, ENTROPY_BYTES = b"acp.push-key.v1", 48
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
POINT_BYTES, AUTH_BYTES = 65, 16


@dataclass(frozen=True, slots=True, repr=False)
class PlaneKey:
    """One of the plane's keys for push services; it never shows its private half. ``public``: as browsers take it."""

    key_id: str
    private: ec.EllipticCurvePrivateKey
    public: str


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Address:
    """Where one browser is told: its address at a push service, its public key and its secret, both in base 64."""

    endpoint: str
    p256dh: str
    auth: str
    key_id: str


def plane_keys() -> tuple[PlaneKey, ...]:
    """A key for each of ``ACP_ENCRYPTION_KEY``'s, derived from it: every process has the same, and none is stored.

    The first is for new browsers; the others serve browsers that began with them. Raises UnavailableError.
    """
    return tuple(_derived(master) for master in envelope.master_keys())


@lru_cache(maxsize=4)
def _derived(master: envelope.MasterKey) -> PlaneKey:
    number = int.from_bytes(master.derived(PURPOSE, ENTROPY_BYTES))
    private = ec.derive_private_key(number % (ORDER - 1) + 1, ec.SECP256R1())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return PlaneKey(master.key_id, private, base64.urlsafe_b64encode(point).decode().rstrip("="))


def endpoint_of(url: str) -> tuple[Origin, str]:
    """Where a push service takes messages: origin, and path with query. Raises ValueError that repeats neither."""
    origin, target = webhook_of(url)
    if _is_of_a_test(origin):
        return origin, target
    if origin.scheme != "https" or origin.port != HTTPS_PORT:
        raise ValueError("The address of a push service begins with https and names no port.")
    if not is_push_host(origin.host, settings.ACP_PUSH_HOSTS):
        raise ValueError("That is none of the push services that this plane calls.")
    return origin, target


def _is_of_a_test(origin: Origin) -> bool:
    """Whether it is the receiver that the tests run on this machine; no environment variable leads here."""
    return f"{origin.scheme}://{origin.authority}" == settings.PUSH_RECEIVER_OF_TESTS


def check_keys(p256dh: str, auth: str) -> dict[str, str]:
    """What is wrong with a browser's keys, by name; empty when they fit."""
    errors = {}
    if not _is_point(p256dh):
        errors["p256dh"] = "A point of the curve P-256, uncompressed, in base 64."
    if len(_bytes(auth)) != AUTH_BYTES:
        errors["auth"] = "16 bytes in base 64."
    return errors


def _is_point(text: str) -> bool:
    """Whether it is a point of the curve: with one beside it an answer could tell of our key."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point := _bytes(text))
    except ValueError:
        return False
    return len(point) == POINT_BYTES


def _bytes(text: str) -> bytes:
    """Of base 64 as browsers write it, with or without its padding; none where it is not."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError:  # also what is no ASCII
        return b""


def post(address: Address, note: Note) -> Sent:
    """Push ``note``. Never raises for what the network or the other side does; UnavailableError without any key."""
    key = next((key for key in plane_keys() if key.key_id == address.key_id), None)
    if key is None:
        return Sent(ok=False, text="The key with which this browser began is gone.", is_final=True, is_gone=True)
    try:
        origin, target = endpoint_of(address.endpoint)
    except ValueError as problem:
        return Sent(ok=False, text=str(problem), is_final=True)
    headers = {
        "TTL": str(note.ttl_s),
        "Urgency": note.urgency,
        "Topic": note.topic,
        "Content-Encoding": "aes128gcm",
        **_signature(key, origin),
    }
    result = send(
        Call(
            "POST",
            origin,
            target,
            TIMEOUT_S,
            allow_internal=_is_of_a_test(origin),
            headers=tuple(headers.items()),
            body=_encrypted(address, note),
            media="application/octet-stream",
        )
    )
    if result.status in GONE:
        return Sent(ok=False, text=f"The push service answered {result.status}.", is_final=True, is_gone=True)
    return sent_of(result, "push service")


def _signature(key: PlaneKey, origin: Origin) -> dict[str, str]:
    """Who sends, for this push service alone and for half a day (RFC 8292)."""
    claims = {
        "aud": f"{origin.scheme}://{origin.authority}",
        "exp": int(time.time()) + SIGNED_FOR_S,
        "sub": settings.PUSH_CONTACT,
    }
    signed: dict[str, str] = Vapid(key.private, conf={"no-strict": True}).sign(claims)  # the library knows few contacts
    return signed


def _encrypted(address: Address, note: Note) -> bytes:
    """For the browser alone (RFC 8291), with a key of its own for each message; always of the same size."""
    shown = {"title": note.title, "body": note.body, "path": note.path, "topic": note.topic}
    sealed: bytes = http_ece.encrypt(
        canonical_json(shown).ljust(PADDED_BYTES),
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=_bytes(address.p256dh),
        auth_secret=_bytes(address.auth),
    )
    return sealed
