"""What rules may know of an operation."""

from collections.abc import Collection
from typing import Any

from apps.connectors.models import Operation


def operation_facts(slug: str) -> dict[str, Any]:
    """What rules may know of an operation whatever is asked of it, and whether it ``has_amount``; empty: not there."""
    found = Operation.objects.select_related("connector").filter(slug=slug).first()
    if found is None:
        return {}
    return {
        "effect": found.effect,
        "connector": found.connector.slug,
        "is_compensable": found.compensation is not None,
        "has_amount": bool(found.amount),
    }


def amount_paths(slug: str) -> list[str]:
    """The parameters of an operation that are its amount and the amount's currency; empty: none, or not there."""
    found = Operation.objects.filter(slug=slug).values_list("amount", flat=True).first() or {}
    return [str(path) for key in ("path", "currency_path") if (path := found.get(key))]


def effects_of(slugs: Collection[str]) -> set[str]:
    """The effects of operations, as far as they are there."""
    return set(Operation.objects.filter(slug__in=slugs).values_list("effect", flat=True))
