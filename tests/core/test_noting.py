"""What strangers can repeat as they like is written down seldom, however many they say that they are."""

import pytest
from django.core.cache import cache
from django.db import connection

from apps.core import noting

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(noting, "time", lambda: 1_800_000_000.0)


def asked(who: str) -> bool:
    return noting.is_worth_a_line("try", who, every_s=60, at_most=3)


def kept() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_cache")
        (found,) = cursor.fetchone()
    return int(found)


def test_the_same_one_once_and_all_together_so_often() -> None:
    assert [asked(who) for who in ("a", "a", "b", "c", "d", "e")] == [True, False, True, True, False, False]


def test_many_names_fill_no_cache() -> None:
    assert sum(asked(f"host-{number}") for number in range(50)) == 3
    assert kept() == 4, "three of them, and their sum"


def test_a_sum_that_the_cache_dropped_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("a")
    monkeypatch.setattr(cache, "add", lambda key, value, seconds: key.startswith("try:"))
    cache.delete("trys:30000000")
    assert asked("b")
    assert cache.get("trys:30000000") == 1
