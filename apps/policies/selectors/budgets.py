"""Budgets in force, and how much of each is used now."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.core.errors import NotFoundError
from apps.core.gate import scope_for
from apps.core.models import User
from apps.policies.models import Budget

USED = """
SELECT b.id, s.starts, (s.starts + ('1 ' || b.period)::interval)::date, coalesce(p.spent, 0), coalesce(p.reserved, 0),
       coalesce((SELECT sum(r.amount) FROM policies_reservation r
                 WHERE r.period_id = p.id AND r.state = 'held' AND r.is_beyond), 0)
FROM policies_budget b LEFT JOIN access_businessunit u ON u.id = b.unit_id
CROSS JOIN LATERAL (
    SELECT date_trunc(b.period, clock_timestamp() AT TIME ZONE coalesce(u.timezone, 'UTC'))::date AS starts
) s LEFT JOIN policies_budgetperiod p ON p.budget_id = b.id AND p.starts = s.starts
WHERE b.id = ANY(%s)
"""


def budgets_for(actor: User) -> QuerySet[Budget]:
    """Budgets in force in the actor's units, by slug."""
    scope = scope_for(actor, "policies.view_policy")
    rows = Budget.objects.filter(ended_at=None).select_related("unit", "owner").order_by("slug")
    return rows if scope.everywhere else rows.filter(unit__in=scope.units)


def budget_for(actor: User, slug: str) -> Budget:
    """One of them. Raises NotFoundError."""
    if found := budgets_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


@dataclass(frozen=True, slots=True)
class Used:
    """The present day or month of a budget: minor units or calls. ``beyond``: what waits for people above the cap."""

    starts: date
    ends: date
    spent: int
    reserved: int
    beyond: int


def used_of(budgets: Iterable[Budget]) -> dict[UUID, Used]:
    """How much of each is used in its present period. One query."""
    with connection.cursor() as cursor:
        cursor.execute(USED, [[budget.pk for budget in budgets]])
        return {row[0]: Used(row[1], row[2], row[3], row[4], int(row[5])) for row in cursor.fetchall()}
