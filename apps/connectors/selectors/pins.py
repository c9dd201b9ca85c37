"""Imported operations: where they come from, and which of them wait for a person."""

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.connectors.models import Connector, OperationPermission, OperationPin
from apps.connectors.rules import ConnectorState, OperationState
from apps.connectors.selectors import all_operations_for
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.models import User

WHY = "operation_quarantined"
QUARANTINED = _("What its system says of this operation changed. It is not run until a person has looked at it.")


def pins_for(actor: User, connector: Connector) -> QuerySet[OperationPin]:
    """The imported operations of a system that ``actor`` may see, retired ones too, by slug."""
    rows = OperationPin.objects.filter(operation__in=all_operations_for(actor).filter(connector=connector))
    return rows.select_related("operation__connector__unit", "confirmed_by").order_by("operation__slug")


def waiting_for(actor: User, connector: Connector) -> QuerySet[OperationPin]:
    """Those of them that wait for a person, changed ones first."""
    rows = pins_for(actor, connector).exclude(waiting="").exclude(operation__state=OperationState.RETIRED)
    return rows.order_by("waiting", "operation__slug")


def pin_for(actor: User, slug: str) -> OperationPin:
    """The pin of an imported operation that ``actor`` may see. Raises NotFoundError, also for one described by hand."""
    rows = OperationPin.objects.filter(operation__in=all_operations_for(actor))
    rows = rows.select_related("operation__connector__unit", "confirmed_by")
    if "\x00" not in slug and (found := rows.filter(operation__slug=slug).first()):
        return found
    raise NotFoundError


def refuse_quarantined(actor: User, operation: str) -> None:
    """Raise NotAllowedError ``operation_quarantined`` if that alone keeps ``actor`` from an operation it may use."""
    if why_gone(actor, operation) == WHY:
        raise NotAllowedError(QUARANTINED, code="operation_quarantined", why=WHY)


def why_gone(actor: User, operation: str) -> str:
    """Why ``actor`` may not use an operation that it could use: ``operation_quarantined``, else ``permission_gone``."""
    held = OperationPermission.objects.filter(
        OperationPermission.live(),
        user=actor.pk,
        content_object__slug=operation,
        content_object__state=OperationState.QUARANTINED,
        content_object__connector__state=ConnectorState.ACTIVE,
    )
    return WHY if "\x00" not in operation and held.exists() else "permission_gone"
