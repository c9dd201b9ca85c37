"""Log records: taken in one transaction, beside the spans of the same work."""

import hashlib
import json
from uuid import UUID

from django.db import transaction
from django.db.models import F

from apps.agents.models import Agent
from apps.agents.selectors import require_working_agent
from apps.core.errors import NotAllowedError
from apps.core.models import User, database_now
from apps.telemetry.models import LogRecord, Span, SpanCount
from apps.telemetry.rules.links import NOTHING, Link
from apps.telemetry.rules.names import is_content_event, without_content
from apps.telemetry.rules.otlp import LogSaid
from apps.telemetry.selectors import Work
from apps.telemetry.services.discovered import blocked_of, service_of
from apps.telemetry.services.erasing import blank_erased, forget_old
from apps.telemetry.services.linking import Works, ids_in, link_of, named_by
from apps.telemetry.services.settling import one_at_a_time
from apps.telemetry.services.spans import Taken, times_taken

MOST_A_DAY = 200_000
"""Log records kept of one agent and day (UTC); what comes beyond is rejected."""


@transaction.atomic
def take_logs(actor: User, *, records: list[LogSaid]) -> Taken:
    """Keep an agent's log records. One that is known already changes nothing; nothing is allowed or counted by any.

    Raises NotAllowedError for anybody but an agent that may act, RateLimitedError while another request of it is busy.
    """
    if not actor.is_agent:
        raise NotAllowedError("Only an agent reports its logs.")
    require_working_agent(actor)
    agent: Agent = actor.agent
    one_at_a_time(agent)
    count, _ = SpanCount.objects.get_or_create(agent=agent, day=database_now().date())
    oldest, newest = times_taken()
    blocked = blocked_of(agent, {service_of(said.attributes) for said in records})
    wanted = [said for said in records if service_of(said.attributes) not in blocked]
    timely = [said for said in wanted if said.at is None or oldest <= said.at <= newest]
    near = timely[: max(0, MOST_A_DAY - count.logs_kept)]
    traces = {said.trace_id for said in near if said.trace_id}
    works, spans = Works(actor, traces), _spans(agent, traces)
    works.look_up(one for said in near for one in ids_in(said.attributes))
    rows = [_row(agent, said, _link(agent, said, works, spans)) for said in near]
    LogRecord.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
    blank_erased(traces, {one for row in rows for one in (row.run_id or row.action_id,) if one})
    taken = Taken(len(near), len(records) - len(near))
    SpanCount.objects.filter(pk=count.pk).update(
        logs_kept=F("logs_kept") + taken.kept, logs_rejected=F("logs_rejected") + taken.rejected
    )
    return taken


def forget_logs() -> int:
    """Delete log records that are older than ``ACP_SPAN_DAYS``; how many."""
    return forget_old(LogRecord)


def _spans(agent: Agent, traces: set[str]) -> dict[tuple[str, str], Link]:
    """What the agent's spans of these traces are known to belong to."""
    rows = Span.objects.filter(agent=agent, trace_id__any_of=list(traces))
    names = ("trace_id", "span_id", "run_id", "task_id", "action_id")
    return {(row.trace_id, row.span_id): link for row in rows.only(*names) if (link := link_of(row)) != NOTHING}


def _link(agent: Agent, said: LogSaid, works: Works, spans: dict[tuple[str, str], Link]) -> Link:
    """What it names itself, what its span belongs to, what its trace is of: the first that answers."""
    named = named_by(agent, said.attributes, works)
    if named and (link := _as_link(named)) != NOTHING:
        return link
    if above := spans.get((said.trace_id, said.span_id)):
        return above
    work = works.of_trace(said.trace_id) if said.trace_id else None
    return _as_link(work) if work else NOTHING


def _as_link(work: Work) -> tuple[UUID | None, UUID | None, UUID | None]:
    return work.run_id, work.task_id, work.action_id


def _row(agent: Agent, said: LogSaid, link: Link) -> LogRecord:
    run, task, action = link
    return LogRecord(
        agent=agent,
        digest=_digest(said),
        trace_id=said.trace_id,
        span_id=said.span_id,
        at=said.at or database_now(),
        severity=said.severity,
        event=said.event,
        service=service_of(said.attributes),
        body="" if is_content_event(said.event) else said.body,
        attributes=without_content(said.attributes),
        run_id=run,
        task_id=task,
        action_id=action,
    )


def _digest(said: LogSaid) -> str:
    at = said.at.isoformat() if said.at else ""
    whole = [said.trace_id, said.span_id, at, said.severity, said.event, said.body, said.attributes]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
