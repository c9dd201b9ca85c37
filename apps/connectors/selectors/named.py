"""What rules may name of connectors and operations."""

from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.connectors.models import Connector, Operation
from apps.connectors.rules import ConnectorState
from apps.connectors.selectors import connectors_for
from apps.core.models import User


def systems_named_for(actor: User, near: set[UUID] | None) -> dict[str, Any]:
    """The systems of some units (None: all), of no unit, and those that ``actor`` sees.

    ``connectors``: slugs; ``operations``: their parameter schemas by slug; ``homes``: their connectors; ``amounts``:
    the paths of their amounts; and the slugs of what is retired, or belongs to what is
    (``settings.POLICY_OPERATIONS``).
    """
    rows = Connector.objects.all()
    if near is not None:
        rows = rows.filter(Q(unit=None) | Q(unit__in=near) | Q(pk__in=connectors_for(actor).values("pk")))
    ended = {slug: state == ConnectorState.RETIRED for slug, state in rows.values_list("slug", "state")}
    found = list(
        Operation.objects.filter(connector__in=rows).values_list(
            "slug", "connector__slug", "parameters", "state", "amount"
        )
    )
    gone = {slug for slug, home, _, state, _ in found if state == ConnectorState.RETIRED or ended.get(home, True)}
    return {
        "connectors": {slug for slug, is_over in ended.items() if not is_over},
        "operations": {slug: parameters for slug, _, parameters, _, _ in found if slug not in gone},
        "homes": {slug: home for slug, home, *_ in found},
        "amounts": {slug: _paths_of(amount) for slug, *_, amount in found},
        "retired_connectors": {slug for slug, is_over in ended.items() if is_over},
        "retired_operations": gone,
    }


def _paths_of(amount: dict[str, Any] | None) -> list[str]:
    return [str(path) for key in ("path", "currency_path") if (path := (amount or {}).get(key))]
