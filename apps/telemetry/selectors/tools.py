"""Tools that agents used without asking, and how much of what they do is governed at all."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from apps.agents.models import Agent
from apps.agents.selectors import held_or_own_for
from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.telemetry.models import Span, ToolFinding
from apps.telemetry.rules.tools import Coverage, FindingState, ToolCall
from apps.telemetry.selectors.spans import VIEW

MANAGE = "agents.manage_agent"
COVERAGE_DAYS = 30
"""What is said of the calls of tools is of this time."""
EXAMPLES = 3


def findings_for(actor: User, *, agent: str = "", state: str = "") -> QuerySet[ToolFinding]:
    """Tools used without asking, those last used first, of the agents that one may see, owns or is.

    Each with ``calls``: how many of the last ``COVERAGE_DAYS``, as far as the spans are kept.
    """
    rows = ToolFinding.objects.filter(agent__in=held_or_own_for(actor, perm=VIEW))
    if agent:
        rows = rows.filter(agent__slug=agent)
    if state:
        rows = rows.filter(dismissed_at__isnull=state == FindingState.OPEN)
    calls = _calls().filter(agent=OuterRef("agent"), tool=OuterRef("tool"), tool_call=ToolCall.UNGOVERNED)
    counted = calls.order_by().values("tool").annotate(n=Count("pk")).values("n")
    rows = rows.annotate(calls=Subquery(counted)).select_related("agent__unit", "agent__owner", "dismissed_by")
    return rows.order_by("-last_at", "-id")


def finding_for(actor: User, finding_id: UUID) -> ToolFinding:
    """One of them. Raises NotFoundError."""
    if found := findings_for(actor).filter(pk=finding_id).first():
        return found
    raise NotFoundError


def examples_for(actor: User, findings: list[ToolFinding]) -> dict[UUID, list[Span]]:
    """Of each of these findings the last calls that are kept, at most ``EXAMPLES``; one question each."""
    shown = {one.pk: one for one in findings if held_or_own_for(actor, perm=VIEW).filter(pk=one.agent_id).exists()}
    return {
        pk: list(
            _calls()
            .filter(agent=one.agent_id, tool=one.tool, tool_call=ToolCall.UNGOVERNED)
            .defer("attributes")
            .order_by("-ended_at")[:EXAMPLES]
        )
        for pk, one in shown.items()
    }


def coverage_for(actor: User, agent: Agent) -> Coverage:
    """Governed calls of tools of all that were seen of ``agent`` in the last ``COVERAGE_DAYS``.

    Empty for whoever may neither see nor owns the agent.
    """
    if not held_or_own_for(actor, perm=VIEW).filter(pk=agent.pk).exists():
        return Coverage()
    return _coverage(_calls().filter(agent=agent))


def coverage_of_all_for(actor: User) -> Coverage:
    """The same over all agents that ``actor`` may see."""
    return _coverage(_calls().filter(agent__in=held_or_own_for(actor, perm=VIEW)))


def dismissible_for(actor: User) -> frozenset[UUID]:
    """The agents of which ``actor`` may dismiss findings: those that they own, or may suspend. No agent does."""
    if not actor.is_human:
        return frozenset()
    return frozenset(
        held_or_own_for(actor, perm=MANAGE).filter(tool_findings__isnull=False).values_list("pk", flat=True)
    )


def _calls() -> QuerySet[Span]:
    """By their ends: those are held against the clock when a span is taken; a start may be said to be of any time."""
    since = Now() - timedelta(days=COVERAGE_DAYS)
    return Span.objects.filter(ended_at__gt=since).exclude(tool_call="")


def _coverage(calls: QuerySet[Span]) -> Coverage:
    dismissed = ToolFinding.objects.filter(agent=OuterRef("agent"), tool=OuterRef("tool"), dismissed_at__isnull=False)
    ungoverned = Q(tool_call=ToolCall.UNGOVERNED)
    return Coverage(
        **calls.order_by()
        .annotate(is_dismissed=Exists(dismissed))
        .aggregate(
            governed=Count("pk", filter=Q(tool_call=ToolCall.GOVERNED)),
            ungoverned=Count("pk", filter=ungoverned),
            dismissed=Count("pk", filter=ungoverned & Q(is_dismissed=True)),
        )
    )
