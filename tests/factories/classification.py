"""Classes of data."""

from itertools import count
from typing import Any

from apps.classification.models import DataClass
from apps.connectors.models import Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.services import save_operation
from apps.core.services import system_user

_n = count(1)


def make_data_class(**fields: Any) -> DataClass:
    """A class that nobody may see, hidden everywhere, kept without end."""
    number = next(_n)
    return DataClass.objects.create(
        **{
            "slug": f"class{number}",
            "name": f"Class {number}",
            "sensitivity": "confidential",
            "visible_to": [],
            "redact_in": ["inbox", "notification", "trace", "export"],
            **fields,
        }
    )


def classify(operation: Operation, *, cleared: bool = True, **slugs: str) -> Operation:
    """Let parameters of ``operation`` carry classes, ``iban="bank"``, and clear its system for them."""
    properties = dict(operation.parameters["properties"])
    for name, slug in slugs.items():
        properties[name] = {**properties[name], "x-data-class": slug}
    if cleared:
        operation.connector.cleared = sorted({*operation.connector.cleared, *slugs.values()})
        operation.connector.save(update_fields=["cleared"])
    spec = {name: getattr(operation, name) for name in OperationSpec.__dataclass_fields__}
    spec["parameters"] = {**operation.parameters, "properties": properties}
    return save_operation(
        system_user("console"), slug=operation.slug, connector=operation.connector, spec=OperationSpec(**spec)
    )[0]
