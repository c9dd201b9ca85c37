"""Taking from budgets before something is done, and settling it when that ended. Never more than the cap.

The order of locks: a period, then its reservations. Whoever takes several budgets takes them in the order of their ids.
"""

from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import planned_once
from apps.core.services import system_user
from apps.policies.models import Budget, BudgetPeriod, Reservation
from apps.policies.rules.budgets import (
    RELEASES,
    SPENDS,
    Covering,
    Excess,
    ReservationState,
    Why,
    is_worth_a_warning,
)
from apps.policies.selectors.budgets import PRESENT, is_counted

RESERVE = """
INSERT INTO policies_budgetperiod AS p (budget_id, starts, zone, spent, reserved)
SELECT b.id, s.starts, t.zone, 0, %s FROM @present WHERE b.id = %s AND (%s OR %s <= b.cap)
ON CONFLICT (budget_id, starts) DO UPDATE SET reserved = p.reserved + excluded.reserved
WHERE %s OR p.spent + p.reserved + excluded.reserved <= (SELECT cap FROM policies_budget WHERE id = p.budget_id)
RETURNING p.id, p.spent + p.reserved, p.warned_at IS NULL
""".replace("@present", PRESENT)
"""One conditional UPDATE (an INSERT for the first of a period): it takes the amount where that fits, or nothing."""
SETTLE = """
WITH ended AS (
    SELECT r.id, r.amount, r.is_beyond, a.state = ANY(%s) OR a.taken_at_word AS spends
    FROM policies_reservation r JOIN agents_action a ON a.id = r.action_id
    WHERE r.period_id = %s AND r.state = 'held' AND a.state = ANY(%s) FOR UPDATE OF r
), moved AS (
    UPDATE policies_reservation r SET settled_at = clock_timestamp(),
           state = CASE WHEN e.spends THEN 'spent' ELSE 'released' END
    FROM ended e WHERE r.id = e.id
)
UPDATE policies_budgetperiod p SET reserved = p.reserved - s.freed, spent = p.spent + s.spent FROM (
    SELECT coalesce(sum(amount) FILTER (WHERE NOT is_beyond), 0) AS freed,
           coalesce(sum(amount) FILTER (WHERE spends), 0) AS spent, count(*) AS found FROM ended
) s WHERE p.id = %s AND s.found > 0 RETURNING s.found
"""


class BeyondBudgetError(Exception):
    """An action does not fit the budgets in ``excesses``. Whoever catches it has undone what was taken."""

    def __init__(self, excesses: Sequence[Excess]) -> None:
        super().__init__()
        self.excesses = excesses


def reserve(action: Action, budgets: Iterable[Covering], *, beyond: Iterable[str] = ()) -> None:
    """Take what ``action`` needs of each budget. Call last in a transaction: the rows are everybody's.

    ``beyond``: the slugs of budgets that people are asked about: of these it is written down outside the cap.
    Raises BeyondBudgetError where it does not fit others; then roll back to before the call.
    """
    asked = set(beyond)
    excesses = [
        excess for budget in budgets if (excess := _take(action, budget, is_beyond=budget.slug in asked)) is not None
    ]
    if excesses:
        raise BeyondBudgetError(excesses)


def _take(action: Action, budget: Covering, *, is_beyond: bool) -> Excess | None:
    share = budget.share_of(action.amount_minor, action.currency)
    if share == 0:
        return None
    if is_beyond:
        _write_down(action, budget, share or 0)  # what is in another currency stands beside it and adds nothing
        return None
    if share is None:
        return Excess(budget, Why.OTHER_CURRENCY, _left(budget))
    taken = _reserve(budget, share)
    if taken is None and _settle_now(budget):
        taken = _reserve(budget, share)
    if taken is None:
        return Excess(budget, Why.EXHAUSTED, _left(budget))
    period_id, used, is_unwarned = taken
    Reservation.objects.create(period_id=period_id, action=action, amount=share)
    if is_unwarned and is_worth_a_warning(used, budget.cap):
        _warn(budget, period_id, used)
    return None


def _reserve(budget: Covering, share: int, *, anyway: bool = False) -> tuple[int, int, bool] | None:
    """The period's id, what is used of it now, and whether nobody was warned yet; None where it does not fit."""
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(RESERVE, [share, budget.id, anyway, share, anyway])
        found: tuple[int, int, bool] | None = cursor.fetchone()
    return found


