"""Inside addresses: one person asks for a host of one's own network, another person allows it."""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.audit.services import record
from apps.connectors.models import Connector
from apps.connectors.rules import origin_of
from apps.connectors.rules.egress import MAIL, WEB
from apps.connectors.selectors import MANAGE
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import User


def asks_for_inside(actor: User, found: Connector | None, base_url: str, *, wanted: bool) -> bool:
    """Whether ``actor`` asks for what another person has to allow: of this very host nobody has allowed it yet.

    What documents bring counts as reviewed.
    """
    is_allowed = found is not None and found.allow_internal and host_of(found.base_url) == host_of(base_url)
    return wanted and actor.is_human and not is_allowed


def note_inside(actor: User, connector: Connector, *, asks: bool) -> None:
    """Keep who asked, for another person; what was asked before is over."""
    asked_by = actor if asks else None
    if connector.inside_asked_by_id == (asked_by.pk if asked_by else None):
        return
    Connector.objects.filter(pk=connector.pk).update(inside_asked_by=asked_by)
    connector.inside_asked_by = asked_by
    if asks:
        record(actor, connector, "inside_asked", payload={"host": host_of(connector.base_url)})


@transaction.atomic
def allow_inside(actor: User, *, connector: Connector, host: str) -> Connector:
    """Let a connector reach inside addresses, as somebody else asked; ``host`` is the one that was seen.

    Raises NotAllowedError for whoever asked, ConflictError where nobody asks or it leads elsewhere by now.
    """
    require_human(actor)
    require_manager(actor, connector.unit, MANAGE)
    row = Connector.objects.select_for_update(of=("self",)).get(pk=connector.pk)
    if row.inside_asked_by_id is None or host_of(row.base_url) != host:
        raise ConflictError(_("Nobody asks for this host any more."))
    if row.inside_asked_by_id == actor.pk:
        raise NotAllowedError(_("You asked for it: another person has to allow it."))
    asked_by = row.inside_asked_by
    Connector.objects.filter(pk=row.pk).update(allow_internal=True, inside_asked_by=None)
    row.refresh_from_db()
    record(actor, row, "inside_allowed", payload={"host": host, "asked_by": asked_by.username if asked_by else ""})
    return row


@transaction.atomic
def refuse_inside(actor: User, *, connector: Connector) -> Connector:
    """Say no to it, or withdraw it. Raises ConflictError where nobody asks."""
    require_human(actor)
    require_manager(actor, connector.unit, MANAGE)
    if Connector.objects.filter(pk=connector.pk, inside_asked_by__isnull=False).update(inside_asked_by=None) != 1:
        raise ConflictError(_("Nobody asks for this host any more."))
    record(actor, connector, "inside_refused", payload={"host": host_of(connector.base_url)})
    connector.refresh_from_db()
    return connector


def host_of(base_url: str) -> str:
    """Host and port: what is allowed is this and nothing else."""
    origin = origin_of(base_url, WEB + MAIL)
    return f"{origin.host}:{origin.port}"
