"""What of the settings is read from the environment: addresses, hosts, networks; each refused with its name."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from django.core.exceptions import ImproperlyConfigured

from apps.core.rules import read_networks
from controlplane.patience import POOL

UNASKED = 1_000_000_000
"""Runs of a statement on one connection before the driver prepares it unasked: never. ``planned_once`` asks."""


def database(url: str, *, stays: bool) -> dict[str, Any]:
    """Django's dictionary for a ``postgresql://`` URL; a socket folder comes as ``?host=``.

    ``stays``: of a process that serves on, which keeps a pool. What requests repeat is planned once per connection;
    ``?prepared=no`` for a pooler that cannot keep that apart.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must begin with postgresql://.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    prepared = options.pop("prepared", "yes")
    if prepared not in {"yes", "no"}:
        raise ImproperlyConfigured("In DATABASE_URL, prepared is yes or no.")
    options |= {"server_side_binding": prepared == "yes", "prepare_threshold": UNASKED if prepared == "yes" else None}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(options.pop("port", None) or parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {**options, **({"pool": POOL} if stays else {})},
    }


SMTP_PORTS = {"smtp": 587, "smtps": 465}


def mail(url: str) -> dict[str, Any]:
    """Where mail leaves: ``smtp://user:password@host:587/?from=plane@example.com``; an empty host sends none.

    ``smtp`` goes on in TLS (STARTTLS) unless ``&tls=off``; ``smtps`` speaks TLS from the first byte.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if url and (parts.scheme not in SMTP_PORTS or not parts.hostname or not options.get("from")):
        raise ImproperlyConfigured("EMAIL_URL looks like smtp://user:password@host:587/?from=plane@example.com.")
    return {
        "host": unquote(parts.hostname or ""),
        "port": parts.port or SMTP_PORTS.get(parts.scheme, 0),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_ssl": parts.scheme == "smtps",
        "use_tls": parts.scheme == "smtp" and options.get("tls") != "off",
        "sender": options.get("from", ""),
    }


PUSH_HOST = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+")


def push_hosts(text: str) -> tuple[str, ...]:
    """The push services that may be called; ``off``: none, and no browser is told anything."""
    found = tuple(host.strip() for host in text.split(",")) if text != "off" else ()
    if odd := [host for host in found if not PUSH_HOST.fullmatch(host)]:
        raise ImproperlyConfigured(
            f"In ACP_PUSH_HOSTS, {odd[0]!r} is no host such as push.example.com or *.example.com."
        )
    return found


def networks(name: str) -> tuple[str, ...]:
    """Networks from the environment, separated by commas."""
    found, odd = read_networks(text for text in os.environ.get(name, "").split(",") if text.strip())
    if odd:
        raise ImproperlyConfigured(f"In {name}, {odd[0]!r} is no network such as 10.0.0.0/8 or 2001:db8::/32.")
    return tuple(found)


PROVIDER = re.compile(r"[a-z][a-z0-9]*")
SHORTEST_KEY = 2048


def identity_providers(said: Mapping[str, str], schemes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """``ACP_OIDC=okta`` and what ``ACP_OIDC_OKTA_...`` says of it, by slug.

    ISSUER, CLIENT_ID, CLIENT_SECRET (or _FILE), NAME, DOMAINS (whose verified addresses it speaks for) and STRONG (acr
    or amr values).
    """
    found = {}
    for slug in _slugs("ACP_OIDC", said):
        about = f"ACP_OIDC_{slug.upper()}_"
        file = said.get(f"{about}CLIENT_SECRET_FILE")
        one = {
            "name": said.get(f"{about}NAME") or slug.capitalize(),
            "issuer": said.get(f"{about}ISSUER", ""),
            "client_id": said.get(f"{about}CLIENT_ID", ""),
            "secret": Path(file).read_text().strip() if file else said.get(f"{about}CLIENT_SECRET", ""),
            "domains": _listed(said.get(f"{about}DOMAINS", "").lower()),
            "strong": _listed(said.get(f"{about}STRONG", "")),
        }
        if not (one["issuer"] and one["client_id"] and one["secret"]):
            raise ImproperlyConfigured(f"Set {about}ISSUER, {about}CLIENT_ID and {about}CLIENT_SECRET.")
        if not str(one["issuer"]).startswith(schemes):
            raise ImproperlyConfigured(f"{about}ISSUER begins with https://.")
        found[slug] = one
    return found


def saml_providers(
    said: Mapping[str, str], schemes: tuple[str, ...], others: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """``ACP_SAML=corp`` and what ``ACP_SAML_CORP_...`` says of it, by slug.

    ISSUER (its entity id), URL (where browsers are sent), CERTIFICATE_FILE (PEM, one or several), NAME, EMAIL (an
    attribute), DOMAINS and STRONG (classes of authentication contexts). ``others``: the providers of ``ACP_OIDC``; who
    somebody is at an issuer is one list, so the two share none.
    """
    found: dict[str, dict[str, Any]] = {}
    for slug in _slugs("ACP_SAML", said):
        about = f"ACP_SAML_{slug.upper()}_"
        file = said.get(f"{about}CERTIFICATE_FILE", "")
        one = {
            "name": said.get(f"{about}NAME") or slug.capitalize(),
            "issuer": said.get(f"{about}ISSUER", ""),
            "url": said.get(f"{about}URL", ""),
            "certificates": _certificates(f"{about}CERTIFICATE_FILE", Path(file)) if file else (),
            "email": said.get(f"{about}EMAIL", ""),
            "domains": _listed(said.get(f"{about}DOMAINS", "").lower()),
            "strong": _listed(said.get(f"{about}STRONG", "")),
        }
        if not (one["issuer"] and one["url"] and one["certificates"]):
            raise ImproperlyConfigured(f"Set {about}ISSUER, {about}URL and {about}CERTIFICATE_FILE.")
        if not str(one["url"]).startswith(schemes):
            raise ImproperlyConfigured(f"{about}URL begins with https://.")
        if one["issuer"] in {each["issuer"] for each in (*others.values(), *found.values())}:
            raise ImproperlyConfigured(f"{about}ISSUER is another provider's already.")
        found[slug] = one
    return found


def _certificates(name: str, file: Path) -> tuple[str, ...]:
    """Certificates as PEM, with RSA keys that are long enough or on curves; whose they are is whoever set them's."""
    try:
        found = load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        raise ImproperlyConfigured(f"What {name} names holds no certificates in PEM.") from error
    for each in found:
        key = each.public_key()
        if not isinstance(key, EllipticCurvePublicKey | RSAPublicKey) or (
            isinstance(key, RSAPublicKey) and key.key_size < SHORTEST_KEY
        ):
            raise ImproperlyConfigured(
                f"What {name} names has a key that is neither RSA of {SHORTEST_KEY} bits nor EC."
            )
    return tuple(each.public_bytes(Encoding.PEM).decode() for each in found)


