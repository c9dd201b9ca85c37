"""Judging calls of tools: what the plane was never asked about becomes a finding, and its agent's owner is told."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState, Environment
from apps.audit.models import Entry
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, RateLimitedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.telemetry.models import Span, ToolFinding
from apps.telemetry.rules.links import LinkedBy
from apps.telemetry.rules.tools import AFTER, SLACK, Asked, CallSeen, Despite, Seen, ToolCall, judge, plain
from apps.telemetry.selectors import dismissible_for
from apps.telemetry.services.settling import one_at_a_time
from apps.workflows.models import InterruptCall

LATE_S = 300
"""How long a call waits for what may still arrive: spans above it, by which it belongs to a run."""
AT_ONCE = 1_000
LONGEST = timedelta(days=2)
"""A call that says it took longer is held against the actions of its last days: an agent's clock may say anything."""
GOES_AHEAD = frozenset(
    {
        ActionState.APPROVED,
        ActionState.EXECUTING,
        ActionState.SUCCEEDED,
        ActionState.FAILED,
        ActionState.UNKNOWN,
        ActionState.COMPENSATED,
    }
)
DESPITE = {
    ActionState.DENIED: Despite.DENIED,
    ActionState.REJECTED: Despite.REJECTED,
    ActionState.CHANGES_REQUESTED: Despite.REJECTED,
    ActionState.EXPIRED: Despite.LAPSED,
    ActionState.CANCELLED: Despite.LAPSED,
}
"""What an action that was not allowed ended as; one that was allowed later was waiting."""
TOLD = 20
"""Names of tools that an entry holds at most."""


def judge_tool_calls() -> int:
    """Judge the calls of tools that have waited long enough, one agent at a time; how many."""
    waiting = _to_judge()
    agents = list(waiting.order_by().values_list("agent", flat=True).distinct())
    return sum(_judged_unless_busy(agent) for agent in agents)


def _to_judge() -> QuerySet[Span]:
    """Calls of long enough ago; what was not settled yet may still come to belong to a run."""
    old = Now() - timedelta(seconds=LATE_S)
    return Span.objects.filter(tool_call=ToolCall.OPEN, created_at__lt=old, waits=False)


def _judged_unless_busy(agent_id: UUID) -> int:
    """An agent that sends spans just now is judged the next time, and holds up nobody else."""
    try:
        return _judge_agent(agent_id)
    except RateLimitedError:
        return 0


@transaction.atomic
def _judge_agent(agent_id: UUID) -> int:
    agent = Agent.objects.get(pk=agent_id)
    one_at_a_time(agent)
    rows = _to_judge().filter(agent=agent)
    spans = {row.pk: row for row in rows.order_by("started_at", "id").defer("attributes")[:AT_ONCE]}
    if not spans:
        return 0
    calls = [_seen(row) for row in spans.values()]
    trees, counted = _around(agent, {call.trace_id for call in calls})
    judged = judge(calls, _asked(agent, calls), trees=trees, counted=counted)
    for key, action in judged.governed.items():
        spans[key].tool_call, spans[key].governed_by = ToolCall.GOVERNED, action
    for key in judged.ungoverned:
        spans[key].tool_call = ToolCall.UNGOVERNED
    for key, (action, why) in judged.despite.items():
        spans[key].despite_action, spans[key].despite = action, why
    for key in judged.repeats:
        spans[key].tool_call = ToolCall.REPEAT
    Span.objects.bulk_update(spans.values(), ["tool_call", "governed_by", "despite", "despite_action"], batch_size=1000)
    _find(agent, [spans[key] for key in judged.ungoverned])
    return len(spans)


def _seen(row: Span) -> CallSeen:
    is_told = row.linked_by in {LinkedBy.ATTRIBUTE, LinkedBy.TRACE}
    return CallSeen(
        key=row.pk,
        trace_id=row.trace_id,
        span_id=row.span_id,
        tool=row.tool,
        started_at=row.started_at,
        ended_at=row.ended_at,
        run_id=row.run_id,
        named=row.action_id if is_told else None,
        by_word=row.linked_by == LinkedBy.ATTRIBUTE,
    )


def _around(agent: Agent, traces: set[str]) -> tuple[dict[str, dict[str, str]], dict[str, Seen]]:
    """How the spans of these traces stand above each other, and which calls of them were counted before."""
    trees = defaultdict[str, dict[str, str]](dict)
    counted = defaultdict[str, set[tuple[str, str]]](set)
    done = {ToolCall.GOVERNED, ToolCall.UNGOVERNED}
    rows = Span.objects.filter(agent=agent, trace_id__any_of=list(traces))
    for trace, span, parent, tool, state in rows.values_list("trace_id", "span_id", "parent_id", "tool", "tool_call"):
        trees[trace][span] = parent
        if state in done:
            counted[trace].add((span, tool))
    return dict(trees), dict(counted)


