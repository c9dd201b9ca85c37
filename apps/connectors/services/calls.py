"""From an effect to the call that carries it out. The only place where a secret is in clear; nothing here is stored."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db.models import Q

from apps.agents.rules import Environment
from apps.connectors.adapters.http import Call
from apps.connectors.models import Connector, ConnectorSecret, Effect, Operation
from apps.connectors.rules import (
    Idempotency,
    Origin,
    Split,
    forms_of,
    is_port_allowed,
    origin_of,
    ports_of,
    split_parameters,
)
from apps.connectors.rules.egress import DATABASES, MAIL, WEB
from apps.connectors.rules.limits import response_bytes_of, timeout_s_of
from apps.connectors.rules.mails import EMAIL
from apps.connectors.rules.places import Place
from apps.connectors.rules.queries import SQL
from apps.core import envelope
from apps.core.errors import DomainError, UnavailableError
from apps.core.models import ClockTimestamp
from apps.core.rules import canonical_json

JSON = [("Content-Type", "application/json")]


class NotConfiguredError(DomainError):
    """The connector lacks what the call needs; nothing was sent."""

    code, status = "not_configured", 409


def schemes_of(adapter: str) -> tuple[str, ...]:
    """What addresses of systems that an adapter speaks to begin with."""
    return {EMAIL: MAIL, SQL: DATABASES}.get(adapter, WEB)


def ports_for(adapter: str) -> str:
    """The ports that an adapter may reach, as the setting spells them."""
    return str(getattr(settings, _setting_of(adapter)))


def _setting_of(adapter: str) -> str:
    return {EMAIL: "ACP_MAIL_PORTS", SQL: "ACP_SQL_PORTS"}.get(adapter, "ACP_EGRESS_PORTS")


def place_for(connector: Connector, environment: str) -> Place:
    """The address of an environment, never another's. Raises NotConfiguredError where the system has none."""
    if (found := connector.place(environment)) is None:
        raise NotConfiguredError(f"The connector {connector.slug} has no test address.")
    return found


def origin_for(connector: Connector, place: Place) -> Origin:
    """Where the connector's calls go. Raises NotConfiguredError."""
    try:
        origin = origin_of(place.base_url, schemes_of(connector.adapter))
    except ValueError as problem:
        raise NotConfiguredError(f"The address of {connector.slug} does not fit: {problem}") from problem
    if not is_port_allowed(origin.port, ports_of(ports_for(connector.adapter))):
        name = _setting_of(connector.adapter)
        raise NotConfiguredError(f"The port {origin.port} of {connector.slug} may not be reached ({name}).")
    return origin


def call_of(effect: Effect) -> Call:
    """The call of an effect. Raises NotConfiguredError, ValueProblem; neither repeats the secret."""
    call = call_to(effect.operation, effect.connector, effect.action.parameters, environment=effect.action.environment)
    if effect.operation.idempotency == Idempotency.HEADER:
        return replace(call, headers=[*call.headers, ("Idempotency-Key", effect.idempotency_key)])
    return call


def call_to(operation: Operation, connector: Connector, parameters: Mapping[str, Any], *, environment: str) -> Call:
    """The call of an operation with these parameters, at the address of an environment. Raises as ``call_of``."""
    split = split_parameters(operation.method, operation.path, parameters)
    call = call_at(connector, environment, timeout_s=operation.timeout_s)
    return replace(
        call,
        method=operation.method,
        target=target_of_call(call.origin.path, split),
        body=None if split.body is None else canonical_json(split.body),
    )


def call_at(connector: Connector, environment: str, *, timeout_s: int) -> Call:
    """A POST of nothing to a system's very address, with what opens it. Raises NotConfiguredError."""
    place = place_for(connector, environment)
    origin = origin_for(connector, place)
    secrets = secrets_of(connector, place)
    return Call(
        method="POST",
        origin=origin,
        target=urlsplit(place.base_url).path or "/",
        timeout_s=timeout_s_of(connector.limits, timeout_s),
        most_bytes=response_bytes_of(connector.limits),
        allow_internal=place.allow_internal,
        auth=_auth(connector, secrets[0]) if secrets else [],
        older=_auth(connector, secrets[1]) if secrets[1:] else [],
        masks=[form for secret in secrets for form in forms_in(connector, secret)],
    )


def target_of_call(base: str, split: Split) -> str:
    """Path and query as they go over the wire."""
    query = urlencode(split.query)
    return f"{base}{split.path}{'?' if query else ''}{query}"


def _auth(connector: Connector, secret: str) -> list[tuple[str, str]]:
    """The headers that carry the secret."""
    kind = connector.auth["type"]
    if kind == "bearer":
        return [("Authorization", f"Bearer {secret}")]
    if kind == "header":
        return [(str(connector.auth["name"]), secret)]
    encoded = base64.b64encode(pair_of(connector.auth, secret).encode()).decode()
    return [("Authorization", f"Basic {encoded}")]


def forms_in(connector: Connector, secret: str) -> list[str]:
    """Every spelling to mask."""
    if connector.auth["type"] != "basic":
        return forms_of(secret)
    pair = pair_of(connector.auth, secret)
    return [*forms_of(pair), *forms_of(pair.split(":", 1)[1])]


def pair_of(auth: dict[str, Any], secret: str) -> str:
    """``user:password``: the user from the connector, else the secret holds both."""
    if username := auth.get("username"):
        return f"{username}:{secret}"
    if ":" not in secret:
        raise NotConfiguredError("Basic authentication needs a user name, or a secret of the form user:password.")
    return secret


def secrets_of(connector: Connector, place: Place) -> list[str]:
    """The place's own secret in use, then the one before it while that stands in; none where none is needed."""
    if connector.auth.get("type", "none") == "none":
        return []
    opens = Q(replaced_at=None) | Q(stands_in_until__gt=ClockTimestamp())
    rows = ConnectorSecret.objects.filter(opens, connector=connector, credential=place.credential)
    found = list(rows.order_by("-version")[:2])
    if not found or found[0].replaced_at is not None:
        said = "no secret" if place.environment == Environment.LIVE else "no secret for its test address"
        raise NotConfiguredError(f"The connector {connector.slug} has {said}.")
    try:
        return [
            envelope.unseal(
                envelope.master_keys(), bytes(row.sealed), envelope.place_of(connector.pk, row.pk, row.version)
            )
            for row in found
        ]
    except UnavailableError as error:
        raise NotConfiguredError(str(error.message)) from error
