"""Keys of agents and people: ``acp_agt_<id: 8>_<secret: 43>_<checksum: 6>``, all base62; only SHA-256 is stored."""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 8, 43, 6


@dataclass(frozen=True, slots=True)
class Key:
    """A key in clear, alive only while it is shown or checked."""

    prefix: str
    key_id: str
    secret: str

    @property
    def text(self) -> str:
        """What its holder keeps."""
        body = f"{self.prefix}_{self.key_id}_{self.secret}"
        return f"{body}_{_checksum(body)}"

    @property
    def digest(self) -> str:
        """What the plane keeps. The secret has 256 bits of entropy: a slow hash would protect nothing."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def make_key(prefix: str) -> Key:
    """A new key of ``prefix`` (``acp_agt``, ``acp_pat``, ``acp_tok``)."""
    return Key(prefix, _random(ID_LENGTH), _random(SECRET_LENGTH))


def read_key(text: str, prefix: str) -> Key | None:
    """The key in ``text`` if it is well formed and its checksum fits: typing errors never reach the database."""
    if len(text) > 120 or not text.startswith(f"{prefix}_"):  # noqa: PLR2004 - far above any real key
        return None
    parts = text[len(prefix) + 1 :].split("_")
    if [len(part) for part in parts] != [ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH]:
        return None
    if any(char not in ALPHABET for part in parts for char in part):
        return None
    key = Key(prefix, parts[0], parts[1])
    return key if secrets.compare_digest(key.text, text) else None


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[rest])
    return "".join(digits)