def _slugs(name: str, said: Mapping[str, str]) -> list[str]:
    found = list(_listed(said.get(name, "")))
    if odd := [slug for slug in found if not PROVIDER.fullmatch(slug)]:
        raise ImproperlyConfigured(f"In {name}, {odd[0]!r} is not of small letters and digits.")
    return found


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


DEMANDS = ("offered", "deciders", "everybody")


def second_factor(said: Mapping[str, str], default: str) -> str:
    """Of whom a second factor is demanded: nobody, whoever may do more than look and stop, or everybody."""
    found = said.get("ACP_SECOND_FACTOR") or default
    if found not in DEMANDS:
        raise ImproperlyConfigured(f"ACP_SECOND_FACTOR is one of {', '.join(DEMANDS)}.")
    return found


def password_words(said: Mapping[str, str]) -> tuple[str, ...]:
    """Words of which no password is mainly made: the plane's own, and those of ``ACP_PASSWORD_WORDS``."""
    return ("autonomy", "control", "plane", *_listed(said.get("ACP_PASSWORD_WORDS", "")))


SHORTEST_TOKEN = 32


def token(name: str, said: Mapping[str, str]) -> str:
    """A token from ``name``, or from the file that ``<name>_FILE`` names; "" where there is none."""
    file = said.get(f"{name}_FILE")
    found = Path(file).read_text().strip() if file else said.get(name, "")
    if found and (len(found) < SHORTEST_TOKEN or not found.isascii() or len(found.split()) != 1):
        raise ImproperlyConfigured(f"{name} is one word of at least {SHORTEST_TOKEN} characters.")
    return found


TRACE_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACE_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def sends_traces(said: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's own variables ask for the plane's traces: an endpoint does, unless others say no."""
    if not any(said.get(name) for name in TRACE_ENDPOINTS) or said.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if said.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    protocol = next((said[name] for name in TRACE_PROTOCOLS if said.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise ImproperlyConfigured("Traces are sent by OTLP over HTTP: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf.")
    return True
