"""Who looks at an item: told to the others, kept nowhere."""

import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client
from uuid_utils.compat import uuid7

from apps.access.models import RoleGrant
from apps.core import presence
from apps.core.models import ClockTimestamp, User
from tests.factories.oversight import Payment, make_payment, nothing_happens

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true"}


def beat(person: User, payment: Payment, known: str = "") -> Any:
    client = Client()
    client.force_login(person)
    return client.post(f"/inbox/{payment.item.pk}/presence/", {"known": known}, headers=FRAGMENT)


def test_others_see_who_looks_and_nobody_sees_themselves() -> None:
    payment = make_payment()
    with nothing_happens():
        assert beat(payment.ada, payment).status_code == 204
        seen = beat(payment.ben, payment)
    assert f"{payment.ada}</span>" in " ".join(seen.content.decode().split()).replace(" is viewing", "")
    assert "is viewing" in seen.content.decode()
    assert beat(payment.ben, payment, str(payment.ada)).status_code == 204
    third = payment.approver(name="Cleo Third")
    assert "are viewing" in beat(third, payment).content.decode()


def test_who_is_silent_for_forty_seconds_looks_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = make_payment()
    beat(payment.ada, payment)
    later = time.time() + 41
    monkeypatch.setattr(presence.time, "time", lambda: later)
    gone = beat(payment.ben, payment, str(payment.ada))
    assert gone.status_code == 200
    assert "viewing" not in gone.content.decode()


def test_a_page_left_open_by_who_lost_the_right_asks_no_more() -> None:
    payment = make_payment()
    assert beat(payment.ada, payment).status_code == 204
    RoleGrant.objects.filter(user=payment.ada).update(revoked_at=ClockTimestamp())
    answer = beat(payment.ada, payment)
    assert (answer.status_code, answer["HX-Reswap"], answer.content) == (200, "delete", b"")
    client = Client()
    client.force_login(payment.ada)
    assert client.post(f"/inbox/{payment.item.pk}/presence/").status_code == 404


def test_it_is_forgotten_by_itself() -> None:
    payment = make_payment()
    beat(payment.ada, payment)
    client = redis.Redis.from_url(settings.REDIS_URL)
    assert 0 < client.ttl(f"acp:presence:item:{payment.item.pk}") <= 55
    client.close()


def test_without_a_broker_nobody_is_known_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = make_payment()
    monkeypatch.setattr(presence, "_client", lambda: redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1))
    assert beat(payment.ben, payment).status_code == 204


def test_an_item_of_another_unit_is_not_there() -> None:
    payment, other = make_payment(), make_payment()
    client = Client()
    client.force_login(other.ada)
    assert client.post(f"/inbox/{payment.item.pk}/presence/").status_code == 404
    found, nothing = (client.post(f"/inbox/{key}/presence/", headers=FRAGMENT) for key in (payment.item.pk, uuid7()))
    assert (found.status_code, found.content) == (nothing.status_code, nothing.content) == (200, b"")
    assert found["HX-Reswap"] == nothing["HX-Reswap"] == "delete"
    assert not redis.Redis.from_url(settings.REDIS_URL).exists(f"acp:presence:item:{payment.item.pk}")
    client.force_login(payment.ada)
    assert client.get(f"/inbox/{payment.item.pk}/presence/").status_code == 405


def test_only_open_items_ask_who_looks() -> None:
    payment = make_payment()
    client = Client()
    client.force_login(payment.ada)
    assert 'hx-trigger="load, acp:here from:body"' in client.get(f"/inbox/{payment.item.pk}/").content.decode()
