"""A part of what was spent: what a bar or a cell counts, how an address says it, and sums of costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from apps.kpis.rules.costs import CostKind
from apps.kpis.rules.filters import FilterProblem

COLUMNS = ("kind", "workflow", "agent", "model")
"""What tells costs apart; an empty value is one, too: a cost without a workflow, or that no agent caused."""


@dataclass(frozen=True, slots=True)
class CostPart:
    """Which of a filter's costs: columns with the value that they have to have, and whether those without a price."""

    limits: Mapping[str, str] = field(default_factory=dict)
    unpriced: bool = False

    @property
    def query(self) -> str:
        """What an address says of it, beside the filter."""
        said = {f"of_{name}": value for name, value in self.limits.items()}
        return urlencode({**said, **({"unpriced": "true"} if self.unpriced else {})})


def part_of(query: Mapping[str, str]) -> CostPart:
    """The part that an address names. Raises FilterProblem."""
    limits = {name: query[f"of_{name}"] for name in COLUMNS if f"of_{name}" in query}
    if limits.get("kind", CostKind.LLM) not in set(CostKind):
        raise FilterProblem("of_kind", f"One of {', '.join(CostKind)}.")
    return CostPart(limits, unpriced=query.get("unpriced") == "true")


@dataclass(frozen=True, slots=True)
class CostSum:
    """Costs together: what is known of their money, how many they are, and how many of these have no price.

    ``quantity`` counts tokens, milliseconds or calls: only that of one kind means anything. ``reasoning``: how many of
    the tokens were.
    """

    micro: int = 0
    items: int = 0
    unpriced: int = 0
    quantity: int = 0
    reasoning: int = 0

    def __add__(self, other: "CostSum") -> "CostSum":
        return CostSum(
            self.micro + other.micro,
            self.items + other.items,
            self.unpriced + other.unpriced,
            self.quantity + other.quantity,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What agents say that their calls of a model cost, in one currency, beside what the book says of the same calls.

    ``micro`` of all ``calls``; ``against_micro`` and ``ours_micro`` are of those alone that the book priced, in its
    currency: None where there is none, or the currency is another.
    """

    model: str
    currency: str
    calls: int
    micro: int
    against_micro: int | None
    ours_micro: int | None

    @property
    def apart(self) -> float | None:
        """By which share theirs is above ours, below zero where it is below; None without either."""
        if self.against_micro is None or not self.ours_micro:
            return None
        return (self.against_micro - self.ours_micro) / self.ours_micro
