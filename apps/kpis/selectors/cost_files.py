"""What stands apart on the page on cost, as files: money that actions moved, and budgets as they are used now."""

from apps.core.amounts import exponent_of
from apps.core.models import User
from apps.kpis.models.clock import database_now
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.spending import budgets_used_for, moved_for

type Raw = list[list[str | float | None]]

MOVED = ["currency", "done", "actions", "taken back", "actions taken back"]
BUDGETS = ["budget", "counts", "of", "since", "spent", "reserved", "at most", "unit", "a"]


def apart_file_for(actor: User, asked: KpiFilter, figure: str) -> Raw | None:
    """``moved`` or ``budgets`` as raw numbers, amounts in whole units, below lines that say what they are.

    None of anything else, and of budgets for who may see none anywhere.
    """
    rows = {"moved": _moved, "budgets": _budgets}[figure](actor, asked) if figure in {"moved", "budgets"} else None
    if rows is None:
        return None
    head: Raw = [[f"# filter: {asked.query}"], [f"# zone: {asked.zone.key}"]]
    return [*head, [f"# as of: {database_now().isoformat()}"], *rows]


def _moved(actor: User, asked: KpiFilter) -> Raw:
    rows: Raw = [[*MOVED]]
    for one in moved_for(actor, asked):
        done, back = (_units(minor, one.currency) for minor in (one.minor, one.minor_back))
        rows.append([one.currency, done, one.actions, back, one.actions_back])
    return rows


def _budgets(actor: User, asked: KpiFilter) -> Raw | None:
    found = budgets_used_for(actor, asked)
    if found is None:
        return None
    rows: Raw = [[*BUDGETS]]
    for budget, used in found:
        is_money = budget.measure == "money"
        told = [_units(n, budget.currency) if is_money else n for n in (used.spent, used.reserved, budget.cap)]
        unit = budget.currency if is_money else budget.measure
        since = used.starts.isoformat()
        rows.append([budget.slug, budget.scope, budget.target, since, *told, unit, budget.period])
    return [["# as they stand now, in their own day or month, whatever the range"], *rows]


def _units(minor: int, currency: str) -> float:
    return minor / float(10 ** exponent_of(currency))
