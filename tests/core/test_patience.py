"""Who asks while the database is away is told soon, and is served the moment that it is back."""

import time

import pytest
from django.conf import settings
from psycopg_pool import ConnectionPool, PoolTimeout

from controlplane.patience import AWAY_S, BUSY_S, POOL


def test_it_is_what_the_plane_uses() -> None:
    assert settings.DATABASES["default"]["OPTIONS"]["pool"] is POOL


def test_away_it_keeps_nobody_waiting_and_back_it_serves_at_once() -> None:
    places = ["host=127.0.0.1 port=1 dbname=x"]
    with ConnectionPool(lambda: places[-1], open=True, **POOL) as pool:
        assert pool.timeout == BUSY_S
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0.5)
        began = time.monotonic()
        with pytest.raises(PoolTimeout):
            pool.getconn()
        assert time.monotonic() - began < BUSY_S, "it waits for the shorter time"
        places.append(settings.DATABASE_OWNER_URL)
        assert pool.timeout == AWAY_S
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert pool.timeout == BUSY_S
