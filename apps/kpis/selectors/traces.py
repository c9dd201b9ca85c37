"""What agents reported of one run or action, as a tree, with what it used and cost."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from apps.agents.models import Action
from apps.agents.selectors import actions_for
from apps.core.gate import holds, visible
from apps.core.models import User
from apps.kpis.models import CostItem
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.costs import CostKind, PricedBy
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.selectors.reading import VIEW
from apps.telemetry.models import LogRecord, Span, UsageRecord
from apps.telemetry.rules.trees import laid_out
from apps.telemetry.selectors import logs_of_run_for, spans_for
from apps.workflows.models import Run
from apps.workflows.selectors import runs_for

MOST_SHOWN = 1_000
MOST_LOGS = 100


@dataclass(slots=True)
class Used:
    """Tokens that count and what they cost. ``unpriced``: calls whose price nobody knows; they are no zero."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro: int = 0
    unpriced: int = 0

    def add(self, other: "Used") -> None:
        """Count another's as well."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_micro += other.cost_micro
        self.unpriced += other.unpriced

    @property
    def cost_minor(self) -> float:
        """The cost in minor units of the reporting currency, with up to four decimals."""
        return round(self.cost_micro / micro_per_minor(reporting_currency()), 4)


DEEPEST = 12
"""A span further down stands no further in."""
NARROWEST = 1.0
"""In percent: the bar of a moment is still seen."""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One span: ``depth`` from 0, what it used itself and with all below it, and the action that it belongs to.

    ``action``: None where it names none, or one that the reader may not see; its ``verdict`` says what policy said.
    ``after_s``: how long after the earliest of the spans shown it began. ``left``, ``width``: where its bar lies on the
    line of time of those, in percent of it.
    """

    span: Span
    depth: int
    own: Used
    whole: Used
    action: Action | None
    after_s: float
    left: float
    width: float

    @property
    def indent(self) -> str:
        """What stands before its name, so that one sees below which it is."""
        return "\u2003" * min(self.depth, DEEPEST) + ("└ " if self.depth else "")

    @property
    def took_s(self) -> float:
        """From its start to its end by the agent's clock, never negative."""
        return max(0.0, (self.span.ended_at - self.span.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class SpanTree:
    """The tree, laid out: each row right before those below it. ``total`` is over all spans, shown or not.

    ``shows_costs``: whether the reader may see what it cost; where not, no ``Used`` says it. ``is_cut``: there are
    more than ``MOST_SHOWN`` spans, of which the earliest are shown. ``logs``: the first ``MOST_LOGS`` log records.
    """

    rows: list[TraceRow]
    total: Used
    shows_costs: bool
    is_cut: bool
    logs: list[LogRecord] = field(default_factory=list)
    has_more_logs: bool = False

    @property
    def currency(self) -> str:
        """The currency of every cost."""
        return reporting_currency()


def spans_of_run_for(actor: User, run: Run) -> SpanTree:
    """What agents that ``actor`` may see reported of a run that they may see; empty for anybody else."""
    if not runs_for(actor).filter(pk=run.pk).exists():
        return SpanTree([], Used(), shows_costs=False, is_cut=False)
    mine = spans_for(actor).filter(run_id=run.pk)
    logs = list(logs_of_run_for(actor, run.pk)[: MOST_LOGS + 1])
    return _tree(actor, mine, logs, shows_costs=holds(actor, VIEW, run.unit))


def spans_of_action_for(actor: User, action: Action) -> SpanTree:
    """The same of one action that ``actor`` may see, without logs; empty for anybody else."""
    if not actions_for(actor).filter(pk=action.pk).exists():
        return SpanTree([], Used(), shows_costs=False, is_cut=False)
    return _tree(actor, spans_for(actor).filter(action_id=action.pk), [], shows_costs=holds(actor, VIEW, action.unit))


def _tree(actor: User, mine: QuerySet[Span], logs: list[LogRecord], *, shows_costs: bool) -> SpanTree:
    found = list(mine.defer("attributes").order_by("started_at", "id")[: MOST_SHOWN + 1])
    spans = found[:MOST_SHOWN]
    counted = _used([span.usage_id for span in spans if span.usage_id], shows_costs=shows_costs)
    total = _total(mine.exclude(usage=None).order_by().values("usage"), shows_costs=shows_costs)
    return SpanTree(
        _rows(actor, spans, counted),
        total,
        shows_costs,
        is_cut=len(found) > MOST_SHOWN,
        logs=logs[:MOST_LOGS],
        has_more_logs=len(logs) > MOST_LOGS,
    )


def cost_of_span_for(actor: User, span: Span) -> Used | None:
    """What the plane counts for a span; None where it counts nothing, and where ``actor`` may not see what it cost."""
    if span.usage_id is None or not visible(actor, VIEW, CostItem.objects.filter(source_id=span.usage_id)).exists():
        return None
    return _used(UsageRecord.objects.filter(pk=span.usage_id).values("pk"), shows_costs=True).get(span.usage_id)


def _total(usages: QuerySet[Any, Any], *, shows_costs: bool) -> Used:
    """What all of these came to together, added up by the database: a run may have any number of them."""
    rows = UsageRecord.objects.filter(pk__in=usages)
    tokens = rows.aggregate(input=Sum("input_tokens", default=0), output=Sum("output_tokens", default=0))
    found = Used(tokens["input"], tokens["output"])
    if shows_costs:
        unpriced = Count("pk", filter=Q(priced_by=PricedBy.UNPRICED))
        costs = CostItem.objects.filter(kind=CostKind.LLM, source_id__in=usages)
        told = costs.aggregate(micro=Sum("amount_micro", default=0), unpriced=unpriced)
        found.cost_micro, found.unpriced = int(told["micro"]), told["unpriced"]
    return found


def _used(usages: QuerySet[Any, Any] | list[UUID], *, shows_costs: bool) -> dict[UUID, Used]:
    """What each usage came to, by its id. The price book's word: a late price mends it here as well."""
    rows = UsageRecord.objects.filter(pk__in=usages)
    found = {row.pk: Used(row.input_tokens, row.output_tokens) for row in rows}
    if shows_costs:
        for cost in CostItem.objects.filter(kind=CostKind.LLM, source_id__any_of=list(found)):
            found[cost.source_id].cost_micro = cost.amount_micro
            found[cost.source_id].unpriced = int(cost.priced_by == PricedBy.UNPRICED)
    return found


def _rows(actor: User, spans: list[Span], counted: dict[UUID, Used]) -> list[TraceRow]:
    """Spans of different agents do not stand below each other, whatever they say of their parents."""
    by_key = {_key(span, span.span_id): span for span in spans}
    laid = laid_out({key: _key(span, span.parent_id) for key, span in by_key.items()})
    actions = actions_for(actor).in_bulk({span.action_id for span in spans if span.action_id})
    if not spans:
        return []
    whole = min(span.started_at for span in spans), max(span.ended_at for span in spans)
    rows = [
        TraceRow(
            span,
            depth,
            own := counted.get(span.usage_id, Used()) if span.usage_id else Used(),
            Used(own.input_tokens, own.output_tokens, own.cost_micro, own.unpriced),
            actions.get(span.action_id) if span.action_id else None,
            *_place(span, whole),
        )
        for span, depth in ((by_key[key], depth) for key, depth in laid)
    ]
    _add_up(rows)
    return rows


def _place(span: Span, whole: tuple[datetime, datetime]) -> tuple[float, float, float]:
    """``after_s``, ``left`` and ``width``. A bar never leaves the line, also where a clock ran backwards."""
    length = max((whole[1] - whole[0]).total_seconds(), 0.001)
    after = (span.started_at - whole[0]).total_seconds()
    width = min(max((span.ended_at - span.started_at).total_seconds() / length * 100, NARROWEST), 100.0)
    return after, round(max(min(after / length * 100, 100 - width), 0), 2), round(width, 2)


def _key(span: Span, span_id: str) -> str:
    return f"{span.agent_id}:{span.trace_id}:{span_id}"


def _add_up(rows: list[TraceRow]) -> None:
    """Every row's ``whole`` into that of the row above it; from the last on, so that each is whole by then."""
    above: list[int] = []
    over = list[int | None]()
    for place, row in enumerate(rows):
        del above[row.depth :]
        over.append(above[-1] if above else None)
        above.append(place)
    for place in reversed(range(len(rows))):
        higher = over[place]
        if higher is not None:
            rows[higher].whole.add(rows[place].whole)
