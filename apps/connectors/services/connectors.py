"""Commands on systems."""

import re
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.access.services.units import write_if_changed
from apps.agents.rules import Environment
from apps.audit.services import advance, record
from apps.classification.selectors import known_classes
from apps.connectors.adapters.http import probe
from apps.connectors.models import Connector
from apps.connectors.rules import CallEnd, ConnectorState, is_port_allowed, origin_of, ports_of
from apps.connectors.rules.egress import DATABASES, MAIL, WEB, never_reached
from apps.connectors.rules.health import Purpose
from apps.connectors.rules.limits import limit_problems
from apps.connectors.rules.mails import EMAIL, system_mail_errors
from apps.connectors.rules.places import CREDENTIALS, reaches
from apps.connectors.rules.queries import SQL, system_query_errors
from apps.connectors.rules.tools import MCP
from apps.connectors.selectors import MANAGE
from apps.connectors.services.calls import place_for, ports_for, schemes_of
from apps.connectors.services.inside import (
    is_asked_only,
    is_asked_still,
    is_new_inside,
    note_inside,
    note_left,
    require_two_for_inside,
)
from apps.connectors.services.noting import note_call
from apps.connectors.services.secrets import destroy_secrets
from apps.core.errors import ConflictError, InvalidError, UnavailableError
from apps.core.models import User

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
FORBIDDEN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "idempotency-key",
        "cookie",
        "mcp-session-id",
        "mcp-protocol-version",
    }
)
AUTH_KEYS = {"none": set(), "bearer": set(), "basic": {"username"}, "header": {"name"}}
ADAPTERS = ("http", EMAIL, SQL, MCP)
ANY = WEB + MAIL + DATABASES
PROBE_S = 5
NAME_MAX, ADDRESS_MAX = 120, 500


class ForTests(TypedDict, total=False):
    """Where what is asked with a test key goes, and whether that is inside one's own network."""

    test_base_url: str
    test_allow_internal: bool


class Further(ForTests, total=False):
    """And who agrees, of what a document brings: the person whom its applier named."""

    agreed_by: User | None


