"""Spans: taken in one transaction with what follows of them, so that an answer means that all of it is kept."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps.agents.models import Agent
from apps.agents.selectors import require_working_agent
from apps.core.errors import NotAllowedError
from apps.core.models import User, database_now
from apps.telemetry.models import Span, SpanCount
from apps.telemetry.rules.links import NOTHING, LinkedBy
from apps.telemetry.rules.names import facts_of, without_content
from apps.telemetry.rules.otlp import SpanSaid
from apps.telemetry.rules.rejections import Rejection
from apps.telemetry.rules.tools import EXECUTE, ToolCall, tool_of
from apps.telemetry.selectors import Work
from apps.telemetry.services.discovered import blocked_of, note_strangers, service_of, strangers_of
from apps.telemetry.services.erasing import blank_erased, forget_old
from apps.telemetry.services.linking import Works, ids_in, link_of, named_by
from apps.telemetry.services.settling import one_at_a_time, settle_with_earlier, shortest_of, sizes_of

MOST_IN_TRACE = 5_000
"""Spans of one trace; what comes beyond is rejected."""
AHEAD = timedelta(hours=1)
"""How far an agent's clock may be ahead."""


@dataclass(frozen=True, slots=True)
class Taken:
    """How many spans of a request were kept or had been before, and how many were not."""

    kept: int
    rejected: int


@transaction.atomic
def take_spans(actor: User, *, spans: list[SpanSaid], unreadable: int = 0) -> Taken:
    """Keep an agent's spans, and the usage that they tell of. A span that is known already changes nothing.

    ``unreadable`` were sent and are no spans; they are counted as rejected. What names work of others is kept, belongs
    to nothing by that, and is counted. Nothing is taken under a name that people blocked. Traces that there is no room
    for in one transaction, the longest, are kept as well, and settled soon after (``services.waiting``).
    Raises NotAllowedError for anybody but an agent that may act, RateLimitedError while another request of it is busy.
    """
    if not actor.is_agent:
        raise NotAllowedError("Only an agent reports its spans.")
    require_working_agent(actor)
    agent: Agent = actor.agent
    one_at_a_time(agent)
    works = Works(actor, {said.trace_id for said in spans})
    came = Counter(service_of(said.attributes) for said in spans)
    blocked = blocked_of(agent, came)
    strangers = strangers_of(agent, came) | blocked
    wanted = [said for said in spans if service_of(said.attributes) not in blocked]
    oldest, newest = times_taken()
    timely = [said for said in wanted if oldest <= said.ended_at <= newest]
    whole = _whole(agent, timely)
    near = [said for said in timely if said.trace_id in whole]
    now = shortest_of(whole)
    works.look_up(one for said in near for one in ids_in(said.attributes))
    links = {id(said): named_by(agent, said.attributes, works) for said in near}
    rows = [_row(agent, said, links[id(said)] or Work(agent.unit_id), waits=said.trace_id not in now) for said in near]
    why = {
        Rejection.UNREADABLE: unreadable,
        Rejection.BLOCKED: len(spans) - len(wanted),
        Rejection.OUT_OF_TIME: len(wanted) - len(timely),
        Rejection.OVERFULL: len(timely) - len(near),
    }
    taken = Taken(len(rows), sum(why.values()))
    Span.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
    settle_with_earlier(actor, agent, now, works, linked=[row for row in rows if link_of(row) != NOTHING])
    blank_erased({said.trace_id for said in near})
    note_strangers(agent, {service: came[service] for service in strangers})
    _count(agent, taken.kept, sum(one is None for one in links.values()), why)
    return taken


def forget_spans() -> int:
    """Delete spans that are older than ``ACP_SPAN_DAYS``; how many. Usage stays."""
    return forget_old(Span)


def times_taken() -> tuple[datetime, datetime]:
    """When a span may have ended: what was deleted already must not count again when it is sent again."""
    now = database_now()
    return now - timedelta(days=settings.ACP_SPAN_DAYS), now + AHEAD


def _whole(agent: Agent, spans: list[SpanSaid]) -> dict[str, int]:
    """The traces of these spans that do not become too long by them, and how long they do."""
    coming = Counter(said.trace_id for said in spans)
    held = sizes_of(agent, coming)
    whole = {trace_id: held.get(trace_id, 0) + n for trace_id, n in coming.items()}
    return {trace_id: n for trace_id, n in whole.items() if n <= MOST_IN_TRACE}


def _row(agent: Agent, said: SpanSaid, link: Work, *, waits: bool) -> Span:
    """The row of a span, linked as it says."""
    facts = facts_of(said.attributes)
    return Span(
        agent=agent,
        trace_id=said.trace_id,
        span_id=said.span_id,
        parent_id=said.parent_id,
        name=said.name,
        started_at=said.started_at,
        ended_at=said.ended_at,
        failed=said.failed,
        operation=facts.operation,
        model=facts.model,
        response_id=facts.response_id,
        tool=(tool := tool_of(facts.tool, said.name) if facts.operation == EXECUTE else ""),
        tool_call=ToolCall.OPEN if tool else "",
        conversation=facts.conversation,
        service=service_of(said.attributes),
        told_version=facts.agent_version,
        sent_as=agent.version.number if agent.version else None,
        linked_by=LinkedBy.ATTRIBUTE if link.run_id or link.task_id or link.action_id else "",
        tokens=facts.tokens,
        attributes=without_content(said.attributes),
        run_id=link.run_id,
        task_id=link.task_id,
        action_id=link.action_id,
        waits=waits,
    )


def _count(agent: Agent, kept: int, misnamed: int, why: dict[Rejection, int]) -> None:
    row, _ = SpanCount.objects.get_or_create(agent=agent, day=database_now().date())
    more = {"kept": kept, "misnamed": misnamed, "rejected": sum(why.values())} | {str(one): n for one, n in why.items()}
    SpanCount.objects.filter(pk=row.pk).update(**{name: F(name) + n for name, n in more.items()})
