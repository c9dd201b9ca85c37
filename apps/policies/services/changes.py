"""Changes of budgets that let more through: proposed by one person, released or declined by another."""

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.gate import holds, require_human
from apps.core.models import ClockTimestamp, User
from apps.policies.models import Budget, BudgetChange, BudgetPeriod, Reservation
from apps.policies.rules import ProposalState
from apps.policies.rules.budgets import ChangeKind, Limits, ReservationState
from apps.policies.selectors.budgets import base_of, limits_of, releasers_of, returnable_for, wanted_by
from apps.policies.services.policies import LOWER, PUBLISH, not_eligible
from apps.policies.services.proposals import checked_reason


def locked(budget: Budget) -> Budget:
    """The budget as it is now, held until the transaction ends: its changes take turns."""
    rows = Budget.objects.select_for_update(no_key=True, of=("self",)).select_related("unit", "owner")
    return rows.get(pk=budget.pk)


def propose(
    actor: User,
    budget: Budget,
    kind: ChangeKind,
    wanted: Limits,
    *,
    reason: str,
    reservation: Reservation | None = None,
) -> BudgetChange:
    """Write down what is wanted of a locked budget; what waits already, whoever proposed it, is not written twice.

    Raises InvalidError at ``reason``; NotAllowedError in production for who is no person, as two people answer for it.
    """
    if settings.IN_PRODUCTION and not actor.is_human:
        raise NotAllowedError(_("It lets more through: name who proposes it with --as; somebody else releases it."))
    about = {"kind": kind, "cap": wanted.cap, "exhausted": wanted.exhausted, "queue": wanted.queue}
    about |= {"reservation": reservation}
    if same := BudgetChange.objects.filter(budget=budget, state=ProposalState.OPEN, **about).first():
        return same
    reason = checked_reason(reason, is_needed=True)
    was = limits_of(budget)
    before = {"was_cap": was.cap, "was_exhausted": was.exhausted, "was_queue": was.queue}
    made = BudgetChange.objects.create(budget=budget, author=actor, reason=reason, **about, **before)
    record(actor, made, ProposalState.OPEN, payload={**_told(made), "reason": reason})
    return made


def _told(change: BudgetChange) -> dict[str, object]:
    return {
        "name": change.budget.slug,
        "kind": change.kind,
        "cap": change.cap,
        "exhausted": change.exhausted,
        "queue": change.queue,
        "before": {"cap": change.was_cap, "exhausted": change.was_exhausted, "queue": change.was_queue},
        "currency": change.budget.currency,
        **_given_back(change),
    }


def _given_back(change: BudgetChange) -> dict[str, object]:
    row = change.reservation
    return {"action": str(row.action_id), "amount": row.amount} if row else {}


def supersede(actor: User, budget: Budget) -> None:
    """End what waits on a locked budget: it says something else now than whoever proposed that had seen."""
    for change in budget.changes.filter(state=ProposalState.OPEN).select_related("budget").order_by("id"):
        _decide(actor, change, ProposalState.SUPERSEDED)


def _decide(actor: User, change: BudgetChange, to: ProposalState, answer: str = "") -> BudgetChange:
    told = {**_told(change), **({"reason": answer} if answer else {})}
    at = ClockTimestamp()
    return advance(actor, change, to, payload=told, decided_by=actor, decided_at=at, answer=answer)


@transaction.atomic
def release_change(actor: User, *, change: BudgetChange) -> BudgetChange:
    """Let a change of a budget act from the next request on. A person other than its author, who may lower enforcement.

    Raises NotAllowedError ``not_eligible`` with who may; ConflictError once it is decided, or ``stale`` where the
    budget says something else since.
    """
    require_human(actor)
    require_manager(actor, change.budget.unit, PUBLISH)
    budget = locked(change.budget)
    change = BudgetChange.objects.select_related("budget__unit", "author").get(pk=change.pk)
    _refuse_ineligible(actor, change)
    if change.state == ProposalState.OPEN and (budget.ended_at or limits_of(budget) != base_of(change)):
        raise ConflictError(_("The budget is another since; propose it anew."), code="stale")
    _decide(actor, change, ProposalState.RELEASED)
    told = {"name": budget.slug, "by": change.author.username, **_given_back(change)}
    if change.is_return:
        _give_back(actor, budget, change)
        record(actor, budget, "budget.returned", payload=told)
        return change  # what else waits was proposed of the same limits
    if change.is_end:
        Budget.objects.filter(pk=budget.pk).update(ended_at=ClockTimestamp())
        record(actor, budget, "budget.ended", payload=told)
    else:
        wanted = wanted_by(change)
        said = {"cap": wanted.cap, "exhausted": wanted.exhausted, "queue": wanted.queue}
        Budget.objects.filter(pk=budget.pk).update(**said)
        record(actor, budget, "budget.changed", payload={**told, **said})
    supersede(actor, budget)
    return change


def _give_back(actor: User, budget: Budget, change: BudgetChange) -> None:
    """Take it out of what is spent, once. Raises ConflictError ``stale`` where its day or month is over."""
    if row := returnable_for(actor, budget).filter(changes=change).first():
        BudgetPeriod.objects.select_for_update().get(pk=row.period_id)  # the order of locks: a period, then its rows
        spent = Reservation.objects.filter(pk=row.pk, state=ReservationState.SPENT)
        if spent.update(state=ReservationState.RELEASED, settled_at=ClockTimestamp()) == 1:
            BudgetPeriod.objects.filter(pk=row.period_id).update(spent=F("spent") - row.amount)
            return
    raise ConflictError(_("It counts as spent no more, or its day or month is over."), code="stale")


def _refuse_ineligible(actor: User, change: BudgetChange) -> None:
    is_own = change.author_id == actor.pk
    if not is_own and holds(actor, LOWER, change):
        return
    words = (
        _("You proposed it, so somebody else releases it: %s.")
        if is_own
        else _("It lets more through, which you may not; these people may: %s.")
    )
    raise not_eligible(words, why="requester" if is_own else "lowers_enforcement", others=releasers_of(actor, change))


@transaction.atomic
def decline_change(actor: User, *, change: BudgetChange, reason: str = "") -> BudgetChange:
    """End a change without a release; whoever proposed it may take it back so, all others say why.

    Raises ConflictError once it is decided.
    """
    require_human(actor)
    require_manager(actor, change.budget.unit, PUBLISH)
    locked(change.budget)
    change = BudgetChange.objects.select_related("budget").get(pk=change.pk)
    answer = checked_reason(reason, is_needed=change.author_id != actor.pk)
    return _decide(actor, change, ProposalState.DECLINED, answer)
