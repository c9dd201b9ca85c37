"""Spans, for people who may see the agents that sent them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet, Sum, TextField
from django.db.models.functions import Cast, Now

from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.telemetry.models import Span, SpanCount
from apps.telemetry.rules.names import number_of_version
from apps.telemetry.rules.rejections import Rejection

VIEW = "agents.view_agent"
LINKED = ~Q(run_id=None, task_id=None, action_id=None)
LATE_DAYS = 7
"""For so long what belongs to nothing may be linked by hand."""
REJECTED_DAYS = 30
MOST_LINES = 100
MOST_SEARCHED = 20_000
LONGEST_TEXT = 100


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """What of agents' reports is asked for; empty and None: everything. ``since``: of then or later."""

    agent: str = ""
    service: str = ""
    run: UUID | None = None
    trace: str = ""
    since: datetime | None = None

    @property
    def of_sender(self) -> Q:
        """Whose, and of which trace."""
        asked = {"agent__slug": self.agent, "service": self.service, "trace_id": self.trace}
        return Q(**{name: value for name, value in asked.items() if value})


@dataclass(frozen=True, slots=True)
class SpanFilter(ReportFilter):
    """The same of spans, by their end; whether they belong to something, and whether they failed.

    ``version``: the agent's, by its own word, or, where that names none, of the request that brought them. ``text``:
    stands in a span's name, tool or model, or among its attributes, in any case. Both are looked for in the newest
    ``MOST_SEARCHED`` spans of the rest of the filter alone.
    """

    linked: bool | None = None
    failed: bool | None = None
    version: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Unlinked:
    """What one service of one agent sent that belongs to nothing."""

    agent: str
    agent_name: str
    service: str
    spans: int
    traces: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """How many spans of one agent were kept and rejected, and why. ``misnamed``: kept, and named others' work."""

    agent: str
    agent_name: str
    kept: int
    rejected: int
    why: dict[str, int]
    misnamed: int = 0

    @property
    def untold(self) -> int:
        """Those from before reasons were told apart."""
        return max(0, self.rejected - sum(self.why.values()))


def spans_for(actor: User, asked: SpanFilter | None = None) -> QuerySet[Span]:
    """Spans of the agents that ``actor`` may see, newest first."""
    rows = visible(actor, VIEW, Span.objects.select_related("agent", "usage")).order_by("-id")
    if asked is None:
        return rows
    rows = rows.filter(_asked(asked))
    return _looked_for(rows, asked) if asked.text or asked.version else rows


def _looked_for(rows: QuerySet[Span], asked: SpanFilter) -> QuerySet[Span]:
    """Those of the newest rows that are of the version, and in which the text stands: no index knows of either.

    What was said to models is not kept: nobody finds it.
    """
    newest = rows.values("pk")[:MOST_SEARCHED]
    looked = Span.objects.filter(pk__in=newest).order_by()
    if asked.version:
        looked = looked.filter(_of_version(asked.version))
    if text := asked.text:
        words = Q(name__icontains=text) | Q(tool__icontains=text) | Q(model__icontains=text) | Q(said__icontains=text)
        looked = looked.annotate(said=Cast("attributes", TextField())).filter(words)
    return rows.filter(pk__in=looked.values("pk"))


def span_for(actor: User, span_id: UUID) -> Span:
    """One of them, whole. Raises NotFoundError."""
    if found := spans_for(actor).select_related("agent__user").filter(pk=span_id).first():
        return found
    raise NotFoundError


def _asked(asked: SpanFilter) -> Q:
    found = asked.of_sender
    if asked.run:
        found &= Q(run_id=asked.run)
    if asked.linked is not None:
        found &= LINKED if asked.linked else ~LINKED
    if asked.failed is not None:
        found &= Q(failed=asked.failed)
    return found & Q(ended_at__gte=asked.since) if asked.since else found


def _of_version(said: str) -> Q:
    """``3`` and ``v3`` are the same; any other name is taken as it is."""
    number = number_of_version(said)
    if number is None:
        return Q(told_version=said)
    return Q(told_version__iregex=rf"^v?0*{number}$") | Q(told_version="", sent_as=number)


def unlinked_for(actor: User) -> list[Unlinked]:
    """What may still be linked by hand, by agent and service, the latest first; the first ``MOST_LINES``."""
    since = Now() - timedelta(days=LATE_DAYS)
    rows = spans_for(actor).filter(~LINKED, created_at__gt=since).order_by()
    found = rows.values("agent__slug", "agent__name", "service").annotate(
        spans=Count("pk"), traces=Count("trace_id", distinct=True), last_at=Max("ended_at")
    )
    return [
        Unlinked(row["agent__slug"], row["agent__name"], row["service"], row["spans"], row["traces"], row["last_at"])
        for row in found.order_by("-last_at")[:MOST_LINES]
    ]


def rejected_for(actor: User) -> list[Rejected]:
    """Of the last ``REJECTED_DAYS``, which agents' spans were rejected or named others' work, and why; most first."""
    since = Now() - timedelta(days=REJECTED_DAYS)
    rows = visible(actor, VIEW, SpanCount.objects.filter(created_at__gt=since)).order_by()
    sums: dict[str, Any] = {f"sum_{name}": Sum(name) for name in ("kept", "rejected", "misnamed", *map(str, Rejection))}
    found: QuerySet[Any, Any] = rows.values("agent__slug", "agent__name")
    found = found.annotate(**sums)
    odd = Q(sum_rejected__gt=0) | Q(sum_misnamed__gt=0)
    return [
        Rejected(
            row["agent__slug"],
            row["agent__name"],
            row["sum_kept"],
            row["sum_rejected"],
            {str(why): row[f"sum_{why}"] for why in Rejection},
            row["sum_misnamed"],
        )
        for row in found.filter(odd).order_by("-sum_rejected", "-sum_misnamed")[:MOST_LINES]
    ]