@transaction.atomic
def save_connector(
    actor: User, *, slug: str, name: str, base_url: str, adapter: str = "http", allow_internal: bool = False,
    auth: dict[str, Any] | None = None, unit: BusinessUnit | None = None, keep_secret: bool = True,
    limits: dict[str, Any] | None = None, mail: dict[str, Any] | None = None, cleared: Sequence[str] = (),
    **more: Unpack[Further],
) -> tuple[Connector, str]:  # fmt: skip
    """Make or change a system; it and ``created``, ``changed`` or ``unchanged``. A retired one comes back.

    ``cleared``: the classes of data that may be sent to it. ``more``: where what is asked with a test key goes, which
    without an address is nowhere. Where a person allows inside addresses, another person has to agree
    (``allow_inside``), of each address by itself, and anew in another unit: until then they are refused. What documents
    bring counts as agreed with, in production by ``agreed_by``. With ``keep_secret`` False an address's
    secret is dropped when scheme, host or port change: whoever may only write a secret must not be able to have it
    sent elsewhere.
    """
    require_manager(actor, unit, MANAGE)
    test_base_url, test_allow_internal = more.get("test_base_url", ""), more.get("test_allow_internal", False)
    agreed_by = more.get("agreed_by")
    auth = auth or {"type": "none"}
    _check_connector(slug=slug, name=name, base_url=base_url, adapter=adapter, auth=auth, mail=mail)
    _check_more(limits or {}, cleared)
    _check_test_address(test_base_url, base_url, adapter)
    found = Connector.objects.select_for_update(no_key=True, of=("self",)).filter(slug=slug).first()
    if found:
        require_manager(actor, found.unit, MANAGE)
        if adapter != found.adapter and found.operations.exclude(state=ConnectorState.RETIRED).exists():
            raise InvalidError(errors={"adapter": [_("It has operations of another kind: retire them first.")]})
    connector = found or Connector(slug=slug)
    moved = found is not None and _origin(found.base_url) != _origin(base_url)
    test_moved = found is not None and _origin(found.test_base_url) != _origin(test_base_url)
    news = {
        environment: is_new_inside(found, address, wanted=wanted, environment=environment, unit=unit)
        for environment, address, wanted in (
            (Environment.LIVE, base_url, allow_internal), (Environment.TEST, test_base_url, test_allow_internal)
        )
    }  # fmt: skip
    asks, test_asks = (is_new and is_asked_only(actor, agreed_by) for is_new in news.values())
    stays, test_stays = (
        is_asked_still(found, address, environment=environment, unit=unit)
        for environment, address in ((Environment.LIVE, base_url), (Environment.TEST, test_base_url))
    )
    values = {
        "name": name, "base_url": base_url, "adapter": adapter, "auth": auth,
        "allow_internal": allow_internal and not asks, "test_base_url": test_base_url,
        "test_allow_internal": bool(test_base_url) and test_allow_internal and not test_asks,
        "unit": unit, "limits": limits or {}, "mail": mail, "cleared": sorted(set(cleared)),
    }  # fmt: skip
    left = found.unit_id if found else unit.pk if unit else None
    outcome = write_if_changed(actor, connector, is_new=found is None, values=values)
    note_left(connector, left)
    note_inside(actor, connector, asks=asks, stays=stays and not allow_internal)
    stays = test_stays and not test_allow_internal
    note_inside(actor, connector, asks=test_asks, stays=stays, environment=Environment.TEST)
    for environment, is_new in news.items():
        if is_new and not is_asked_only(actor, agreed_by):
            require_two_for_inside(actor, connector, second=agreed_by, environment=environment)
    if moved and not keep_secret:
        destroy_secrets(actor, connector)
    if not test_base_url or (test_moved and not keep_secret):
        destroy_secrets(actor, connector, CREDENTIALS[Environment.TEST])
    if connector.state != ConnectorState.ACTIVE and connector.state == ConnectorState.RETIRED:
        advance(actor, connector, ConnectorState.ACTIVE)
        outcome = "changed"
    return connector, outcome


@transaction.atomic
def make_connector(actor: User, *, slug: str, **values: Any) -> Connector:
    """Make a system as ``save_connector`` does, never over one that is there. Raises ConflictError."""
    connector, outcome = save_connector(actor, slug=slug, **values)
    if outcome != "created":
        raise ConflictError(_("There is one with this short name already."))
    return connector


def _check_more(limits: dict[str, Any], cleared: Sequence[str]) -> None:
    if wrong := limit_problems(limits):
        raise InvalidError(errors={f"limits.{limit}": [problem] for limit, problem in wrong.items()})
    if unknown := sorted(set(cleared) - known_classes()):
        raise InvalidError(errors={"cleared": [_("There is no data class %s.") % ", ".join(unknown)]})


def _check_test_address(test_base_url: str, base_url: str, adapter: str) -> None:
    """A place for tests is another place: a call there is never one at the live address."""
    if not test_base_url:
        return
    problem = _address_problem(test_base_url, adapter)
    if not problem and reaches(origin_of(test_base_url, ANY), origin_of(base_url, ANY)):
        problem = str(_("This leads to the live address: what is only tried would be done."))
    if problem or len(test_base_url) > ADDRESS_MAX:
        raise InvalidError(errors={"test_base_url": [problem or _("At most %d characters.") % ADDRESS_MAX]})


def _origin(base_url: str) -> tuple[str, str, int] | None:
    if not base_url:
        return None
    origin = origin_of(base_url, ANY)
    return origin.scheme, origin.host, origin.port