def _present(budget: Covering) -> tuple[int, int]:
    """The present period's id, and what is used of it; made where it has begun just now, and locked."""
    found = _reserve(budget, 0, anyway=True)
    assert found is not None, "a budget is ended, never deleted"
    return found[:2]


def _write_down(action: Action, budget: Covering, share: int) -> None:
    Reservation.objects.create(period_id=_present(budget)[0], action=action, amount=share, is_beyond=True)


def _left(budget: Covering) -> int:
    return max(budget.cap - _present(budget)[1], 0)


def _warn(budget: Covering, period_id: int, used: int) -> None:
    """Tell its owner, once in each period: whoever reserved holds the row."""
    BudgetPeriod.objects.filter(pk=period_id).update(warned_at=ClockTimestamp())
    held = Reservation.objects.filter(period_id=period_id, state=ReservationState.HELD, is_beyond=False)
    waiting = held.filter(action__state=ActionState.PENDING_APPROVAL).aggregate(of=Sum("amount"))["of"] or 0
    told = {"name": budget.slug, "used": used, "cap": budget.cap, "currency": budget.currency, "waiting": int(waiting)}
    record(system_user("plane"), Budget.objects.get(pk=budget.id), "budget.warned", payload=told)


def _settle_now(budget: Covering) -> bool:
    """Settle what ended in the budget's present period, so that nothing is refused for what was given back before."""
    return _settle(_present(budget)[0]) > 0


def settle_reservations() -> int:
    """Settle what ended, one period after the other, each in a transaction of its own; how many reservations."""
    ended = Reservation.objects.filter(state=ReservationState.HELD, action__state__in=SPENDS | RELEASES)
    return sum(map(_settle_period, ended.order_by("period").values_list("period", flat=True).distinct()))


@transaction.atomic
def _settle_period(period_id: int) -> int:
    BudgetPeriod.objects.select_for_update().get(pk=period_id)
    return _settle(period_id)


def _settle(period_id: int) -> int:
    spends, ends = sorted(SPENDS), sorted(SPENDS | RELEASES)
    with connection.cursor() as cursor:
        cursor.execute(SETTLE, [spends, period_id, ends, period_id])
        found = cursor.fetchone()
    return int(found[0]) if found else 0


@transaction.atomic
def reserve_again(actor: User, *, action: Action, budgets: Iterable[Covering]) -> None:
    """An action that waits for people has other parameters now: what it holds of budgets follows. Call last.

    It may have held nothing: it had no amount. What people are asked about beyond a budget stays so where it still does
    not fit. Raises InvalidError where the new amount does not fit a budget that they were not asked about.
    """
    rows = Reservation.objects.filter(action=action, state=ReservationState.HELD).select_related("period")
    held = {row.period.budget_id: row for row in rows}
    wanted = {budget.id: budget for budget in budgets} if is_counted(action) else {}
    excesses = []
    for budget_id in sorted({*held, *wanted}):
        if row := held.get(budget_id):
            _give_back(row)
        budget = wanted.get(budget_id)
        excess = _take(action, budget, is_beyond=False) if budget else None
        if budget and excess and row and row.is_beyond:
            _take(action, budget, is_beyond=True)
        elif excess:
            excesses.append(excess)
    if excesses:
        raise InvalidError(_("It does not fit."), errors={"parameters": [_said(excess) for excess in excesses]})


def _give_back(row: Reservation) -> None:
    """Take a reservation out of its period, which is locked first."""
    period = BudgetPeriod.objects.select_for_update().get(pk=row.period_id)
    if not row.is_beyond:
        BudgetPeriod.objects.filter(pk=period.pk).update(reserved=period.reserved - row.amount)
    Reservation.objects.filter(pk=row.pk).delete()


def _said(excess: Excess) -> str:
    told = {"name": excess.budget.name, "left": excess.left, "currency": excess.budget.currency}
    if excess.why is Why.OTHER_CURRENCY:
        return _("The budget “%(name)s” counts %(currency)s only.") % told
    return _("The budget “%(name)s” has %(left)s left (minor units or calls).") % told
