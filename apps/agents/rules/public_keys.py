"""Public keys by which agents sign: what is taken, in one spelling, under one name (RFC 7517, 7518, 7638, 8037)."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from apps.core.rules import ValueProblem, canonical_json, strict_json

MAX_TEXT = 8_192
MAX_NAME = 100
RSA_BITS = (2048, 8192)
EXPONENT = (65_537, 2**32)
"""Of RSA: below it signatures can be forged by careless verifiers, beyond it each verification costs too much."""
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""What a JWK holds beyond its public half."""
NAMING = {"ES256": ("crv", "kty", "x", "y"), "RS256": ("e", "kty", "n"), "EdDSA": ("crv", "kty", "x")}
"""Algorithm -> the members over which RFC 7638 makes the thumbprint, which are all that is kept besides ``kid``."""
CURVES: dict[str, set[str | None]] = {"EC": {"P-256"}, "RSA": {None}, "OKP": {"Ed25519"}}
MEMBERS = ("kty", "crv", "alg", "use", "kid", "x", "y", "n", "e")
OTHER_NAMES = {"EdDSA": "Ed25519"}
"""RFC 9864 calls it so."""
ONLY = "Only P-256, RSA and Ed25519 are taken."


class PrivateKeyProblem(ValueProblem):
    """A private key where a public one belongs. Its text is in no message."""

    def __init__(self) -> None:
        super().__init__("This is a private key. Nothing of it was kept. Replace it: it has been sent around.")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key: ``jwk`` holds its public members and ``kid``; ``thumbprint`` is RFC 7638's, base64url of SHA-256."""

    jwk: dict[str, str]
    algorithm: str
    thumbprint: str


def read_public_key(given: object) -> PublicKey:
    """The key in ``given``: PEM text, the text of a JWK, or a JWK. P-256, RSA from 2048 bits on, Ed25519.

    Raises PrivateKeyProblem, or ValueProblem for what is no such key. No message repeats what was given.
    """
    if isinstance(given, str):
        given = _read_text(given.strip())
    if isinstance(given, Mapping):
        return _of_jwk(dict(given))
    return _named(given, "")


def _read_text(text: str) -> Any:
    if len(text) > MAX_TEXT:
        raise ValueProblem("This is too long for one key.")
    if re.search(r"PRIVATE KEY", text, re.IGNORECASE):
        raise PrivateKeyProblem
    if text.startswith("{"):
        try:
            return strict_json(text.encode("utf-8", "replace"))
        except ValueProblem as problem:
            raise ValueProblem("This is not the JSON of a JWK.") from problem
    try:
        return load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        said = "Neither PEM that begins with -----BEGIN PUBLIC KEY----- nor a JWK."
        raise ValueProblem(said) from error


def _of_jwk(jwk: dict[Any, Any]) -> PublicKey:
    if PRIVATE & jwk.keys():
        raise PrivateKeyProblem
    if "keys" in jwk:
        raise ValueProblem("This is a set of keys: give one of them.")
    said = {name: jwk[name] for name in MEMBERS if name in jwk}
    kid = said.pop("kid", "")
    if problem := _problem(said, kid, jwk.get("key_ops", ["verify"])):
        raise ValueProblem(problem)
    algorithm = algorithm_of(said)
    if said.get("alg", algorithm) not in {algorithm, OTHER_NAMES.get(algorithm)}:
        raise ValueProblem(f"Such a key signs by {algorithm} here.")
    try:
        key = PyJWK({name: said[name] for name in NAMING[algorithm] if name in said}, algorithm=algorithm).key
    except (PyJWTError, ValueError, TypeError) as error:
        raise ValueProblem("The numbers in it make no key.") from error
    return _named(key, kid)


def _problem(said: dict[str, Any], kid: object, operations: object) -> str:
    """What is wrong with what a JWK says of itself; empty: nothing."""
    if not all(isinstance(value, str) and len(value) <= MAX_TEXT for value in said.values()):
        return "Its members are texts."
    if said.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return "It is not for signatures."
    if not isinstance(kid, str) or len(kid) > MAX_NAME or not kid.isprintable():
        return f"Its kid has at most {MAX_NAME} printable characters."
    return "" if said.get("crv") in CURVES.get(said.get("kty", ""), set()) else ONLY


def _named(key: object, kid: str) -> PublicKey:
    """The key in its one spelling: two ways to write the same numbers are the same key."""
    jwk, algorithm = _written(key)
    kept = {name: str(jwk[name]) for name in NAMING[algorithm]}
    digest = hashlib.sha256(canonical_json(kept)).digest()
    thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return PublicKey({**kept, "kid": kid or thumbprint}, algorithm, thumbprint)


def _written(key: object) -> tuple[dict[str, Any], str]:
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return ECAlgorithm.to_jwk(key, as_dict=True), "ES256"
    if isinstance(key, Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True), "EdDSA"
    if not isinstance(key, RSAPublicKey):
        raise ValueProblem(ONLY)
    if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        raise ValueProblem(f"An RSA key of {RSA_BITS[0]} to {RSA_BITS[1]} bits is wanted.")
    if not EXPONENT[0] <= key.public_numbers().e < EXPONENT[1]:
        raise ValueProblem(f"Its exponent is from {EXPONENT[0]} on and below 2^32.")
    return RSAAlgorithm.to_jwk(key, as_dict=True), "RS256"


def algorithm_of(jwk: Mapping[str, str]) -> str:
    """How a key that was taken signs."""
    return {"EC": "ES256", "RSA": "RS256", "OKP": "EdDSA"}[jwk["kty"]]
