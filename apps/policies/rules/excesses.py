"""What budgets make of a verdict on an action that does not fit them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from apps.policies.rules.budgets import Excess, Exhausted
from apps.policies.rules.documents import Effect
from apps.policies.rules.obligations import NOTHING_STANDING, Obligations
from apps.policies.rules.quorums import Group, joined_groups
from apps.policies.rules.verdicts import Verdict
from apps.policies.rules.weighing import Reason


def beyond_budgets(verdict: Verdict, excesses: Sequence[Excess]) -> Verdict:
    """What becomes of an action that does not fit: denied if any of the budgets says so, else people are asked too.

    Nobody approves the like of it in advance: each is looked at. ``verdict`` does not deny.
    """
    told = tuple(excess.as_json() for excess in excesses)
    if any(excess.budget.exhausted == Exhausted.DENY for excess in excesses):
        return replace(verdict, effect=Effect.DENY, reason=Reason.BUDGET_EXHAUSTED, groups=(), budgets=told, waivers=())
    return replace(
        verdict,
        effect=Effect.REQUIRE_APPROVAL,
        reason=Reason.BUDGET_EXHAUSTED,
        groups=joined_groups((*verdict.groups, *_groups(excesses))),
        obligations=verdict.obligations | Obligations(standing=NOTHING_STANDING),
        budgets=told,
    )


def _groups(excesses: Iterable[Excess]) -> Iterable[Group]:
    return (Group(excess.budget.queue, 1, rules=(f"budget/{excess.budget.slug}",)) for excess in excesses)
