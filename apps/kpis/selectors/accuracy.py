"""How right agents' actions were, operation by operation and agent by agent."""

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, QuerySet

from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.kpis.models.measures import MEMBERS, within
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.quality import Share
from apps.kpis.selectors.drawings import page_of_kpi
from apps.kpis.selectors.reading import VIEW, actions_for

KPI = "accuracy"
COUNTS: dict[str, Any] = {
    "judged": Count("action_id"),
    "right": Count("action_id", filter=MEMBERS["judged_right"]),
}


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """One operation or agent: how many of its judged actions were right, and where these are listed."""

    name: str
    share: Share
    href: str

    @property
    def wrong(self) -> int:
        """How many were not."""
        return self.share.whole - self.share.part


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The judged actions of a period, taken apart in two ways; each adds up to the whole."""

    whole: AccuracyLine
    operations: list[AccuracyLine]
    agents: list[AccuracyLine]


def accuracy_for(actor: User, asked: KpiFilter) -> Accuracy:
    """What was judged of what ended in the period, the most judged first."""
    require(actor, VIEW)
    rows = actions_for(actor, asked).filter(within("ended_at", asked.period)).filter(MEMBERS["judged"]).order_by()
    found = rows.aggregate(**COUNTS)
    whole = AccuracyLine("", Share(found["right"], found["judged"]), page_of_kpi(asked, KPI))
    return Accuracy(whole, _by("operation", rows, asked), _by("agent", rows, asked))


def _by(column: str, rows: QuerySet[ActionFact], asked: KpiFilter) -> list[AccuracyLine]:
    found = rows.values(column).annotate(**COUNTS).order_by("-judged", column)
    return [
        AccuracyLine(
            row[column],
            Share(row["right"], row["judged"]),
            page_of_kpi(replace(asked, **{column: row[column]}), KPI),
        )
        for row in found
    ]
