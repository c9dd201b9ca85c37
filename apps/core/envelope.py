"""The envelope around a secret: a key of its own, AES-256-GCM, sealed by the plane's key and bound to its place.

The associated data names the place: a row copied to another place does not open there.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from apps.core.errors import UnavailableError

FORM = b"\x01"
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
HEX, URLSAFE = re.compile(r"[0-9a-fA-F]{64}"), str.maketrans("-_", "+/")
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """The plane's key; it never shows itself."""

    raw: bytes

    @property
    def key_id(self) -> str:
        """Which key sealed something; says nothing about the key."""
        return hmac.new(self.raw, b"acp.key-id.v1", hashlib.sha256).hexdigest()[:12]

    def fingerprint(self, secret: str) -> str:
        """Twelve hex digits that tell two secrets apart and, without the key, say nothing about them."""
        return hmac.new(self.raw, b"acp.fingerprint.v1\x00" + secret.encode(), hashlib.sha256).hexdigest()[:12]

    def derived(self, purpose: bytes, length: int) -> bytes:
        """Bytes for one purpose (RFC 5869), the same in every process with this key; they say nothing about it."""
        return HKDF(SHA256(), length, salt=None, info=purpose).derive(self.raw)


def seal(master: MasterKey, secret: str, place: bytes) -> bytes:
    """``secret`` as bytes to store."""
    own, outer, inner = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
    wrapped = AESGCM(master.raw).encrypt(outer, own, place)
    return FORM + outer + wrapped + inner + AESGCM(own).encrypt(inner, secret.encode(), place)


def unseal(masters: Sequence[MasterKey], sealed: bytes, place: bytes) -> str:
    """The secret again, by whichever key opens it. Raises UnavailableError, which names no part of it."""
    body = sealed[len(FORM) :]
    outer, wrapped, inner, text = (
        body[:NONCE_BYTES],
        body[NONCE_BYTES:WRAPPED_BYTES],
        body[WRAPPED_BYTES : WRAPPED_BYTES + NONCE_BYTES],
        body[WRAPPED_BYTES + NONCE_BYTES :],
    )
    for master in masters:
        try:
            own = AESGCM(master.raw).decrypt(outer, wrapped, place)
            return AESGCM(own).decrypt(inner, text, place).decode()
        except (InvalidTag, ValueError):
            continue
    raise UnavailableError("A stored secret does not open with this plane's key.")


def read_key(text: str) -> MasterKey:
    """A key of 32 bytes in base 64 or hex. Raises ValueError without repeating it."""
    plain = text.strip()
    try:
        raw = (
            bytes.fromhex(plain) if HEX.fullmatch(plain) else base64.b64decode(plain.translate(URLSAFE), validate=True)
        )
    except (ValueError, binascii.Error) as error:
        raise ValueError("The encryption key is neither base 64 nor hex.") from error
    if len(raw) != KEY_BYTES:
        raise ValueError(f"The encryption key has {len(raw)} bytes instead of {KEY_BYTES}.")
    return MasterKey(raw)


@lru_cache(maxsize=4)
def _parsed(text: str) -> tuple[MasterKey, ...]:
    return tuple(read_key(part) for part in text.split(",") if part.strip())


def master_keys() -> tuple[MasterKey, ...]:
    """The plane's keys: the first seals, all open, so that a key is replaced by putting the new one in front.

    From ``ACP_ENCRYPTION_KEY``, else the file that ``ACP_ENCRYPTION_KEY_FILE`` names; in development, else one that was
    made in the data folder. Raises UnavailableError where there is none.
    """
    text = settings.ACP_ENCRYPTION_KEY
    try:
        if not text and settings.ACP_ENCRYPTION_KEY_FILE:
            text = Path(settings.ACP_ENCRYPTION_KEY_FILE).read_text(encoding="ascii")
        if not text and settings.ACP_ENVIRONMENT == "development":
            text = _made_key(Path(settings.ACP_DATA_DIR) / "encryption.key")
        found = _parsed(text)
    except OSError as error:
        raise UnavailableError(f"The encryption key's file cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UnavailableError("The encryption key is not 32 bytes in base 64 or hex.") from error
    if not found:
        raise UnavailableError("There is no ACP_ENCRYPTION_KEY: secrets can neither be kept nor used.")
    return found


def _made_key(path: Path) -> str:
    """The development key, made at its first use, readable by its owner alone."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode())
    try:
        os.link(draft, path)  # atomic, and the first of two processes wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii")


def place_of(holder: object, credential: object, version: int) -> bytes:
    """The associated data of one version of a credential that is kept: a sealed row moved elsewhere opens nothing."""
    return f"acp.secret.v1\x00{holder}\x00{credential}\x00{version}".encode()
