"""Links that are only opened, clocks, hostile words."""

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories.oversight import make_payment
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_row_21_a_scanner_that_opens_every_link_decides_nothing(method: str) -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    item = f"/inbox/{payment.item.pk}/"
    asks = ["", "?verdict=approve", "?panel=approve", "?panel=reject", "decision/?verdict=approve&version=1"]
    acts = ["claim/", "release/", "comment/?text=x", "undo/"]
    with only():
        for link in [*asks, *acts]:
            answer = getattr(ada.pages, method)(f"{item}{link}")
            assert answer.status_code == (200 if method == "get" and link in asks[:-1] else 405), link
            getattr(ada.api, method)(f"/api/v1/escalations/{payment.item.pk}/{link}")
    assert payment.now().state == "pending"


@pytest.mark.django_db
def test_row_22_instants_are_utc_in_the_database_and_carry_their_offset_outside() -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    with only():
        detail = ada.get(f"/escalations/{payment.item.pk}/").json()
        page = ada.page(f"/inbox/{payment.item.pk}/")
    for name in ("created_at", "due_at", "expires_at"):
        moment = datetime.fromisoformat(detail[name])
        assert moment.utcoffset() == timedelta(0), name
        assert moment == getattr(payment.item, name)
    with connection.cursor() as cursor:
        cursor.execute("SHOW timezone")
        assert cursor.fetchone()[0] == "UTC"
    assert f'datetime="{payment.item.due_at.isoformat()}" title="{payment.item.due_at:%Y-%m-%d %H:%M:%S} UTC"' in page
    assert re.search(r'data-now="[^"]+\+00:00"', page), "the page counts from the server's now"


@pytest.mark.django_db
def test_row_22_a_deadline_is_computed_and_judged_by_the_database_not_by_whoever_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    monkeypatch.setattr(timezone, "now", lambda: payment.item.expires_at + timedelta(days=1))
    assert ada.decide(payment.item).json()["state"] == "approved"
