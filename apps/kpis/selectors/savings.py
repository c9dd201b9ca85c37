"""What runs saved against a baseline: of money, and of people's time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import BigIntegerField, Case, F, Q, QuerySet, Sum, Value, When

from apps.kpis.models.measures import grouped
from apps.kpis.rules.buckets import Period
from apps.kpis.selectors.goals import HUMAN_MS, BaselineCost

type Found = Mapping[tuple[Any, ...], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Saving:
    """What is saved of the column ``of``: the measure that says how much, and the one of the runs that it is of."""

    of: str
    saved: str
    compared: str


SAVINGS = (Saving("cost_micro", "saved_micro", "compared"), Saving(HUMAN_MS, "saved_ms", "compared_time"))
SAVED = tuple(name for one in SAVINGS for name in (one.saved, one.compared))


def saved_in(
    saving: Saving,
    costs: Sequence[BaselineCost],
    runs: QuerySet[Any],
    first_start: Callable[[], datetime | None],
    periods: Sequence[Period],
    sums: Found,
) -> Found:
    """Baseline of each success less what every run took, where a baseline was in force at its start.

    By (period, workflow). Where one baseline a workflow has been in force since before its first run, the sums say it
    already.
    """
    if not costs:
        return {}
    if (constant := _constant(costs, {name for _, name in sums}, first_start())) is not None:
        return {
            (at, name): _of_sums(saving, row, constant[name])
            for (at, name), row in sums.items()
            if constant.get(name) is not None
        }
    covered = [_valid(cost) for cost in costs]
    saved = Case(
        *(When(valid, then=_of_run(saving, cost)) for cost, valid in zip(costs, covered, strict=True)),
        output_field=BigIntegerField(),
    )
    measures = {saving.saved: Sum("saved"), saving.compared: Sum(Value(1))}
    return grouped(
        runs.filter(compared_by(saving.of, costs)).annotate(saved=saved),
        "finished_at",
        periods,
        measures,
        ("workflow",),
    )


def _constant(
    costs: Sequence[BaselineCost], workflows: set[str], first: datetime | None
) -> dict[str, int | None] | None:
    """Each workflow's one baseline; None if any began after the first run had started, or has an end."""
    found: dict[str, int | None] = {}
    for name in workflows:
        own = [cost for cost in costs if cost.workflow == name] or [cost for cost in costs if not cost.workflow]
        if len(own) > 1 or (own and first is not None and (own[0].since > first or own[0].until)):
            return None
        found[name] = own[0].amount if own else None
    return found


def _of_sums(saving: Saving, row: Mapping[str, Any], amount: int | None) -> dict[str, Any]:
    closed = sum(row.get(name) or 0 for name in ("succeeded", "failed", "cancelled"))
    if amount is None or not closed:
        return {}
    return {saving.saved: amount * (row["succeeded"] or 0) - (row[saving.of] or 0), saving.compared: closed}


def compared_by(of: str, costs: Sequence[BaselineCost]) -> Q:
    """The runs at whose start a baseline of this column was in force: those of which something is saved or lost."""
    return reduce(or_, (_valid(cost) for cost in costs if cost.of == of), Q(pk__in=[]))


def _valid(cost: BaselineCost) -> Q:
    valid = Q(started_at__gte=cost.since) & (Q(workflow=cost.workflow) if cost.workflow else Q())
    return valid if cost.until is None else valid & Q(started_at__lt=cost.until)


def _of_run(saving: Saving, cost: BaselineCost) -> Any:
    return Case(When(state="succeeded", then=Value(cost.amount)), default=Value(0)) - F(saving.of)
