"""What people were asked and what became of it: what a number counts, and how an address says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from apps.kpis.rules.filters import FilterProblem, number_in

NO_REASON = "~none"
"""The key of rejections for which no preset reason was chosen."""
LONGEST = 3_000


class Became(StrEnum):
    """What became of an item. ``asked`` is all that people decided or let expire."""

    ASKED = "asked"
    DECIDED = "decided"
    AS_ASKED = "as-asked"
    EDITED = "edited"
    REJECTED = "rejected"
    EXPIRED = "expired"
    OVERTURNED = "overturned"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPart:
    """Which of them: by the policy whose rule asked, its version (0: not known), the rule, or the reason.

    ``mine``: what the reader decided, wherever and of whatever else is asked for.
    """

    policy: str = ""
    version: int | None = None
    rule: str = ""
    reason: str = ""
    mine: bool = False

    @property
    def query(self) -> str:
        """What an address says of it, beside the filter."""
        said = {"of_policy": self.policy, "of_rule": self.rule, "of_reason": self.reason}
        version = {} if self.version is None else {"of_version": str(self.version or "none")}
        mine = {"of_me": "true"} if self.mine else {}
        return urlencode({name: value for name, value in said.items() if value} | version | mine)


def asked_part_of(query: Mapping[str, str]) -> AskedPart:
    """The part that an address names. Raises FilterProblem."""
    names = ("of_policy", "of_rule", "of_reason")
    for name in names:
        value = query.get(name, "")
        if value and (not value.isprintable() or len(value) > LONGEST):
            raise FilterProblem(name, "No name of such a part.")
    version = 0 if query.get("of_version") == "none" else number_in(query, "of_version")
    policy, rule, reason = (query.get(name, "") for name in names)
    return AskedPart(policy=policy, version=version, rule=rule, reason=reason, mine=query.get("of_me") == "true")
