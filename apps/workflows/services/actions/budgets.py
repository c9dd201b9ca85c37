"""Budgets of a request: whatever may be done is reserved before it is, or becomes what its budgets say."""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction

from apps.agents.models import Action
from apps.core.models import User
from apps.policies.rules import Effect, Verdict
from apps.policies.rules.budgets import Excess
from apps.policies.rules.excesses import beyond_budgets
from apps.policies.selectors.budgets import excesses_for, is_counted
from apps.policies.services.reserving import BeyondBudgetError, reserve
from apps.workflows.services.actions.pipeline import Place, Weighed


def within_budgets(verdict: Verdict, weighed: Weighed, place: Place, write: Callable[[Verdict], Action]) -> Action:
    """What ``write`` makes of the verdict that is left once budgets are asked; the action holds its reservations.

    They are taken after everything was written, so that a row that all wait for is locked for the length of a commit
    only. What does not fit is undone and written anew under the verdict that its budgets lead to; a denial, and what
    undoes no more than was done, takes nothing.
    """
    is_counted = _is_counted(weighed, place)
    beyond: dict[str, Excess] = {}
    said = verdict
    while is_counted and verdict.covering and said.effect is not Effect.DENY:
        try:
            with transaction.atomic():
                action = write(said)
                reserve(action, verdict.covering, beyond=beyond)
                return action
        except BeyondBudgetError as error:
            beyond |= {excess.budget.slug: excess for excess in error.excesses}
            said = beyond_budgets(verdict, list(beyond.values()))
    return write(said)


def _is_counted(weighed: Weighed, place: Place) -> bool:
    money = weighed.money
    return is_counted(
        Action(
            environment=weighed.facts.environment,
            purpose=place.purpose,
            compensates_id=place.compensates,
            amount_minor=money.minor if money else None,
            currency=money.currency if money else "",
        )
    )


def weighed_against_budgets(
    actor: User, verdict: Verdict, weighed: Weighed, place: Place, *, instead_of: UUID | None = None
) -> tuple[Verdict, bool | None]:
    """The verdict once budgets are looked at, and whether it fits them all now; nothing is reserved.

    None where they are not asked: what rules deny touches no budget, what a test key asks is counted nowhere.
    ``instead_of``: an action that waits and that this one would replace.
    """
    if verdict.effect is Effect.DENY or not _is_counted(weighed, place):
        return verdict, None
    money = weighed.money
    excesses = excesses_for(
        actor,
        verdict.covering,
        amount_minor=money.minor if money else None,
        currency=money.currency if money else "",
        instead_of=instead_of,
    )
    return (beyond_budgets(verdict, excesses), False) if excesses else (verdict, True)
