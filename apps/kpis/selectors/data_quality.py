"""How far the figures can be trusted: how late they are, and what is missing from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet, Sum

from apps.audit.selectors import lag_s_for, outbox_rows_for
from apps.core.gate import holds, require, scope_for, visible
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import CostItem, Reconciliation, RunFact
from apps.kpis.rules.costs import CostKind, PricedBy
from apps.kpis.rules.quality import Share
from apps.kpis.selectors.reading import VIEW
from apps.telemetry.models import Span
from apps.telemetry.rules.tools import Coverage
from apps.telemetry.selectors import Rejected, Unlinked, coverage_of_all_for, rejected_for, spans_for, unlinked_for

DAYS = 30
AHEAD_S = 2
"""A span that ends so much later than it arrived comes from a clock that is ahead."""
MOST_LINES = 50
CLAMPED = Q(clock_clamped=True)


@dataclass(frozen=True, slots=True)
class Unpriced:
    """What one model used that nobody has a price for: calls and tokens, ever, and when last."""

    model: str
    calls: int
    tokens: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Ahead:
    """An agent whose clock is ahead: by how many seconds at most, in how many spans of the last day."""

    agent: str
    agent_name: str
    spans: int
    most_s: float


@dataclass(frozen=True, slots=True)
class Reported:
    """What is known of the agents' own reports. ``ahead`` is of the last day: of spans, those of clocks ahead."""

    rejected: Sequence[Rejected]
    unlinked: Sequence[Unlinked]
    ahead: Share
    clocks: Sequence[Ahead]
    coverage: Coverage

    @property
    def not_taken(self) -> Share:
        """Of all spans that were sent by agents with a rejection, those that were not taken."""
        rejected = sum(one.rejected for one in self.rejected)
        return Share(rejected, rejected + sum(one.kept for one in self.rejected))

    @property
    def loose(self) -> int:
        """Spans that belong to nothing and may still be linked by hand."""
        return sum(one.spans for one in self.unlinked)


@dataclass(frozen=True, slots=True)
class DataQuality:
    """``lag_s``: since the figures were last folded. ``reported``: None for whoever may see no agents.

    ``clamped``: of the runs that ended in ``DAYS``, those whose times ran backwards. ``abroad``: costs of people's
    time, fees and agents' own words in another currency than the reporting one, which are in no sum. ``reconciled``:
    when what is kept of each day was last held against the facts, and of how many buckets it differed and was mended.
    """

    lag_s: float
    outbox_rows: int
    clamped: Share
    unpriced: Sequence[Unpriced]
    abroad: int
    reported: Reported | None
    reconciled: Reconciliation | None

    @property
    def unpriced_tokens(self) -> int:
        """Tokens that cost nothing in any figure, because nobody has their price."""
        return sum(one.tokens for one in self.unpriced)


def data_quality_for(actor: User) -> DataQuality:
    """What is known of the figures that ``actor`` sees. Raises NotAllowedError for whoever sees none."""
    require(actor, VIEW)
    clamped = _ended(actor).order_by().aggregate(n=Count("pk"), clamped=Count("pk", filter=CLAMPED))
    return DataQuality(
        lag_s=lag_s_for(actor, "kpis"),
        outbox_rows=outbox_rows_for(actor),
        clamped=Share(clamped["clamped"], clamped["n"]),
        unpriced=_unpriced(actor),
        abroad=abroad_for(actor).count(),
        reported=_reported(actor) if holds(actor, "agents.view_agent") else None,
        reconciled=reconciled_for(actor),
    )


def reconciled_for(actor: User) -> Reconciliation | None:
    """The newest nightly comparison of what is kept with the facts: of all units, so for who sees all of them."""
    return Reconciliation.objects.order_by("-at").first() if scope_for(actor, VIEW).everywhere else None


def clamped_for(actor: User) -> QuerySet[RunFact]:
    """The runs that ended in ``DAYS`` and whose times ran backwards."""
    require(actor, VIEW)
    return _ended(actor).filter(CLAMPED)


def abroad_for(actor: User) -> QuerySet[CostItem]:
    """The costs in another currency than the reporting one, for which no rate of exchange held: in no sum."""
    require(actor, VIEW)
    return _unpriced_costs(actor).exclude(kind=CostKind.LLM)


def _ended(actor: User) -> QuerySet[RunFact]:
    since = ClockTimestamp() - timedelta(days=DAYS)
    return visible(actor, VIEW, RunFact.objects.filter(finished_at__gt=since, simulated=False, superseded=False))


def _unpriced_costs(actor: User) -> QuerySet[CostItem]:
    return visible(actor, VIEW, CostItem.objects.filter(priced_by=PricedBy.UNPRICED, simulated=False)).order_by()


def _unpriced(actor: User) -> list[Unpriced]:
    found: QuerySet[Any, Any] = _unpriced_costs(actor).filter(kind=CostKind.LLM).values("model")
    found = found.annotate(calls=Count("pk"), tokens=Sum("quantity"), last_at=Max("incurred_at"))
    return [Unpriced(**row) for row in found.order_by("-tokens")[:MOST_LINES]]


def _reported(actor: User) -> Reported:
    recent = spans_for(actor).filter(created_at__gt=ClockTimestamp() - timedelta(days=1)).order_by()
    ahead = recent.filter(ended_at__gt=F("created_at") + timedelta(seconds=AHEAD_S))
    return Reported(
        rejected=rejected_for(actor),
        unlinked=unlinked_for(actor),
        ahead=Share(ahead.count(), recent.count()),
        clocks=_clocks(ahead),
        coverage=coverage_of_all_for(actor),
    )


def _clocks(ahead: QuerySet[Span]) -> list[Ahead]:
    found: QuerySet[Any, Any] = ahead.values("agent__slug", "agent__name")
    found = found.annotate(n=Count("pk"), most=Max(F("ended_at") - F("created_at")))
    return [
        Ahead(row["agent__slug"], row["agent__name"], row["n"], row["most"].total_seconds())
        for row in found.order_by("-most")[:MOST_LINES]
    ]
