"""Stored tests of an agent: what it would ask, and what it should be told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.rules import ValueProblem, check_values

MAX_CASES = 50
"""So many tests are stored with one agent at most."""


class Expected(StrEnum):
    """What a test expects. ``refused``: it does not come to the rules, for want of a permission or for bad input."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one test; ``why``: the rule that decided, or why it was refused. ``got`` empty: see ``why``."""

    name: str
    operation: str
    expected: str
    got: str
    why: str

    @property
    def passed(self) -> bool:
        """Whether it is as expected."""
        return self.expected == self.got


@dataclass(frozen=True, slots=True)
class Trial:
    """All tests of an agent, and what people rejected of it: ``rejected`` were asked again, these are allowed now."""

    results: tuple[CaseResult, ...] = ()
    rejected: int = 0
    allowed_again: tuple[str, ...] = ()

    @property
    def broken(self) -> int:
        """How many tests are not as expected."""
        return sum(not result.passed for result in self.results)


def case_problems(cases: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What is wrong with these tests, by ``place.key``."""
    found: dict[str, str] = {}
    names: set[str] = set()
    for place, case in enumerate(cases):
        name = str(case["name"]).strip()
        if not name:
            found[f"{place}.name"] = "A name is wanted."
        elif name in names:
            found[f"{place}.name"] = "Another test has this name."
        names.add(name)
        if case["expect"] not in list(Expected):
            found[f"{place}.expect"] = f"One of {', '.join(Expected)}."
        try:
            check_values(case["parameters"])
        except ValueProblem as problem:
            found[f"{place}.parameters"] = str(problem)
    if len(names) > MAX_CASES:
        found["name"] = f"At most {MAX_CASES} tests."
    return found
