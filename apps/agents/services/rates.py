"""How many requests of an agent are answered in a minute, and how often somebody may fail to be one."""

from time import time

from django.core.cache import cache
from django.db import connection
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.core.errors import RateLimitedError
from apps.core.prepared import planned_once

COUNT = """
INSERT INTO agents_requestrate AS r (agent_id, minute, requests) VALUES (%s, date_trunc('minute', clock_timestamp()), 1)
ON CONFLICT (agent_id) DO UPDATE SET minute = excluded.minute,
    requests = CASE WHEN r.minute = excluded.minute THEN r.requests + 1 ELSE 1 END
RETURNING requests, ceil(extract(epoch FROM minute + interval '1 minute' - clock_timestamp()))::int
"""


def count_request(agent: Agent) -> None:
    """Count one request where the agent's requests are limited. Raises RateLimitedError beyond that many in a minute.

    Minutes are those of the database's clock. What is refused counts too, and leaves no entry: a flood must not fill
    the ledger. Committed by itself, before anything else is done.
    """
    most = agent.rate_per_minute
    if most is None:
        return
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(COUNT, [agent.pk])
        requests, seconds = cursor.fetchone()
    if requests > most:
        raise RateLimitedError(_("At most %d requests in a minute.") % most, retry_after_s=max(seconds, 1))


FAILURES_A_MINUTE = 20
MINUTE_S = 60


def count_failure(address: str) -> None:
    """Somebody at ``address`` asked for a token and was not the agent that they said.

    Raises RateLimitedError from the twenty-first in a minute on. Whoever is the agent is not asked: behind a proxy all
    agents may have one address, and a stranger who fails on purpose keeps nobody out.
    """
    key = f"token-failures:{address}:{int(time() // MINUTE_S)}"
    failures = cache.get(key, 0) + 1
    cache.set(key, failures, 2 * MINUTE_S)
    if failures > FAILURES_A_MINUTE:
        raise RateLimitedError(_("Too many failed from this address."), retry_after_s=MINUTE_S)
