"""Inside addresses: one person asks for a host of one's own network, another allows it; each address by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager, require_two_by_name
from apps.agents.rules import Environment
from apps.audit.services import record
from apps.connectors.models import Connector
from apps.connectors.rules import origin_of
from apps.connectors.rules.egress import DATABASES, MAIL, WEB
from apps.connectors.selectors import MANAGE
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.gate import require_human, scope_for
from apps.core.models import User


@dataclass(frozen=True, slots=True)
class Names:
    """What of a connector says where an address is, whether inside ones are allowed there, and who asks for it."""

    base_url: str
    allowed: str
    asked_by: str
    left: str

    def host(self, connector: Connector) -> str:
        """Host and port of the address; empty where there is none."""
        return host_of(getattr(connector, self.base_url))


NAMES: Mapping[str, Names] = {
    Environment.LIVE: Names("base_url", "allow_internal", "inside_asked_by", "left_units"),
    Environment.TEST: Names("test_base_url", "test_allow_internal", "test_inside_asked_by", "test_left_units"),
}


def is_new_inside(
    found: Connector | None, base_url: str, *, wanted: bool, environment: str, unit: BusinessUnit | None
) -> bool:
    """Whether an inside address is wanted, and of this very host nobody has allowed it yet where the system stands."""
    names = NAMES[environment]
    if not base_url or not wanted or found is None or not getattr(found, names.allowed):
        return bool(base_url) and wanted
    return names.host(found) != host_of(base_url) or found.unit_id != (unit.pk if unit else None)


def is_asked_still(found: Connector | None, base_url: str, *, environment: str, unit: BusinessUnit | None) -> bool:
    """Whether what somebody asked for waits on: the host is the same, and so is the unit."""
    if found is None or getattr(found, f"{NAMES[environment].asked_by}_id") is None:
        return False
    return NAMES[environment].host(found) == host_of(base_url) and found.unit_id == (unit.pk if unit else None)


def is_asked_only(actor: User, agreed_by: User | None) -> bool:
    """Whether ``actor`` only asks for what another person has to allow. What documents bring counts as reviewed.

    In production so does what a person applies with another by name.
    """
    return actor.is_human and not (settings.IN_PRODUCTION and agreed_by)


def require_two_for_inside(actor: User, connector: Connector, *, second: User | None, environment: str) -> None:
    """In production, ask for two people by name. Raises NotAllowedError at the document's key."""
    names = NAMES[environment]
    rights = [(MANAGE, unit) for unit in units_answering(connector, environment)]
    require_two_by_name(actor, connector, second=second, rights=rights, at=names.allowed)
    _forget_left(connector, environment)


def units_answering(connector: Connector, environment: str) -> list[BusinessUnit | None]:
    """The units whose managers allow an inside address: where the system stands, and where it stood since the last."""
    left = getattr(connector, NAMES[environment].left)
    earlier = BusinessUnit.objects.filter(pk__in=[pk for pk in left if pk]).order_by("slug")
    return [connector.unit, *([None] if "" in left else []), *earlier]


def may_allow_inside(actor: User, connector: Connector, environment: str) -> bool:
    """Whether ``actor`` manages systems wherever an address has to be allowed."""
    scope = scope_for(actor, MANAGE)
    units = units_answering(connector, environment)
    return scope.everywhere or all(unit is not None and unit.pk in scope.units for unit in units)


def note_left(connector: Connector, was: UUID | None) -> None:
    """Keep the unit (None: all share it) that a system has left: whoever allows its addresses answers for both."""
    if was == connector.unit_id:
        return
    lists = {names.left: sorted({*getattr(connector, names.left), str(was or "")}) for names in NAMES.values()}
    Connector.objects.filter(pk=connector.pk).update(**lists)
    for name, units in lists.items():
        setattr(connector, name, units)


def _forget_left(connector: Connector, environment: str) -> None:
    name = NAMES[environment].left
    Connector.objects.filter(pk=connector.pk).update(**{name: []})
    setattr(connector, name, [])


def note_inside(
    actor: User, connector: Connector, *, asks: bool, stays: bool, environment: str = Environment.LIVE
) -> None:
    """Keep who asked, for another person; what was asked before is over, unless it ``stays``."""
    names = NAMES[environment]
    asked_by = actor if asks else None
    if stays or getattr(connector, f"{names.asked_by}_id") == (asked_by.pk if asked_by else None):
        return
    Connector.objects.filter(pk=connector.pk).update(**{names.asked_by: asked_by})
    setattr(connector, names.asked_by, asked_by)
    payload = {"host": names.host(connector), "environment": environment}
    record(actor, connector, "inside_asked" if asks else "inside_refused", payload=payload)


@transaction.atomic
def allow_inside(actor: User, *, connector: Connector, host: str, environment: str = Environment.LIVE) -> Connector:
    """Let an address of a connector be an inside one, as somebody else asked; ``host`` is the one that was seen.

    Takes a manager of where the system stands and of where it stood since it was last allowed. Raises NotAllowedError
    for anybody else and for whoever asked, ConflictError where nobody asks or it leads elsewhere by now.
    """
    require_human(actor)
    names = NAMES[environment]
    row = Connector.objects.select_for_update(no_key=True, of=("self",)).select_related("unit").get(pk=connector.pk)
    require_manager(actor, row.unit, MANAGE)
    if not may_allow_inside(actor, row, environment):
        raise NotAllowedError(_("It stood in another unit: whoever allows it manages systems there as well."))
    asked_by: User | None = getattr(row, names.asked_by)
    if asked_by is None or names.host(row) != host:
        raise ConflictError(_("Nobody asks for this host any more."))
    if asked_by.pk == actor.pk:
        raise NotAllowedError(_("You asked for it: another person has to allow it."))
    Connector.objects.filter(pk=row.pk).update(**{names.allowed: True, names.asked_by: None, names.left: []})
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
    origin = origin_of(base_url, WEB + MAIL + DATABASES)
    return f"{origin.host}:{origin.port}"
