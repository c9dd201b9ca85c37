"""Breakers with real threads and commits: however many look at once, one halt comes of it."""

import pytest

from apps.halts.models import Halt, Trip
from apps.workflows.services.breakers import check_breakers
from tests.together import at_once
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.usefixtures("real_db")


def test_a_breaker_opens_once():
    desk = make_desk()
    for _ in range(30):
        desk.ask(20_000_000)
    opened = at_once(*([check_breakers] * 8))
    assert sorted(opened) == [0] * 7 + [1]
    assert (Halt.objects.count(), Trip.objects.count()) == (1, 1)
