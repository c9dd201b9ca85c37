"""Who looks at what right now: in the broker's memory with an end, never in the ledger and never in the database."""

import time
from functools import lru_cache

import redis
import structlog
from django.conf import settings

from apps.core.models import User

log = structlog.get_logger(__name__)

BEAT_S = 15
"""How often an open page says that somebody looks."""
GONE_S = 40.0
"""Who was silent for longer looks elsewhere: two beats may be lost."""


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=0.2, socket_connect_timeout=0.2, retry=None, retry_on_error=[]
    )


def beat(actor: User, place: str) -> list[str]:
    """Say that ``actor`` looks at ``place``; the keys of all who do, themselves among them.

    Without a broker nobody is known to look: presence is comfort, and a page works without it.
    """
    name, now = f"acp:presence:{place}", time.time()
    try:
        with _client().pipeline(transaction=True) as pipe:
            pipe.zadd(name, {str(actor.pk): now})
            pipe.zremrangebyscore(name, "-inf", now - GONE_S)
            pipe.expire(name, int(GONE_S) + BEAT_S)
            pipe.zrange(name, 0, -1)
            found = pipe.execute()[-1]
    except (redis.RedisError, OSError) as error:
        log.warning("presence_unknown", error=type(error).__name__)
        return []
    return [member.decode() for member in found]
