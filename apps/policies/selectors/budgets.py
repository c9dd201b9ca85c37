"""Budgets in force, and how much of each is used now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from django.db import connection
from django.db.models import Count, QuerySet, Sum

from apps.access.selectors import holders_for
from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState, Environment
from apps.core.errors import NotFoundError
from apps.core.gate import holds, scope_for, visible
from apps.core.models import User
from apps.policies.models import Budget, BudgetChange, Reservation
from apps.policies.rules import ProposalState
from apps.policies.rules.budgets import RELEASES, SPENDS, Covering, Excess, Limits, ReservationState, Why
from apps.policies.selectors.proposals import LOWER, PUBLISH, SHOWN_MAX, VIEW

PRESENT = """
policies_budget b LEFT JOIN access_businessunit u ON u.id = b.unit_id
LEFT JOIN LATERAL (
    SELECT starts, coalesce(nullif(zone, ''), u.timezone, 'UTC') AS zone
    FROM policies_budgetperiod WHERE budget_id = b.id ORDER BY starts DESC LIMIT 1
) l ON true
CROSS JOIN LATERAL (
    SELECT coalesce(u.timezone, 'UTC') AS zone,
           date_trunc(b.period, clock_timestamp() AT TIME ZONE coalesce(u.timezone, 'UTC'))::date AS today,
           date_trunc(b.period, clock_timestamp() AT TIME ZONE coalesce(l.zone, u.timezone, 'UTC'))::date AS its_today
) t
CROSS JOIN LATERAL (
    SELECT CASE WHEN l.starts >= least(t.today, t.its_today) THEN l.starts
                WHEN b.period = 'day' AND (l.starts + 1)::timestamp AT TIME ZONE l.zone
                     > t.today::timestamp AT TIME ZONE t.zone + interval '12 hours' THEN t.today + 1
                ELSE t.today END AS starts
) s
"""
"""Each budget with the beginning of its present period, ``s.starts``, and the zone of one that begins now, ``t.zone``.

A period ends once its day is over in the zone in which it began and in the unit's of now: whoever changes a unit's
zone, there or back, makes a day longer, and has none twice. A day of the new zone of which more than half was in the
day before begins no day of its own: it belongs to the one that comes.
"""
USED = """
SELECT b.id, s.starts, (s.starts + ('1 ' || b.period)::interval)::date, coalesce(p.spent, 0), coalesce(p.reserved, 0),
       coalesce((SELECT sum(r.amount) FROM policies_reservation r
                 WHERE r.period_id = p.id AND r.state = 'held' AND r.is_beyond), 0),
       CASE WHEN b.created_at > s.starts::timestamp AT TIME ZONE coalesce(nullif(p.zone, ''), t.zone)
            THEN b.created_at END
FROM @present LEFT JOIN policies_budgetperiod p ON p.budget_id = b.id AND p.starts = s.starts
WHERE b.id = ANY(%s)
""".replace("@present", PRESENT)

NEAR = """
SELECT p.budget_id, p.id, p.spent + p.reserved
FROM @present JOIN policies_budgetperiod p ON p.budget_id = b.id AND p.starts = s.starts
WHERE b.id = ANY(%s)
""".replace("@present", PRESENT)
UNSETTLED = """
SELECT coalesce(sum(CASE WHEN (a.state = ANY(%s) AND NOT a.taken_at_word OR a.id = %s) AND NOT r.is_beyond
                              THEN -r.amount
                         WHEN (a.state = ANY(%s) OR a.taken_at_word) AND r.is_beyond THEN r.amount ELSE 0 END), 0)
FROM policies_reservation r JOIN agents_action a ON a.id = r.action_id
WHERE r.period_id = %s AND r.state = 'held'
"""
"""What settling the actions that ended would change of what is used; the action given counts as ended too."""


def budgets_for(actor: User) -> QuerySet[Budget]:
    """Budgets in force in the actor's units, by slug."""
    scope = scope_for(actor, VIEW)
    rows = Budget.objects.filter(ended_at=None).select_related("unit", "owner").order_by("slug")
    return rows if scope.everywhere else rows.filter(unit__in=scope.units)