def _check_connector(
    *, slug: str, name: str, base_url: str, adapter: str, auth: dict[str, Any], mail: dict[str, Any] | None
) -> None:
    errors: dict[str, list[str]] = {}
    if not SLUG.fullmatch(slug):
        errors["slug"] = [_("Small letters, digits, “-” and “_”, at most 63.")]
    if not 1 <= len(name.strip()) <= NAME_MAX:
        errors["name"] = [_("From 1 to %d characters.") % NAME_MAX]
    if adapter not in ADAPTERS:
        errors["adapter"] = [_("One of: %s.") % ", ".join(ADAPTERS)]
    if problem := _address_problem(base_url, adapter):
        errors["base_url"] = [problem]
    if len(base_url) > ADDRESS_MAX:
        errors["base_url"] = [_("At most %d characters.") % ADDRESS_MAX]
    errors |= _auth_errors(auth) | system_mail_errors(mail, adapter=adapter, auth=str(auth.get("type")))
    if "base_url" not in errors:
        path = origin_of(base_url, ANY).path
        errors |= system_query_errors(adapter=adapter, path=path, auth=str(auth.get("type")))
    if errors:
        raise InvalidError(errors=errors)


def _address_problem(base_url: str, adapter: str) -> str:
    ports = ports_for(adapter)
    try:
        origin = origin_of(base_url, schemes_of(adapter))
        is_allowed = is_port_allowed(origin.port, ports_of(ports))
    except ValueError as problem:
        return str(problem)
    if refusal := never_reached(origin.host):
        return str(_("It leads to %s, which is never reached.") % refusal)
    return "" if is_allowed else str(_("This port may not be reached; allowed are %s.") % ports)


def _auth_errors(auth: dict[str, Any]) -> dict[str, list[str]]:
    kind = auth.get("type")
    if kind not in AUTH_KEYS:
        return {"auth.type": [_("One of: %s.") % ", ".join(AUTH_KEYS)]}
    if unknown := sorted(set(auth) - {"type"} - AUTH_KEYS[kind]):
        return {f"auth.{key}": [_("Unknown field.")] for key in unknown}
    name = auth.get("name", "")
    if kind == "header" and not (isinstance(name, str) and HEADER.fullmatch(name)):
        return {"auth.name": [_("The name of a header.")]}
    if kind == "header" and name.lower() in FORBIDDEN_HEADERS:
        return {"auth.name": [_("This header belongs to the plane.")]}
    username = auth.get("username", "")
    if kind == "basic" and not (isinstance(username, str) and ":" not in username and username.isprintable()):
        return {"auth.username": [_("Printable characters without a colon.")]}
    return {}


@transaction.atomic
def change_connector_state(actor: User, *, connector: Connector, to: str, reason: str = "") -> Connector:
    """Use, disable or retire a system; it acts on the next request."""
    require_manager(actor, connector.unit, MANAGE)
    if connector.state == to:
        return connector
    if to not in list(ConnectorState):
        raise InvalidError(errors={"state": [_("One of: %s.") % ", ".join(ConnectorState)]})
    if to != ConnectorState.ACTIVE and not reason.strip() and actor.is_human:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    advance(actor, connector, to, payload={"reason": reason.strip()})
    return connector


def probe_connector(actor: User, *, connector: Connector, environment: str = Environment.LIVE) -> int:
    """Resolve, check and connect (TLS too), sending nothing; the milliseconds it took. Raises UnavailableError.

    Never inside a transaction: it waits for the network, at most five seconds. Raises NotConfiguredError where the
    system has no such address.
    """
    require_manager(actor, connector.unit, MANAGE)
    place = place_for(connector, environment)
    result = probe(
        origin_of(place.base_url, schemes_of(connector.adapter)),
        allow_internal=place.allow_internal,
        timeout_s=PROBE_S,
    )
    reached = result.end == CallEnd.ANSWERED
    with transaction.atomic():
        payload = {"reached": reached, "error": result.error, "duration_ms": result.duration_ms}
        payload["environment"] = environment
        note_call(connector, purpose=Purpose.PROBE, call=result, environment=environment)
        record(actor, connector, "probed", payload=payload)
    if not reached:
        raise UnavailableError(result.error)
    return result.duration_ms
