"""From an effect to the call that carries it out. The only place where a secret is in clear; nothing here is stored."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from apps.connectors.adapters import envelope
from apps.connectors.adapters.http import Call
from apps.connectors.models import Connector, ConnectorSecret, Effect, Operation
from apps.connectors.rules import Idempotency, Split, forms_of, origin_of, split_parameters
from apps.connectors.rules.limits import response_bytes_of, timeout_s_of
from apps.core.errors import DomainError, UnavailableError
from apps.core.rules import canonical_json

JSON = [("Content-Type", "application/json")]


class NotConfiguredError(DomainError):
    """The connector lacks what the call needs; nothing was sent."""

    code, status = "not_configured", 409


def call_of(effect: Effect) -> Call:
    """The call of an effect. Raises NotConfiguredError, ValueProblem; neither repeats the secret."""
    call = call_to(effect.operation, effect.connector, effect.action.parameters)
    if effect.operation.idempotency == Idempotency.HEADER:
        return replace(call, headers=[*call.headers, ("Idempotency-Key", effect.idempotency_key)])
    return call


def call_to(operation: Operation, connector: Connector, parameters: Mapping[str, Any]) -> Call:
    """The call of an operation with these parameters. Raises as ``call_of``."""
    try:
        origin = origin_of(connector.base_url)
    except ValueError as problem:
        raise NotConfiguredError(f"The address of {connector.slug} does not fit: {problem}") from problem
    split = split_parameters(operation.method, operation.path, parameters)
    headers, masks = _auth(connector)
    return Call(
        method=operation.method,
        origin=origin,
        target=target_of_call(origin.path, split),
        timeout_s=timeout_s_of(connector.limits, operation.timeout_s),
        most_bytes=response_bytes_of(connector.limits),
        allow_internal=connector.allow_internal,
        headers=headers,
        body=None if split.body is None else canonical_json(split.body),
        masks=masks,
    )


def target_of_call(base: str, split: Split) -> str:
    """Path and query as they go over the wire."""
    query = urlencode(split.query)
    return f"{base}{split.path}{'?' if query else ''}{query}"


def _auth(connector: Connector) -> tuple[list[tuple[str, str]], list[str]]:
    """The headers that carry the secret, and every spelling to mask."""
    kind = connector.auth.get("type", "none")
    if kind == "none":
        return [], []
    secret = _secret(connector)
    if kind == "bearer":
        return [("Authorization", f"Bearer {secret}")], forms_of(secret)
    if kind == "header":
        return [(str(connector.auth["name"]), secret)], forms_of(secret)
    pair = _pair(connector.auth, secret)
    encoded = base64.b64encode(pair.encode()).decode()
    return [("Authorization", f"Basic {encoded}")], [*forms_of(pair), *forms_of(pair.split(":", 1)[1])]


def _pair(auth: dict[str, Any], secret: str) -> str:
    """``user:password``: the user from the connector, else the secret holds both."""
    if username := auth.get("username"):
        return f"{username}:{secret}"
    if ":" not in secret:
        raise NotConfiguredError("Basic authentication needs a user name, or a secret of the form user:password.")
    return secret


def _secret(connector: Connector) -> str:
    found = ConnectorSecret.objects.filter(connector=connector, replaced_at=None).first()
    if found is None:
        raise NotConfiguredError(f"The connector {connector.slug} has no secret.")
    place = envelope.place_of(connector.pk, found.pk, found.version)
    try:
        return envelope.unseal(envelope.master_keys(), bytes(found.sealed), place)
    except UnavailableError as error:
        raise NotConfiguredError(str(error.message)) from error
