"""Systems of record, operations, permissions."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from django.contrib.auth.models import Permission

from apps.connectors.models import Connector, Operation, OperationPermission
from apps.core.models import User
from apps.core.services import system_user

_n = count(1)

PAYMENT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["amount_minor", "currency", "iban"],
    "properties": {
        "amount_minor": {"type": "integer", "minimum": 1},
        "currency": {"type": "string"},
        "iban": {"type": "string"},
        "note": {"type": "string"},
    },
}


def make_connector(**fields: Any) -> Connector:
    """An active system of no unit, without a secret."""
    number = next(_n)
    return Connector.objects.create(
        **{
            "slug": f"system{number}",
            "name": f"System {number}",
            "base_url": "http://127.0.0.1:1029",
            "allow_internal": True,
            "auth": {"type": "none"},
            **fields,
        }
    )


def make_operation(**fields: Any) -> Operation:
    """An active, irreversible payment that is safe to repeat under its key."""
    number = next(_n)
    connector = fields.pop("connector", None) or make_connector()
    return Operation.objects.create(
        **{
            "slug": f"{connector.slug}.pay{number}",
            "connector": connector,
            "name": "Pay an invoice",
            "method": "POST",
            "path": "/payments",
            "effect": "irreversible",
            "parameters": PAYMENT,
            "amount": {"path": "amount_minor", "currency_path": "currency"},
            "target": "iban",
            "consequence": "Will pay {amount} to {iban}.",
            "idempotency": "header",
            "timeout_s": 5,
            **fields,
        }
    )


def permit(holder: User, operation: Operation, fields: Sequence[str] | None = None, **more: Any) -> OperationPermission:
    """Let ``holder`` use ``operation``, without asking anybody."""
    return OperationPermission.objects.create(
        user=holder,
        content_object=operation,
        permission=Permission.objects.get(content_type__app_label="connectors", codename="use_operation"),
        fields=None if fields is None else list(fields),
        granted_by=system_user("console"),
        **more,
    )
