"""What was spent, by kind, workflow, agent and model; what has no price; and the money that agents' actions moved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from apps.access.selectors import unit_ids_below
from apps.agents.rules import ActionState
from apps.core.gate import holds, require
from apps.core.models import User
from apps.kpis.models import ActionFact, CostItem
from apps.kpis.models.clock import reporting_currency
from apps.kpis.models.measures import COST_MEASURES, grouped, within
from apps.kpis.rules.costs import PricedBy
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.spending import COLUMNS, CostPart, CostSum, Told
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.reading import VIEW, actions_for, costs_for
from apps.policies.models import Budget
from apps.policies.rules.budgets import BudgetScope
from apps.policies.selectors.budgets import Used, budgets_for, used_of

UNPRICED = Q(priced_by=PricedBy.UNPRICED)
SUMS: dict[str, Any] = {
    "micro": COST_MEASURES["spend_micro"],
    "items": COST_MEASURES["cost_items"],
    "unpriced": Count("id", filter=UNPRICED),
    "quantity": Sum("quantity"),
    "reasoning": Sum("reasoning"),
}
DONE, TAKEN_BACK = ActionState.SUCCEEDED, ActionState.COMPENSATED

type Cell = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Spending:
    """The costs of an answer's period: of each bucket by kind, and of all of it by kind, workflow, agent and model."""

    by_bucket: list[dict[str, CostSum]]
    cells: Mapping[Cell, CostSum]

    def by(self, *names: str) -> dict[tuple[str, ...], CostSum]:
        """The sums by some of ``COLUMNS``, the dearest first, and of what costs nothing the most unpriced."""
        places = [COLUMNS.index(name) for name in names]
        found: dict[tuple[str, ...], CostSum] = {}
        for cell, one in self.cells.items():
            key = tuple(cell[place] for place in places)
            found[key] = found.get(key, CostSum()) + one
        return dict(sorted(found.items(), key=lambda row: (-row[1].micro, -row[1].unpriced, row[0])))


@dataclass(frozen=True, slots=True)
class Moved:
    """Money of one currency that agents' actions were about: of those that were done, and that were taken back."""

    currency: str
    actions: int = 0
    minor: int = 0
    actions_back: int = 0
    minor_back: int = 0


def spending_for(actor: User, answer: Answer) -> Spending:
    """What ``actor`` was answered as *Spend*, taken apart. Two queries over the same costs."""
    require(actor, VIEW)
    costs = answer.reader.costs
    buckets = [point.bucket for point in answer.series]
    by_bucket: list[dict[str, CostSum]] = [{} for _ in buckets]
    for (at, kind), row in grouped(costs, "incurred_at", buckets, SUMS, ("kind",)).items():
        by_bucket[at][kind] = _summed(row)
    cells = grouped(costs, "incurred_at", [answer.asked.period], SUMS, COLUMNS)
    return Spending(by_bucket, {(key[1], key[2], key[3], key[4]): _summed(row) for key, row in cells.items()})


def told_for(actor: User, asked: KpiFilter) -> list[Told]:
    """What agents say that their calls of models in the period cost, by model and currency; in no sum of ours."""
    rows = costs_for(actor, asked).filter(within("incurred_at", asked.period), reported_micro__isnull=False)
    held = Q(priced_by=PricedBy.BOOK, reported_currency=reporting_currency())
    found: QuerySet[Any, Any] = rows.order_by("model", "reported_currency").values("model", "reported_currency")
    return [
        Told(row["model"], row["reported_currency"], row["n"], int(row["told"]), row["against"], row["ours"])
        for row in found.annotate(
            n=Count("pk"),
            told=Sum("reported_micro"),
            against=Sum("reported_micro", filter=held),
            ours=Sum("amount_micro", filter=held),
        )
    ]


def costs_behind_for(actor: User, asked: KpiFilter, part: CostPart) -> QuerySet[CostItem]:
    """The costs that a bar or a cell is the sum of."""
    rows = costs_for(actor, asked).filter(within("incurred_at", asked.period), **part.limits)
    return rows.filter(UNPRICED) if part.unpriced else rows


def sum_of(rows: QuerySet[CostItem]) -> CostSum:
    """These costs together."""
    return _summed(rows.order_by().aggregate(**SUMS))


def _summed(row: Mapping[str, Any]) -> CostSum:
    return CostSum(**{name: int(row[name] or 0) for name in SUMS})


def moved_behind_for(actor: User, asked: KpiFilter, currency: str | None = None) -> QuerySet[ActionFact]:
    """The actions with an amount that were done in the period, also where they were taken back since."""
    rows = actions_for(actor, asked).filter(
        within("ended_at", asked.period), state__in=[DONE, TAKEN_BACK], amount_minor__isnull=False
    )
    return rows if currency is None else rows.filter(currency=currency)


def moved_for(actor: User, asked: KpiFilter) -> list[Moved]:
    """The money of these actions, by currency: what moved is exchanged for nothing, so nothing is added over two."""
    back = Q(state=TAKEN_BACK)
    found: QuerySet[Any, Any] = moved_behind_for(actor, asked).order_by("currency").values("currency")
    return [
        Moved(row["currency"], row["n"], int(row["minor"] or 0), row["n_back"], int(row["minor_back"] or 0))
        for row in found.annotate(
            n=Count("pk", filter=~back),
            minor=Sum("amount_minor", filter=~back),
            n_back=Count("pk", filter=back),
            minor_back=Sum("amount_minor", filter=back),
        )
    ]


def budgets_used_for(actor: User, asked: KpiFilter) -> list[tuple[Budget, Used]] | None:
    """The budgets in force that ``actor`` may see, as used now, within the filter's unit, workflow and agent.

    None for who may see no budget anywhere.
    """
    if not holds(actor, "policies.view_policy"):
        return None
    rows = budgets_for(actor)
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    if asked.workflow:
        rows = rows.filter(scope=BudgetScope.WORKFLOW, target=asked.workflow)
    if asked.agent:
        rows = rows.filter(scope=BudgetScope.AGENT, target=asked.agent)
    found = list(rows)
    used = used_of(found)
    return [(budget, used[budget.pk]) for budget in found]
