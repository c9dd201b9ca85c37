"""Keyset pages for lists on pages: no counts, no offsets, cursors that nobody can forge."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.keysets import behind, plain

SALT = "page"
SIZE = 25


@dataclass(frozen=True, slots=True)
class Page[M]:
    """Some rows; ``next_url`` leads to the following ones, None at the end. ``is_first``: no cursor was given."""

    rows: list[M]
    next_url: str | None
    is_first: bool


def page_of[M](request: HttpRequest, rows: QuerySet[Any, M], *, order: tuple[str, ...], size: int = SIZE) -> Page[M]:
    """One page of ``rows`` in ``order`` (unique as a whole) behind ``?after=``; a foreign cursor is ignored."""
    values = place_of(request, len(order))
    rows = rows.order_by(*order)
    if values is not None:
        rows = rows.filter(behind(order, values))
    return page_from(request, rows[: size + 1], order=order, size=size, is_first=values is None)


def page_from[M](
    request: HttpRequest, rows: Iterable[M], *, order: tuple[str, ...], size: int = SIZE, is_first: bool = True
) -> Page[M]:
    """The page that begins ``rows``, which are in ``order`` and more than ``size`` where something follows."""
    found = list(rows)
    next_url = None
    if len(found) > size:
        last = found[size - 1]
        params = request.GET.copy()
        params["after"] = signing.dumps(
            [plain(getattr(last, name.lstrip("-"))) for name in order], salt=SALT, compress=True
        )
        next_url = f"{request.path}?{params.urlencode()}"
    return Page(found[:size], next_url, is_first=is_first)


def place_of(request: HttpRequest, length: int) -> list[Any] | None:
    """The values behind which the page begins, None at the beginning; a foreign cursor is ignored."""
    cursor = request.GET.get("after", "")
    try:
        values = signing.loads(cursor, salt=SALT) if cursor else None
    except signing.BadSignature:
        return None
    return values if isinstance(values, list) and len(values) == length else None
