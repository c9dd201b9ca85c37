"""How long a request waits for a connection: for one that others use, a while; for a database that is away, hardly."""

from typing import Any, Self

from psycopg import Connection
from psycopg_pool import ConnectionPool

BUSY_S, AWAY_S = 10.0, 1.0
_away: set[ConnectionPool[Any]] = set()


def hurry(pool: ConnectionPool[Any]) -> None:
    """The database could not be reached: who asks from now on tries anew, and is told soon that it is away."""
    pool.timeout = AWAY_S
    _away.add(pool)


class Answering(Connection[Any]):
    """A connection. There is one, so the database answers: who asks waits as ever."""

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """Connect. Raises OperationalError."""
        made = super().connect(*args, **kwargs)
        for pool in tuple(_away):
            pool.timeout = BUSY_S
            _away.discard(pool)
        return made


POOL: dict[str, Any] = {
    "connection_class": Answering,
    "min_size": 0,
    "max_size": 20,
    "timeout": BUSY_S,
    "reconnect_timeout": 0.001,  # nobody tries on unasked: the next request does, the moment that the database is back
    "reconnect_failed": hurry,
}
