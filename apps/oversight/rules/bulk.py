"""One decision for many items: what may go together, and which of them stand out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import or_
from statistics import median
from uuid import UUID

from apps.core.rules import Moves, Risk, highest_risk
from apps.policies.rules import MAX_TOGETHER, TOGETHER_RISKS, USUAL_BULK, Bulk

MAX_BULK = MAX_TOGETHER
"""The items of one job. How many of them may be approved at once is for their rules to say."""
OUTLIER_FACTOR = 3
"""An amount this many times the median of all, or more, is looked at alone."""
FEWEST_COMPARED = 3
WIDEST_BULK = Bulk(TOGETHER_RISKS[-1], MAX_TOGETHER)


class BulkVerdict(StrEnum):
    """What many items can be told at once."""

    APPROVE = "approve"
    REJECT = "reject"
    SNOOZE = "snooze"


class JobState(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DONE = "done"


class JobItemState(StrEnum):
    """What became of one item of a job."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    EXCLUDED = "excluded"


JOB_MOVES: Moves = {JobState.RUNNING: frozenset({JobState.DONE}), JobState.DONE: frozenset()}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What of an item says whether it may be approved together with others.

    ``rules``: who asks, with versions. ``bulk``: what they let be approved at once.
    """

    item: UUID
    what: str
    rules: tuple[str, ...]
    risk: Risk
    step_up: bool = False
    amount_minor: int | None = None
    currency: str = ""
    bulk: Bulk = USUAL_BULK


def together(candidates: Iterable[Candidate]) -> Bulk:
    """What all the rules of these let be approved at once."""
    return reduce(or_, {candidate.bulk for candidate in candidates} or {USUAL_BULK})


def bulk_problem(candidates: Sequence[Candidate]) -> str | None:
    """Why these are not approved together: ``operation``, ``rules``, ``currency``, ``risk``, ``step_up``; else None."""
    for name, values in (
        ("operation", {candidate.what for candidate in candidates}),
        ("rules", {candidate.rules for candidate in candidates}),
        ("currency", {candidate.currency for candidate in candidates}),
    ):
        if len(values) > 1:
            return name
    tier = together(candidates).risk
    if any(highest_risk(candidate.risk, tier) != tier for candidate in candidates):
        return "risk"
    return "step_up" if any(candidate.step_up for candidate in candidates) else None


def limit_problem(candidates: Sequence[Candidate]) -> str | None:
    """Which limit of their rules these are beyond: see ``beyond``."""
    return beyond(together(candidates), len(candidates), total_of(candidates))


def total_of(candidates: Iterable[Candidate]) -> int | None:
    """The sum of their amounts, each without its sign; None where one is unknown, or in another currency."""
    found = list(candidates)
    amounts = [candidate.amount_minor for candidate in found]
    if len({candidate.currency for candidate in found}) > 1:
        return None
    known = [abs(amount) for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def beyond(bulk: Bulk, count: int, total: int | None) -> str | None:
    """Which limit so many items of that sum are beyond: ``one_by_one``, ``items``, ``amount``, ``total``; else None.

    ``amount``: a sum is bounded and what these come to is not known (``total`` None), so that it cannot be kept.
    """
    if count > bulk.items:
        return "items" if bulk.items else "one_by_one"
    if bulk.total_minor is None:
        return None
    if total is None:
        return "amount"
    return "total" if total > bulk.total_minor else None


def most_together(candidates: Sequence[Candidate]) -> frozenset[UUID]:
    """Of these, in their order, as many as their rules let be approved at once: all of them where they let all.

    What stands out counts towards no limit; where there are too many, it is left out first.
    """
    standing_out = outliers(candidates)
    counted = [found for found in candidates if found.item not in standing_out]
    if limit_problem(counted) is None:
        return frozenset(found.item for found in candidates)
    taken: list[Candidate] = []
    bulk = WIDEST_BULK
    for found in counted:
        narrower, more = bulk | found.bulk, [*taken, found]
        if beyond(narrower, len(more), total_of(more)) is None:
            bulk, taken = narrower, more
    return frozenset(found.item for found in taken)


def apart(candidates: Sequence[Candidate]) -> dict[UUID, str]:
    """Which of these keep the others from being approved together, each with why: a word of the problems above.

    What may be approved with nothing is named first. Of the rest the largest like part stays, the first of equal ones,
    and of that as many as its rules let be approved at once; the others are named by what differs.
    """
    found: dict[UUID, str] = {}
    for one in candidates:
        if problem := bulk_problem([one]) or limit_problem([one]):
            found[one.item] = problem
    left = [one for one in candidates if one.item not in found]
    if not left:
        return found
    sizes = Counter((one.what, one.rules, one.currency) for one in left)
    (what, rules, currency), _ = sizes.most_common(1)[0]
    differing = ((one, _differs(one, what, rules, currency)) for one in left)
    found |= {one.item: why for one, why in differing if why}
    like = [one for one in left if one.item not in found]
    fit = most_together(like)
    beyond_all = limit_problem([one for one in like if one.item not in outliers(like)])
    return found | {one.item: str(beyond_all) for one in like if one.item not in fit}


def _differs(one: Candidate, what: str, rules: tuple[str, ...], currency: str) -> str:
    if one.what != what:
        return "operation"
    if one.rules != rules:
        return "rules"
    return "currency" if one.currency != currency else ""


def outliers(candidates: Iterable[Candidate]) -> frozenset[UUID]:
    """The items whose amount stands out from the others': nobody approves those in passing.

    Two amounts alone say nothing of each other: then the larger stands out where it is that much larger.
    """
    amounts = {found.item: abs(found.amount_minor) for found in candidates if found.amount_minor is not None}
    if not amounts:
        return frozenset()
    usual = median(amounts.values()) if len(amounts) >= FEWEST_COMPARED else min(amounts.values())
    return frozenset(item for item, amount in amounts.items() if amount > usual and amount >= OUTLIER_FACTOR * usual)
