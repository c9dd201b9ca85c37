"""Assertions by which agents say who they are: JWTs that they sign themselves (RFC 7519, 7521, 7523)."""

from collections.abc import Collection, Mapping
from typing import Any

from jwt import PyJWK
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from apps.agents.rules.public_keys import algorithm_of
from apps.core.rules import ValueProblem, check_values, strict_json

ALGORITHMS = ("ES256", "RS256", "EdDSA")
KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION = 4_096
MAX_AGE_S = 300
"""How far ahead ``exp`` may lie, and how long ago ``iat``: so long each ``jti`` is remembered."""
SKEW_S = 30
"""By how much clocks may differ where an assertion is from the future. Past its ``exp`` none is taken."""
MAX_JTI = 200
TYPES = frozenset({"jwt", "client-authentication+jwt"})

_jws = PyJWS(algorithms=list(ALGORITHMS))


def header_of(assertion: str) -> tuple[str, str]:
    """``(alg, kid)`` of a JWT, ``kid`` empty where it names none. Nothing is believed yet. Raises ValueProblem."""
    try:
        header = _jws.get_unverified_header(assertion)
    except (PyJWTError, ValueError) as error:
        raise ValueProblem("This is no JWT.") from error
    check_values(header)
    alg, kid, kind = header.get("alg"), header.get("kid", ""), header.get("typ", "JWT")
    if alg not in ALGORITHMS:
        raise ValueProblem("Signed by none of ES256, RS256 and EdDSA.")
    if "crit" in header or "b64" in header or not isinstance(kid, str):
        raise ValueProblem("Its header asks for what is not known here.")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise ValueProblem("Its type is not JWT.")
    return str(alg), kid


def subject_of(assertion: str) -> str:
    """Whom a JWT says it is of, before anything is believed: to find the keys with which to look. Raises ValueProblem.

    Empty where it says nothing that could be a name.
    """
    try:
        payload = _jws.decode_complete(assertion, options={"verify_signature": False})["payload"]
    except (PyJWTError, ValueError) as error:
        raise ValueProblem("This is no JWT.") from error
    return str(_claims(payload).get("sub", ""))


def verified_claims(assertion: str, jwk: Mapping[str, str]) -> dict[str, Any] | None:
    """The claims if this key signed them, by the key's own algorithm whatever the header says; else None.

    Raises ValueProblem for signed bytes that are no JSON object.
    """
    algorithm = algorithm_of(jwk)
    try:
        found = _jws.decode_complete(assertion, PyJWK(dict(jwk), algorithm=algorithm), algorithms=[algorithm])
    except (PyJWTError, ValueError):
        return None
    return _claims(found["payload"])


def _claims(payload: bytes) -> dict[str, Any]:
    claims = strict_json(payload)
    check_values(claims)
    if not isinstance(claims, dict):
        raise ValueProblem("Its claims are no object.")
    return claims


def claims_problem(claims: Mapping[str, Any], *, client: str, audiences: Collection[str], now: float) -> str:
    """What is wrong with the claims of an assertion of ``client`` at ``now`` (seconds since 1970); empty: nothing.

    ``iss`` and ``sub`` are the client, ``aud`` is one of ``audiences`` and nobody else, ``exp`` is ahead by at most
    MAX_AGE_S, ``iat`` and ``nbf``, where they are given, have come, ``jti`` is a text.
    """
    if claims.get("iss") != client or claims.get("sub") != client:
        return "wrong_subject"
    if _single(claims.get("aud")) not in audiences:
        return "wrong_audience"
    if not isinstance(claims.get("jti"), str) or not 1 <= len(claims["jti"]) <= MAX_JTI:
        return "jti_missing"
    return _time_problem(claims, now)


def _single(audience: object) -> object:
    """The one audience. Several are none: each could use the assertion at the others."""
    if isinstance(audience, list):
        return audience[0] if len(audience) == 1 and isinstance(audience[0], str) else None
    return audience if isinstance(audience, str) else None


def _time_problem(claims: Mapping[str, Any], now: float) -> str:
    times = {name: claims.get(name) for name in ("exp", "iat", "nbf")}
    if times["exp"] is None or not all(value is None or _is_number(value) for value in times.values()):
        return "exp_missing"
    if times["exp"] <= now:
        return "assertion_expired"
    begins = max((value for name, value in times.items() if name != "exp" and value is not None), default=now)
    if begins > now + SKEW_S:
        return "not_yet"
    if times["exp"] > now + MAX_AGE_S + SKEW_S or (times["iat"] is not None and times["iat"] < now - MAX_AGE_S):
        return "too_long"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