def budget_for(actor: User, slug: str) -> Budget:
    """One of them. Raises NotFoundError."""
    if found := budgets_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def is_counted(action: Action) -> bool:
    """Whether budgets count an action, which need not be saved: what is meant, and takes nothing back.

    What takes something back counts once it moves more than was done: its amount may be what an agent said came of it.
    """
    if action.environment != Environment.LIVE:
        return False
    if action.purpose == "act" or not action.amount_minor:
        return action.purpose == "act"
    undone = action.compensates_id
    done = Action.objects.filter(pk=undone, currency=action.currency).first() if undone else None
    return done is None or action.amount_minor > (done.amount_minor or 0)


@dataclass(frozen=True, slots=True)
class Used:
    """The present day or month of a budget: minor units or calls.

    ``beyond``: what waits for people above the cap. ``since``: where it was made in the middle of this day or month,
    when; what was spent before is not counted.
    """

    starts: date
    ends: date
    spent: int
    reserved: int
    beyond: int
    since: datetime | None


def used_of(budgets: Iterable[Budget]) -> dict[UUID, Used]:
    """How much of each is used in its present period. One query."""
    with connection.cursor() as cursor:
        cursor.execute(USED, [[budget.pk for budget in budgets]])
        return {row[0]: Used(row[1], row[2], row[3], row[4], int(row[5]), row[6]) for row in cursor.fetchall()}


class By(StrEnum):
    """Whose actions wait: an agent's, of agents that whoever looks may not see, or what workflows do themselves."""

    AGENT = "agent"
    OTHER_AGENTS = "other_agents"
    WORKFLOWS = "workflows"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for people holds of a budget now; ``agent`` is empty but for one agent's."""

    by: By
    agent: str
    amount: int
    actions: int


def waiting_of(actor: User, used: Mapping[UUID, Used]) -> dict[UUID, list[Waiting]]:
    """Whose actions hold the present day or month only because they wait for people; of each budget the most first.

    ``used`` says by budget which day or month that is. Two queries, however many budgets.
    """
    rows = Reservation.objects.filter(
        period__budget__in=list(used),
        period__starts__in={one.starts for one in used.values()},
        state=ReservationState.HELD,
        is_beyond=False,
        action__state=ActionState.PENDING_APPROVAL,
    )
    by_agent = rows.values_list("period__budget", "period__starts", "action__agent__slug")
    sums = [row for row in by_agent.annotate(Sum("amount"), Count("pk")) if row[1] == used[row[0]].starts]
    named = Agent.objects.filter(slug__in={row[2] for row in sums if row[2]})
    seen = set(visible(actor, "agents.view_agent", named).values_list("slug", flat=True))
    found: dict[UUID, dict[tuple[By, str], Waiting]] = {budget: {} for budget in used}
    for budget, _starts, slug, amount, actions in sums:
        by = By.WORKFLOWS if slug is None else By.AGENT if slug in seen else By.OTHER_AGENTS
        name = slug if by == By.AGENT else ""
        before = found[budget].get((by, name), Waiting(by, name, 0, 0))
        found[budget][by, name] = Waiting(by, name, before.amount + int(amount), before.actions + actions)
    return {
        budget: sorted(those.values(), key=lambda one: (-one.amount, one.by, one.agent))
        for budget, those in found.items()
    }


