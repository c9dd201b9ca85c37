"""Inside addresses: one person asks for a host of one's own network, another allows it; each address by itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.rules import Environment
from apps.audit.services import record
from apps.connectors.models import Connector
from apps.connectors.rules import origin_of
from apps.connectors.rules.egress import MAIL, WEB
from apps.connectors.selectors import MANAGE
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import User


@dataclass(frozen=True, slots=True)
class Names:
    """What of a connector says where an address is, whether inside ones are allowed there, and who asks for it."""

    base_url: str
    allowed: str
    asked_by: str

    def host(self, connector: Connector) -> str:
        """Host and port of the address; empty where there is none."""
        return host_of(getattr(connector, self.base_url))


NAMES: Mapping[str, Names] = {
    Environment.LIVE: Names("base_url", "allow_internal", "inside_asked_by"),
    Environment.TEST: Names("test_base_url", "test_allow_internal", "test_inside_asked_by"),
}


def asks_for_inside(
    actor: User, found: Connector | None, base_url: str, *, wanted: bool, environment: str = Environment.LIVE
) -> bool:
    """Whether ``actor`` asks for what another person has to allow: of this very host nobody has allowed it yet.

    What documents bring counts as reviewed.
    """
    names = NAMES[environment]
    is_allowed = found is not None and getattr(found, names.allowed) and names.host(found) == host_of(base_url)
    return bool(base_url) and wanted and actor.is_human and not is_allowed


def note_inside(actor: User, connector: Connector, *, asks: bool, environment: str = Environment.LIVE) -> None:
    """Keep who asked, for another person; what was asked before is over."""
    names = NAMES[environment]
    asked_by = actor if asks else None
    if getattr(connector, f"{names.asked_by}_id") == (asked_by.pk if asked_by else None):
        return
    Connector.objects.filter(pk=connector.pk).update(**{names.asked_by: asked_by})
    setattr(connector, names.asked_by, asked_by)
    if asks:
        payload = {"host": names.host(connector), "environment": environment}
        record(actor, connector, "inside_asked", payload=payload)


@transaction.atomic
def allow_inside(actor: User, *, connector: Connector, host: str, environment: str = Environment.LIVE) -> Connector:
    """Let an address of a connector be an inside one, as somebody else asked; ``host`` is the one that was seen.

    Raises NotAllowedError for whoever asked, ConflictError where nobody asks or it leads elsewhere by now.
    """
    require_human(actor)
    require_manager(actor, connector.unit, MANAGE)
    names = NAMES[environment]
    row = Connector.objects.select_for_update(of=("self",)).get(pk=connector.pk)
    asked_by: User | None = getattr(row, names.asked_by)
    if asked_by is None or names.host(row) != host:
        raise ConflictError(_("Nobody asks for this host any more."))
    if asked_by.pk == actor.pk:
        raise NotAllowedError(_("You asked for it: another person has to allow it."))
    Connector.objects.filter(pk=row.pk).update(**{names.allowed: True, names.asked_by: None})
    row.refresh_from_db()
    payload = {"host": host, "asked_by": asked_by.username, "environment": environment}
    record(actor, row, "inside_allowed", payload=payload)
    return row


@transaction.atomic
def refuse_inside(actor: User, *, connector: Connector, environment: str = Environment.LIVE) -> Connector:
    """Say no to it, or withdraw it. Raises ConflictError where nobody asks."""
    require_human(actor)
    require_manager(actor, connector.unit, MANAGE)
    names = NAMES[environment]
    asking = Connector.objects.filter(pk=connector.pk, **{f"{names.asked_by}__isnull": False})
    if asking.update(**{names.asked_by: None}) != 1:
        raise ConflictError(_("Nobody asks for this host any more."))
    payload = {"host": names.host(connector), "environment": environment}
    record(actor, connector, "inside_refused", payload=payload)
    connector.refresh_from_db()
    return connector


def host_of(base_url: str) -> str:
    """Host and port: what is allowed is this and nothing else. Empty where there is no address."""
    if not base_url:
        return ""
    origin = origin_of(base_url, WEB + MAIL)
    return f"{origin.host}:{origin.port}"
