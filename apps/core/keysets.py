"""Keyset pages, for lists on pages and over the API: what stands behind a row, and what of it a cursor keeps."""

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan


def behind(order: tuple[str, ...], values: list[Any]) -> Q:
    """The rows behind the one with these values, in this order."""
    names = [name.lstrip("-") for name in order]
    if len({name.startswith("-") for name in order}) == 1:  # one comparison of rows, at which an index can begin
        beyond = TupleLessThan if order[0].startswith("-") else TupleGreaterThan
        return Q(beyond(Tuple(*names), values))
    condition = Q(pk__in=[])
    for index, name in enumerate(order):
        same = Q(**dict(zip(names[:index], values, strict=False)))
        condition |= same & Q(**{f"{names[index]}__{'lt' if name.startswith('-') else 'gt'}": values[index]})
    return condition


def plain(value: Any) -> Any:
    """``value`` as a cursor carries it."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value) if isinstance(value, UUID) else value