def excesses_for(
    actor: User,
    covering: Sequence[Covering],
    *,
    amount_minor: int | None,
    currency: str,
    instead_of: UUID | None = None,
) -> list[Excess]:
    """Which of these budgets an action of this amount would not fit now, as taking it would say. Locks nothing.

    ``instead_of``: an action that waits and would go first. One query, and one more for each that it does not fit.
    """
    assert actor.is_active
    with connection.cursor() as cursor:
        cursor.execute(NEAR, [[budget.id for budget in covering]])
        periods = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
    found = []
    for budget in covering:
        share = budget.share_of(amount_minor, currency)
        if share == 0:
            continue
        period, used = periods.get(budget.id, (None, 0))
        if period is not None and (share is None or used + share > budget.cap):
            used += _unsettled(period, instead_of)
        if share is None:
            found.append(Excess(budget, Why.OTHER_CURRENCY, max(budget.cap - used, 0)))
        elif used + share > budget.cap:
            found.append(Excess(budget, Why.EXHAUSTED, max(budget.cap - used, 0)))
    return found


def _unsettled(period_id: int, instead_of: UUID | None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(UNSETTLED, [sorted(RELEASES), instead_of, sorted(SPENDS), period_id])
        return int(cursor.fetchone()[0])


def returnable_for(actor: User, budget: Budget) -> QuerySet[Reservation]:
    """What counts as spent in the present day or month by the word of an agent alone, that it failed; newest first.

    People who looked may give it back. What the plane carried out itself it knows.
    """
    rows = Reservation.objects.select_related("action", "period").order_by("-id")
    if not (holds(actor, VIEW, budget) or holds(actor, PUBLISH, budget)):
        return rows.none()
    return rows.filter(
        period__budget=budget,
        period__starts=used_of([budget])[budget.pk].starts,
        state=ReservationState.SPENT,
        action__state=ActionState.FAILED,
        action__taken_at_word=True,
    )


def limits_of(budget: Budget) -> Limits:
    """What of a budget may change, as it is."""
    return Limits(budget.cap, budget.exhausted, budget.queue)


def base_of(change: BudgetChange) -> Limits:
    """What the budget said when the change was proposed."""
    return Limits(change.was_cap, change.was_exhausted, change.was_queue)


def wanted_by(change: BudgetChange) -> Limits:
    """What the budget would say."""
    return Limits(change.cap, change.exhausted, change.queue)


def changes_for(actor: User) -> QuerySet[BudgetChange]:
    """What was proposed of the budgets that ``actor`` may see, newest first."""
    return visible(
        actor, VIEW, BudgetChange.objects.select_related("budget__unit", "author", "decided_by", "reservation__action")
    ).order_by("-id")


def change_for(actor: User, slug: str, change_id: UUID) -> BudgetChange:
    """One of them, of the budget ``slug``. Raises NotFoundError."""
    if found := changes_for(actor).filter(budget__slug=slug, pk=change_id).first():
        return found
    raise NotFoundError


def open_changes_for(actor: User, budgets: Iterable[Budget]) -> dict[UUID, list[BudgetChange]]:
    """What waits of each of these budgets. One query."""
    found: dict[UUID, list[BudgetChange]] = {budget.pk: [] for budget in budgets}
    for change in changes_for(actor).filter(budget__in=found, state=ProposalState.OPEN):
        found[change.budget_id].append(change)
    return found


def waiting_changes_for(actor: User) -> int:
    """How many wait for somebody who may lower enforcement, where ``actor`` may and did not propose them."""
    rows = visible(actor, LOWER, BudgetChange.objects.filter(state=ProposalState.OPEN).exclude(author=actor))
    return rows.count()


def releasers_of(actor: User, change: BudgetChange) -> list[User]:
    """Who else than its author may release it, by name."""
    unit = change.budget.unit_id
    found = holders_for(actor, PUBLISH, unit).filter(pk__in=holders_for(actor, LOWER, unit).values("pk"))
    return list(found.exclude(pk=change.author_id)[:SHOWN_MAX])


def may_release_change(actor: User, change: BudgetChange) -> bool:
    """Whether ``actor`` may release it while it waits."""
    is_other = change.state == ProposalState.OPEN and change.author_id != actor.pk and actor.is_human
    return is_other and holds(actor, PUBLISH, change) and holds(actor, LOWER, change)
