"""Settling a trace: linking what has become linkable, and counting what models used, once."""

from django.db import connection
from django.db.utils import OperationalError
from psycopg.errors import LockNotAvailable

from apps.agents.models import Agent
from apps.core.errors import RateLimitedError
from apps.core.models import User
from apps.telemetry.models import Span
from apps.telemetry.rules.links import NOTHING
from apps.telemetry.rules.trees import leaves_of
from apps.telemetry.services.linking import Works, link_of, link_trace
from apps.telemetry.services.usage import keep_usage


def one_at_a_time(agent: Agent) -> None:
    """Two requests of one agent would count one response twice; the second waits a moment, and is then told to."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"spans:{agent.pk}"])
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise RateLimitedError(retry_after_s=1) from error
        raise


def settle(actor: User, agent: Agent, trace_id: str, works: Works) -> list[Span]:
    """Link what has become linkable in a trace, and count what its leaves used; the spans that were linked now."""
    rows = list(Span.objects.filter(agent=agent, trace_id=trace_id).defer("attributes", "name").order_by("started_at"))
    late = link_trace(agent, trace_id, rows, works)
    count_usage(actor, agent, rows, {row.span_id: row.parent_id for row in rows}, works)
    return late


def count_usage(actor: User, agent: Agent, rows: list[Span], parents: dict[str, str], works: Works) -> None:
    """Keep as usage what the leaves among the linked rows of a trace used, and no response twice."""
    counted = {row.span_id for row in rows if row.usage_id}
    leaves = leaves_of((row.span_id for row in rows if row.tokens), counted, parents)
    wanted = [row for row in rows if row.span_id in leaves and link_of(row) != NOTHING]
    if not wanted:
        return
    answers = [row.response_id for row in wanted if row.response_id]
    before = Span.objects.filter(agent=agent, response_id__any_of=answers).exclude(response_id="").exclude(usage=None)
    told = set(before.values_list("response_id", flat=True))
    done = list[Span]()
    for row in wanted:
        work = works.behind(link_of(row))
        if work is None or row.tokens is None or row.response_id in told:
            continue
        row.usage = keep_usage(
            actor,
            agent=agent,
            work=work,
            model=row.model,
            input_tokens=row.tokens["input"],
            output_tokens=row.tokens["output"],
            cache_read_tokens=row.tokens["cache_read"],
            cache_write_tokens=row.tokens["cache_write"],
            reasoning_tokens=row.tokens.get("reasoning", 0),
            reported_micro=row.tokens.get("reported_micro"),
            started_at=row.started_at,
        )
        told |= {row.response_id} - {""}
        done.append(row)
    Span.objects.bulk_update(done, ["usage"], batch_size=1000)
