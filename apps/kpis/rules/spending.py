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

    ``quantity`` counts tokens, milliseconds or calls: only that of one kind means anything.
    """

    micro: int = 0
    items: int = 0
    unpriced: int = 0
    quantity: int = 0

    def __add__(self, other: "CostSum") -> "CostSum":
        return CostSum(
            self.micro + other.micro,
            self.items + other.items,
            self.unpriced + other.unpriced,
            self.quantity + other.quantity,
        )
