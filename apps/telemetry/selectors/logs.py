"""Log records, for people who may see the agents that sent them."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now

from apps.core.gate import visible
from apps.core.models import User
from apps.telemetry.models import LogRecord, Span, SpanCount
from apps.telemetry.selectors.spans import MOST_LINES, MOST_SEARCHED, REJECTED_DAYS, VIEW, ReportFilter


@dataclass(frozen=True, slots=True)
class LogFilter(ReportFilter):
    """What of logs is asked for, by their own time. ``severity``: that or graver.

    ``text``: in the body, in any case; looked for in the newest ``MOST_SEARCHED`` of the rest of the filter alone.
    """

    severity: int = 0
    text: str = ""


def logs_for(actor: User, asked: LogFilter | None = None) -> QuerySet[LogRecord]:
    """Log records of the agents that ``actor`` may see, the last received first."""
    rows = visible(actor, VIEW, LogRecord.objects.select_related("agent")).order_by("-id")
    if asked is None:
        return rows
    rows = rows.filter(_asked(asked))
    return _with_text(rows, asked.text) if asked.text else rows


def _with_text(rows: QuerySet[LogRecord], text: str) -> QuerySet[LogRecord]:
    newest = rows.values("pk")[:MOST_SEARCHED]
    looked = LogRecord.objects.filter(pk__in=newest, body__icontains=text)
    return rows.filter(pk__in=looked.order_by().values("pk"))


def logs_of_run_for(actor: User, run_id: UUID) -> QuerySet[LogRecord]:
    """Those of one run, the earliest first: also of spans that were linked to it after the record had come."""
    return logs_for(actor).filter(_of_run(run_id)).order_by("at", "id")


def _of_run(run_id: UUID) -> Q:
    spans = Span.objects.filter(run_id=run_id)
    its_span = spans.filter(agent=OuterRef("agent"), trace_id=OuterRef("trace_id"), span_id=OuterRef("span_id"))
    return Q(run_id=run_id) | Q(run_id=None, trace_id__in=spans.values("trace_id")) & Q(Exists(its_span))


def _asked(asked: LogFilter) -> Q:
    found = asked.of_sender
    if asked.run:
        found &= _of_run(asked.run)
    if asked.severity:
        found &= Q(severity__gte=asked.severity)
    return found & Q(at__gte=asked.since) if asked.since else found


def rejected_logs_for(actor: User) -> list[tuple[str, int, int]]:
    """Of the last ``REJECTED_DAYS``: agents (slug) whose log records were rejected, how many, how many were kept."""
    since = Now() - timedelta(days=REJECTED_DAYS)
    rows = visible(actor, VIEW, SpanCount.objects.filter(created_at__gt=since)).order_by()
    sums = rows.values_list("agent__slug").annotate(rejected=Sum("logs_rejected"), kept=Sum("logs_kept"))
    return list(sums.filter(rejected__gt=0).order_by("-rejected")[:MOST_LINES])
