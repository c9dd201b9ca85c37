"""How right agents' actions were: by capability, by operation and by agent."""

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
from apps.kpis.selectors.parts import NO_CAPABILITY, part_names
from apps.kpis.selectors.reading import VIEW, actions_for

KPI = "accuracy"
COUNTS: dict[str, Any] = {
    "judged": Count("action_id"),
    "right": Count("action_id", filter=MEMBERS["judged_right"]),
}


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """One capability, operation or agent: how many of its judged actions were right, and where these are listed."""

    name: str
    share: Share
    href: str

    @property
    def wrong(self) -> int:
        """How many were not."""
        return self.share.whole - self.share.part


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The judged actions of a period, taken apart in three ways; each adds up to the whole.

    ``capabilities``: none where no action was asked for in a task.
    """

    whole: AccuracyLine
    capabilities: list[AccuracyLine]
    operations: list[AccuracyLine]
    agents: list[AccuracyLine]


def accuracy_for(actor: User, asked: KpiFilter) -> Accuracy:
    """What was judged of what ended in the period, the most judged first."""
    require(actor, VIEW)
    rows = actions_for(actor, asked).filter(within("ended_at", asked.period)).filter(MEMBERS["judged"]).order_by()
    found = rows.aggregate(**COUNTS)
    whole = AccuracyLine("", Share(found["right"], found["judged"]), page_of_kpi(asked, KPI))
    return Accuracy(whole, _by_capability(rows, asked), _by("operation", rows, asked), _by("agent", rows, asked))


def _by(column: str, rows: QuerySet[ActionFact], asked: KpiFilter) -> list[AccuracyLine]:
    def own(name: str) -> KpiFilter:
        return replace(asked, agent=name) if column == "agent" else replace(asked, operation=name)

    return [AccuracyLine(name, share, page_of_kpi(own(name), KPI)) for name, share in _shares(column, rows)]


def _by_capability(rows: QuerySet[ActionFact], asked: KpiFilter) -> list[AccuracyLine]:
    found = _shares("capability", rows)
    if not any(name for name, _share in found):
        return []
    names = part_names()
    return [
        AccuracyLine(
            name or names[NO_CAPABILITY],
            share,
            page_of_kpi(replace(asked, part=("capability", name or NO_CAPABILITY)), KPI),
        )
        for name, share in found
    ]


def _shares(column: str, rows: QuerySet[ActionFact]) -> list[tuple[str, Share]]:
    found: QuerySet[Any, Any] = rows.values(column).annotate(**COUNTS).order_by("-judged", column)
    return [(row[column], Share(row["right"], row["judged"])) for row in found]
