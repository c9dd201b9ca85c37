"""Keyset pages for lists on pages: no counts, no offsets, cursors that nobody can forge."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

SALT = "page"
SIZE = 25


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """Some rows; ``next_url`` leads to the following ones, None at the end. ``is_first``: no cursor was given."""

    rows: list[M]
    next_url: str | None
    is_first: bool


def page_of[M: Model](request: HttpRequest, rows: QuerySet[M], *, order: tuple[str, ...], size: int = SIZE) -> Page[M]:
    """One page of ``rows`` in ``order`` (unique as a whole) behind ``?after=``; a foreign cursor is ignored."""
    values = _opened(request.GET.get("after", ""), len(order))
    rows = rows.order_by(*order)
    if values is not None:
        rows = rows.filter(behind(order, values))
    found = list(rows[: size + 1])
    next_url = None
    if len(found) > size:
        last = found[size - 1]
        params = request.GET.copy()
        params["after"] = signing.dumps(
            [_plain(getattr(last, name.lstrip("-"))) for name in order], salt=SALT, compress=True
        )
        next_url = f"{request.path}?{params.urlencode()}"
    return Page(found[:size], next_url, is_first=values is None)


def behind(order: tuple[str, ...], values: list[Any]) -> Q:
    """The rows behind the one with these values, in this order."""
    condition = Q(pk__in=[])
    for index, name in enumerate(order):
        same = Q(**{field.lstrip("-"): value for field, value in zip(order[:index], values, strict=False)})
        beyond = Q(**{f"{name.lstrip('-')}__{'lt' if name.startswith('-') else 'gt'}": values[index]})
        condition |= same & beyond
    first, onwards = order[0].lstrip("-"), "lte" if order[0].startswith("-") else "gte"
    # said apart, because an index can begin there: out of the alternatives above it cannot know where
    return Q(**{f"{first}__{onwards}": values[0]}) & condition


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value) if isinstance(value, UUID) else value


def _opened(cursor: str, length: int) -> list[Any] | None:
    try:
        values = signing.loads(cursor, salt=SALT) if cursor else None
    except signing.BadSignature:
        return None
    return values if isinstance(values, list) and len(values) == length else None
