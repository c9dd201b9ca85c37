"""Budgets of a request: whatever may be done is reserved before it is, or becomes what its budgets say."""

from collections.abc import Callable

from django.db import transaction

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.policies.rules import Effect, Verdict
from apps.policies.rules.budgets import Excess
from apps.policies.rules.excesses import beyond_budgets
from apps.policies.services.reserving import BeyondBudgetError, reserve
from apps.workflows.services.actions.pipeline import Place, Weighed


def within_budgets(verdict: Verdict, weighed: Weighed, place: Place, write: Callable[[Verdict], Action]) -> Action:
    """What ``write`` makes of the verdict that is left once budgets are asked; the action holds its reservations.

    They are taken after everything was written, so that a row that all wait for is locked for the length of a commit
    only. What does not fit is undone and written anew under the verdict that its budgets lead to; a denial, and what
    undoes something that was done, takes nothing.
    """
    is_counted = place.purpose == "act" and weighed.facts.environment == Environment.LIVE
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
