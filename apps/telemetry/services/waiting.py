"""Settling what a request kept and had no room to settle: in the background, soon after, as much at a time."""

from time import monotonic
from uuid import UUID

from django.db import transaction
from django.db.models import Min

from apps.agents.models import Agent
from apps.core.errors import RateLimitedError
from apps.telemetry.models import Span
from apps.telemetry.services.erasing import blank_erased
from apps.telemetry.services.linking import UNLINKED, Works
from apps.telemetry.services.settling import one_at_a_time, settle_with_earlier, sizes_of, within_room

SETTLE_S = 5.0
"""So long one round settles, and then leaves the rest to the next."""
AT_ONCE = 1_000
"""Traces that are looked at in one transaction."""


def settle_waiting() -> int:
    """Settle what waits, one agent after the other and each as much as a request may, for ``SETTLE_S`` at most.

    Who has waited longest comes first. How many traces.
    """
    done, until = 0, monotonic() + SETTLE_S
    while True:
        waiting = Span.objects.filter(waits=True).order_by().values_list("agent").annotate(first=Min("created_at"))
        settled = 0
        for agent, _first in waiting.order_by("first"):
            settled += _settled_unless_busy(agent)
            if monotonic() > until:
                return done + settled
        done += settled
        if not settled:
            return done


def _settled_unless_busy(agent_id: UUID) -> int:
    """An agent that sends spans just now comes the next time, and holds up nobody else."""
    try:
        return _settle_agent(agent_id)
    except RateLimitedError:
        return 0


@transaction.atomic
def _settle_agent(agent_id: UUID) -> int:
    """The traces that have waited longest, as far as there is room; how many."""
    agent = Agent.objects.select_related("user").get(pk=agent_id)
    one_at_a_time(agent)
    waiting = Span.objects.filter(agent=agent, waits=True)
    oldest = waiting.order_by().values_list("trace_id").annotate(first=Min("created_at")).order_by("first", "trace_id")
    traces = [trace for trace, _first in oldest[:AT_ONCE]]
    sizes = sizes_of(agent, traces)
    now = within_room((trace, sizes[trace]) for trace in traces)
    named = waiting.filter(trace_id__any_of=now).exclude(UNLINKED).exclude(conversation="")
    linked = list(named.defer("attributes", "name"))
    settle_with_earlier(agent.user, agent, now, Works(agent.user, now), linked=linked)
    blank_erased(now)
    return len(now)
