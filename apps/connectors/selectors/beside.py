"""What else a system has."""

from uuid import UUID

from apps.agents.rules import EffectClass
from apps.connectors.models import Operation


def writes_beside(connector_id: UUID, operation: Operation | None = None) -> list[tuple[str, str]]:
    """Method and path of everything in a system that does more than read; a retired one may do it all the same."""
    rows = Operation.objects.filter(connector=connector_id).exclude(effect=EffectClass.READ)
    found = list(rows.values_list("method", "path"))
    return [*found, (operation.method, operation.path)] if operation else found
