"""Single sign-on by OpenID Connect: where a browser is sent, and whom the provider says came back.

The authorization code flow with PKCE (RFC 7636), bound to one browser by ``state`` and ``nonce``. The ID token's
signature is checked though it comes over TLS, by the provider's published keys and by no algorithm with a shared key.
"""

import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import jwt
from django.conf import settings

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_S, AGE_S, FRESH_S = 60, 600, 60
"""How far clocks may differ; how old an ID token may be; how long ago a fresh sign-in at the provider may be."""
TIMEOUT_S, ANSWER_MAX = 5.0, 1_000_000
"""How long a byte of an answer may be waited for, and the whole of it; how many bytes it may have."""
NONSENSE = (jwt.PyJWTError, TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading raises of what no honest provider sends."""
SUBJECT_MAX = 255


class SignOnError(Exception):
    """What came back proves nothing. ``why``: one word for the log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Provider:
    """One identity provider. ``domains``: whose verified addresses it speaks for; ``strong``: acr or amr values."""

    method: ClassVar = "oidc"
    door: ClassVar = "single-sign-on"

    slug: str
    name: str
    issuer: str
    client_id: str
    secret: str = field(repr=False)
    domains: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()


@dataclass(frozen=True)
class SignedOn:
    """Whom the provider names. ``is_strong``: it says more than a password; ``is_fresh``: that, within the minute."""

    subject: str
    email: str
    is_strong: bool
    is_fresh: bool


def providers() -> dict[str, Provider]:
    """Those of the settings, by slug, in their order."""
    return {slug: Provider(slug=slug, **said) for slug, said in settings.OIDC_PROVIDERS.items()}


def begin(provider: Provider, *, redirect_uri: str, again: bool) -> tuple[str, dict[str, Any]]:
    """The address that a browser is sent to, and what its session keeps: state, nonce, verifier, at (seconds)."""
    kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    challenge = urlsafe_b64encode(sha256(kept["verifier"].encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": "openid email",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"prompt": "login", "max_age": "0"} if again else {}),
    }
    where = _described(provider)["authorization_endpoint"]
    return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}", {**kept, "at": time.time()}


def finish(provider: Provider, *, code: str, kept: Mapping[str, Any], redirect_uri: str) -> SignedOn:
    """Who came back with this code. Raises SignOnError."""
    described = _described(provider)
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": kept["verifier"],
    }
    answer = _asked("POST", described["token_endpoint"], form=asked, auth=_basic(provider))
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise SignOnError("no_token")
    claims = _proven(provider, token, _asked("GET", described["jwks_uri"]))
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), str(kept["nonce"]).encode()):
        raise SignOnError("nonce")
    return _signed_on(provider, claims)


def _described(provider: Provider) -> dict[str, Any]:
    found = _asked("GET", f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != provider.issuer:
        raise SignOnError("issuer")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not _leads_well(found.get(name)):
            raise SignOnError("description")
    return found


def _leads_well(url: Any) -> bool:
    """Whether this is an address that a browser, or the plane with its secret, may be sent to."""
    try:
        parts = urlsplit(url) if _is_plain(url) else None
    except ValueError:
        return False
    return bool(parts and parts.hostname and "@" not in parts.netloc and not parts.fragment)


def _is_plain(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(settings.OIDC_SCHEMES) and url.isascii() and url.isprintable()


def _basic(provider: Provider) -> tuple[str, str]:
    """Both encoded as in a form before they are joined (RFC 6749, 2.3.1)."""
    return quote_plus(provider.client_id), quote_plus(provider.secret)


def _asked(
    method: str, url: str, *, form: dict[str, str] | None = None, auth: tuple[str, str] | None = None
) -> dict[str, Any]:
    """A JSON object from the provider: no redirects, no proxy of the environment, bounded in time and size.

    Read as it comes, never unpacked: a packed answer is small until it is opened.
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    until = time.monotonic() + TIMEOUT_S
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream(method, url, data=form, headers=headers, auth=auth) as response,
        ):
            text = b""
            for part in response.iter_raw():
                text += part
                if len(text) > ANSWER_MAX:
                    raise SignOnError("too_large")
                if time.monotonic() > until:
                    raise SignOnError("unreachable")
            found = json.loads(text)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SignOnError("unreachable") from error
    except NONSENSE as error:
        raise SignOnError("not_json") from error
    if response.status_code != httpx.codes.OK or not isinstance(found, dict):
        raise SignOnError("refused")
    return found


def _proven(provider: Provider, token: str, published: dict[str, Any]) -> dict[str, Any]:
    """What an ID token says, if the provider signed it for us and lately (OpenID Connect Core 3.1.3.7)."""
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise SignOnError("algorithm")
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_key(published, header),
            algorithms=[header["alg"]],
            audience=provider.client_id,
            issuer=provider.issuer,
            leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "exp", "iat", "sub"]},
        )
        is_old = claims["iat"] < time.time() - AGE_S
    except NONSENSE as error:
        raise SignOnError("token") from error
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else provider.client_id) != provider.client_id:
        raise SignOnError("audience")
    if is_old:
        raise SignOnError("old")
    return claims


def _key(published: dict[str, Any], header: dict[str, Any]) -> jwt.PyJWK:
    """The one key of that name, of the token's own algorithm: PyJWT goes by the key's, whatever the token says."""
    named, algorithm = header.get("kid"), header["alg"]
    found = [
        key
        for key in published["keys"]
        if key.get("kid") == named and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
    ]
    if len(found) != 1:
        raise SignOnError("key")
    return jwt.PyJWK(found[0], algorithm=algorithm)


def _signed_on(provider: Provider, claims: dict[str, Any]) -> SignedOn:
    subject, email = claims["sub"], claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX:
        raise SignOnError("subject")
    is_verified = claims.get("email_verified") is True and isinstance(email, str) and email.isascii()
    speaks_for = is_verified and str(email).rpartition("@")[2].lower() in provider.domains
    methods = claims.get("amr")
    said = [*(methods if isinstance(methods, list) else []), claims.get("acr")]
    is_strong = bool({str(one) for one in said} & set(provider.strong))
    when = claims.get("auth_time")
    now = time.time()
    is_fresh = is_strong and isinstance(when, int | float) and now - FRESH_S <= when <= now + FRESH_S
    return SignedOn(subject=subject, email=str(email) if speaks_for else "", is_strong=is_strong, is_fresh=is_fresh)
