"""Settling a trace: linking what has become linkable, and counting what models used, once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import accumulate

from django.db import connection
from django.db.models import Count
from django.db.utils import OperationalError
from psycopg.errors import LockNotAvailable

from apps.agents.models import Agent
from apps.audit.services import recorded_together
from apps.core.errors import RateLimitedError
from apps.core.models import User
from apps.telemetry.models import Span
from apps.telemetry.rules.links import NOTHING
from apps.telemetry.rules.trees import leaves_of
from apps.telemetry.selectors import Work
from apps.telemetry.services.linking import Works, earlier_traces, link_of, link_traces, narrowest
from apps.telemetry.services.usage import Used, keep_usage

MOST_READ = 20_000
"""Spans of all traces that are settled in one transaction; so many more of earlier traces are looked at again."""
LONGEST_CALL = timedelta(days=1)
"""A model that says it was called longer before it answered was not: the price of then would be the agent's choice."""


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


def sizes_of(agent: Agent, traces: Iterable[str]) -> dict[str, int]:
    """How many spans of each of these traces are kept."""
    counts = Span.objects.filter(agent=agent, trace_id__any_of=list(traces)).order_by().values_list("trace_id")
    return dict(counts.annotate(n=Count("pk")))


def shortest_of(sizes: Mapping[str, int]) -> set[str]:
    """The shortest of these that together have no more spans than there is room for."""
    return set(within_room((one, sizes[one]) for one in sorted(sizes, key=lambda one: (sizes[one], one))))


def within_room(sizes: Iterable[tuple[str, int]]) -> list[str]:
    """The first of these, as far as there is room for their spans."""
    sizes = list(sizes)
    sums = accumulate(size for _trace, size in sizes)
    return [trace for (trace, _size), whole in zip(sizes, sums, strict=True) if whole <= MOST_READ]


def settle_with_earlier(
    actor: User, agent: Agent, traces: Iterable[str], works: Works, *, linked: Iterable[Span]
) -> None:
    """Settle these traces, and earlier ones of the conversations of what was linked by that, or was before."""
    with recorded_together():
        late = settle(actor, agent, traces, works)
        earlier = earlier_traces(agent, [*linked, *late], works)
        settle(actor, agent, shortest_of(sizes_of(agent, earlier)), works)


def settle(actor: User, agent: Agent, traces: Iterable[str], works: Works) -> list[Span]:
    """Link what has become linkable in traces, and count what their leaves used; the spans that were linked now."""
    found = Span.objects.filter(agent=agent, trace_id__any_of=list(traces)).defer("attributes", "name")
    trees = defaultdict[str, list[Span]](list)
    for row in found.order_by("trace_id", "started_at"):
        trees[row.trace_id].append(row)
    if waiting := [trace for trace, rows in trees.items() if any(row.waits for row in rows)]:
        Span.objects.filter(agent=agent, trace_id__any_of=waiting, waits=True).update(waits=False)
    late = link_traces(agent, trees, works)
    count_usage(actor, agent, trees.values(), works)
    return late


def count_usage(actor: User, agent: Agent, traces: Iterable[list[Span]], works: Works) -> None:
    """Keep as usage what the leaves among the linked rows of each trace used, and no response twice."""
    wanted = [row for rows in traces for row in _leaves(rows)]
    if not wanted:
        return
    answers = [row.response_id for row in wanted if row.response_id]
    before = Span.objects.filter(agent=agent, response_id__any_of=answers).exclude(response_id="").exclude(usage=None)
    told = set(before.values_list("response_id", flat=True))
    works.look_up(one for row in wanted for one in narrowest(link_of(row)))
    done, used = list[Span](), list[Used]()
    for row in wanted:
        work = works.behind(link_of(row))
        if work is None or row.tokens is None or row.response_id in told:
            continue
        told |= {row.response_id} - {""}
        done.append(row)
        used.append(_used(row, row.tokens, work))
    for row, usage in zip(done, keep_usage(actor, agent=agent, used=used), strict=True):
        row.usage = usage
    Span.objects.bulk_update(done, ["usage"], batch_size=1000)


def _leaves(rows: list[Span]) -> list[Span]:
    parents = {row.span_id: row.parent_id for row in rows}
    counted = {row.span_id for row in rows if row.usage_id}
    leaves = leaves_of((row.span_id for row in rows if row.tokens), counted, parents)
    return [row for row in rows if row.span_id in leaves and link_of(row) != NOTHING]


def _used(row: Span, tokens: dict[str, int], work: Work) -> Used:
    return Used(
        work=work,
        model=row.model,
        input_tokens=tokens["input"],
        output_tokens=tokens["output"],
        cache_read_tokens=tokens["cache_read"],
        cache_write_tokens=tokens["cache_write"],
        reasoning_tokens=tokens.get("reasoning", 0),
        reported_micro=tokens.get("reported_micro"),
        started_at=max(row.started_at, row.ended_at - LONGEST_CALL),
    )