def _asked(agent: Agent, calls: list[CallSeen]) -> Iterable[Asked]:
    """The agent's actions of about that time, and those that are named, but what stands behind a call already."""
    last = max(call.ended_at for call in calls) + SLACK
    first = max(min(call.started_at for call in calls), last - LONGEST) - AFTER
    then = Q(created_at__lte=last) & (Q(finished_at=None) | Q(finished_at__gte=first))
    named = Q(pk__in=[call.named for call in calls if call.named])
    rows = Action.objects.filter(then | named, principal=agent.user_id, environment=Environment.LIVE)
    found = {row.pk: row for row in rows.only("operation", "run_id", "state", "created_at", "finished_at")}
    taken = set(Span.objects.filter(governed_by__any_of=list(found)).values_list("governed_by", flat=True))
    called = defaultdict[UUID, set[str]](set)
    for action, name in InterruptCall.objects.filter(action__pk__any_of=list(found)).values_list("action", "name"):
        called[action].add(plain(name))
    allowed = _allowed(row for key, row in found.items() if key not in taken)
    return [
        Asked(
            key,
            frozenset({plain(row.operation)} | called[key]),
            row.run_id,
            row.created_at,
            row.finished_at,
            allowed.get(key),
            row.finished_at if row.state in DESPITE else None,
            DESPITE.get(ActionState(row.state), Despite.WAITING),
        )
        for key, row in found.items()
        if key not in taken
    ]


def _allowed(actions: Iterable[Action]) -> dict[UUID, datetime]:
    """Since when each might be carried out, as the ledger has it; those that never might are not in it."""
    asked = {action.pk: action for action in actions}
    lines = Entry.objects.filter(name="action.approved", subject_id__any_of=list(asked))
    when = dict(lines.order_by("-id").values_list("subject_id", "occurred_at"))  # the first is the last that is kept
    return {
        key: when.get(key, action.created_at)
        for key, action in asked.items()
        if key in when or action.state in GOES_AHEAD
    }


def _find(agent: Agent, spans: list[Span]) -> None:
    """Note the tools; the owner is told where nothing of the agent was open before, so that it is once."""
    if not spans:
        return
    last = {row.tool: row.ended_at for row in sorted(spans, key=lambda row: row.ended_at)}
    was_open = ToolFinding.objects.filter(agent=agent, dismissed_at=None).exists()
    known = {one.tool: one for one in ToolFinding.objects.filter(agent=agent, tool__in=list(last))}
    for tool, one in known.items():
        one.last_at = max(one.last_at, last[tool])
    ToolFinding.objects.bulk_update(known.values(), ["last_at"])
    fresh = sorted(last.keys() - known.keys())
    ToolFinding.objects.bulk_create([ToolFinding(agent=agent, tool=tool, last_at=last[tool]) for tool in fresh])
    _find_despite(agent, [row for row in spans if row.despite])
    unasked = [row for row in spans if not row.despite and row.tool in set(fresh)]
    if unasked and not was_open:
        told = {"tools": sorted({row.tool for row in unasked})[:TOLD], "calls": len(unasked)}
        record(system_user("plane"), agent, "agent.acted_unasked", payload=told)


def _find_despite(agent: Agent, spans: list[Span]) -> None:
    """Note what was done although it was refused; a dismissal does not cover that. The owner is told once.

    What is older than what was noted before, sent late, opens nothing again.
    """
    if not spans:
        return
    last = {row.tool: row.ended_at for row in sorted(spans, key=lambda row: row.ended_at)}
    first = not ToolFinding.objects.filter(agent=agent, despite_at__isnull=False, dismissed_at=None).exists()
    is_new = 0
    for tool, at in last.items():
        older = ToolFinding.objects.filter(Q(despite_at=None) | Q(despite_at__lt=at), agent=agent, tool=tool)
        is_new += older.update(despite_at=at, dismissed_at=None, dismissed_by=None, dismiss_reason="")
    if first and is_new:
        told = {"tools": sorted(last)[:TOLD], "calls": len(spans), "why": sorted({row.despite for row in spans})}
        record(system_user("plane"), agent, "agent.acted_despite", payload=told)


@transaction.atomic
def dismiss_finding(actor: User, *, finding: ToolFinding, reason: str) -> ToolFinding:
    """Say why it is right that an agent uses a tool without asking: its owner, or who may suspend it.

    Raises ConflictError where somebody did before.
    """
    require_human(actor)
    if finding.agent_id not in dismissible_for(actor):
        raise NotAllowedError(_("The agent's owner, or who may suspend it, dismisses what is found of it."))
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    done = {"dismissed_at": ClockTimestamp(), "dismissed_by": actor, "dismiss_reason": reason.strip()}
    changed = ToolFinding.objects.filter(pk=finding.pk, dismissed_at=None).update(**done)
    finding.refresh_from_db()
    if not changed:
        raise ConflictError(_("%s dismissed it before.") % (finding.dismissed_by or _("Somebody")))
    told = {"tool": finding.tool, "finding": finding.pk, "reason": finding.dismiss_reason}
    record(actor, finding.agent, "agent.tool_dismissed", payload=told)
    return finding
