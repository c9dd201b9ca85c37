"""Keyset pages: every row once, whatever is equal, and an index that can begin where the last page ended."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Q

from apps.core.keysets import behind
from apps.oversight.models import Escalation
from tests.factories.oversight import make_payment

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize("order", [("due_at", "id"), ("-due_at", "-id"), ("-id",), ("due_at", "-id")])
def test_pages_give_every_row_once_in_order(order: tuple[str, ...]) -> None:
    items = [make_payment().item for _ in range(7)]
    for index, item in enumerate(items):
        Escalation.objects.filter(pk=item.pk).update(due_at=NOW + timedelta(hours=index // 3))
    rows = Escalation.objects.order_by(*order)
    seen: list[Escalation] = []
    while page := list(rows.filter(behind(order, _values(seen[-1], order)) if seen else Q())[:2]):
        seen += page
    assert seen == list(rows)


def _values(row: Escalation, order: tuple[str, ...]) -> list[object]:
    return [getattr(row, name.lstrip("-")) for name in order]


def test_the_index_begins_where_the_last_page_ended() -> None:
    item = make_payment().item
    rows = (
        Escalation.objects.filter(state="pending")
        .order_by("due_at", "id")
        .filter(behind(("due_at", "id"), [NOW, item.pk]))
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = rows.explain()
    assert "Index Cond: (ROW(due_at, id) > " in plan
