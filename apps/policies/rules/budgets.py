"""Budgets: what may be spent, or how often may be called, in a day or a month."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from apps.agents.rules import ActionState

WARNED_AT_PERCENT = 80
"""From this share of a budget on its owner is warned, once in each period."""


class BudgetScope(StrEnum):
    """Whose actions a budget counts; a unit's are those of the units below it too."""

    AGENT = "agent"
    UNIT = "unit"
    WORKFLOW = "workflow"
    CONNECTOR = "connector"


class Measure(StrEnum):
    """What is counted: amounts in minor units of one currency, or actions."""

    MONEY = "money"
    CALLS = "calls"


class Period(StrEnum):
    """After what time a budget is whole again, by the clock of its unit's zone."""

    DAY = "day"
    MONTH = "month"


class Exhausted(StrEnum):
    """What becomes of an action that does not fit."""

    DENY = "deny"
    ESCALATE = "escalate"


class ChangeKind(StrEnum):
    """What is proposed of a budget: other terms, that it counts no more, or that what was counted is given back."""

    CHANGE = "change"
    END = "end"
    RETURN = "return"


class ReservationState(StrEnum):
    """Held while its action may still happen; then spent, or given back."""

    HELD = "held"
    SPENT = "spent"
    RELEASED = "released"


SPENDS = frozenset({ActionState.SUCCEEDED, ActionState.COMPENSATED})
"""States of an action that settle its reservation as spent. What was undone later stays spent."""
RELEASES = frozenset(
    {
        ActionState.FAILED,
        ActionState.DENIED,
        ActionState.REJECTED,
        ActionState.CHANGES_REQUESTED,
        ActionState.EXPIRED,
        ActionState.CANCELLED,
    }
)
"""States that give it back. In every other one the action may still happen, or nobody knows: it stays held.

What failed by the word of the agent that carried it out (``taken_at_word``) is spent all the same: nobody has looked.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What of a budget may change: how much, and who is asked about what does not fit (nobody: it is denied)."""

    cap: int
    exhausted: str
    queue: str

    def loosens(self, before: "Limits") -> bool:
        """Whether more may be done than ``before``: a higher cap, people asked instead of a denial, or other people.

        Who may answer beyond a cap is part of it: in another queue there may be anybody.
        """
        asks_others = self.exhausted == Exhausted.ESCALATE and self.queue != before.queue
        return self.cap > before.cap or asks_others


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """How much, of what, in which time, and what then. ``cap``: minor units of ``currency``, or calls."""

    cap: int
    period: str
    measure: str = Measure.MONEY
    currency: str = ""
    exhausted: str = Exhausted.DENY
    queue: str = ""

    @property
    def limits(self) -> Limits:
        """What of it may change later; a queue has a say only where it is asked."""
        return Limits(self.cap, self.exhausted, self.queue if self.exhausted == Exhausted.ESCALATE else "")


class Why(StrEnum):
    """Why an action does not fit a budget."""

    EXHAUSTED = "exhausted"
    OTHER_CURRENCY = "other_currency"


@dataclass(frozen=True, slots=True)
class Covering:
    """A budget that an action falls under. ``cap``: minor units or calls in a period; ``queue``: who is asked."""

    id: UUID
    slug: str
    name: str
    measure: str
    currency: str
    cap: int
    period: str
    exhausted: str
    queue: str

    def share_of(self, amount_minor: int | None, currency: str) -> int | None:
        """How much of it an action takes; None where its amount cannot be compared. Without an amount: no money."""
        if self.measure == Measure.CALLS:
            return 1
        if not amount_minor:
            return 0
        return max(amount_minor, 0) if currency == self.currency else None


@dataclass(frozen=True, slots=True)
class Excess:
    """A budget that an action does not fit, and what is left of it (minor units or calls)."""

    budget: Covering
    why: Why
    left: int

    def as_json(self) -> dict[str, Any]:
        """For the agent and the people asked: which budget, why, and what would fit."""
        return {
            "budget": self.budget.slug,
            "name": self.budget.name,
            "why": self.why.value,
            "measure": self.budget.measure,
            "currency": self.budget.currency,
            "period": self.budget.period,
            "cap": self.budget.cap,
            "left": self.left,
        }


def is_worth_a_warning(used: int, cap: int) -> bool:
    """Whether so much of a budget is used that its owner should know. Of a cap of nothing everything is used."""
    return used * 100 >= cap * WARNED_AT_PERCENT
