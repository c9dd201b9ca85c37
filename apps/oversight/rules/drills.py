"""Drills: which fault is planted in a copy of real work, whether a person saw it, when the next one comes."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from apps.core.rules import MAX_INTEGER
from apps.oversight.rules.friction import value_at
from apps.oversight.rules.states import VoteVerdict

NOTICE = timedelta(days=1)
"""How long an announcement stands before the first drill."""

WEEK = timedelta(days=7)
MAX_PER_WEEK = 10
MAX_ANNOUNCEMENT = 500
MAX_WAITING = 12
"""Whoever has more waiting than this gets no drill: their attention is spent on real work."""

ENOUGH_PEOPLE = 3
"""Results of a queue are shown once so many people answered: fewer, and they would be results of a person."""


@dataclass(frozen=True, slots=True)
class DrillTerms:
    """What is announced of a queue's drills: at most how many a week, in which words, of critical risk too or not."""

    per_week: int
    announcement: str
    critical: bool = False


class Fault(StrEnum):
    """What the plane plants: exactly one of these in each drill."""

    TARGET = "target"
    AMOUNT = "amount"
    DOCUMENTS = "documents"


class DrillOutcome(StrEnum):
    """How a drill ended; ``open`` while it waits."""

    OPEN = "open"
    CAUGHT = "caught"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Planted:
    """The fault: at which path of the parameters, and what stands there now. Documents have no path."""

    fault: Fault
    path: str = ""
    value: Any = None

    def applied(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of ``parameters`` with the fault in it; itself where the path is gone."""
        found = deepcopy(dict(parameters))
        *above, last = self.path.split(".")
        place: Any = found
        for step in above:
            place = place.get(step) if isinstance(place, dict) else None
        if self.path and isinstance(place, dict) and last in place:
            place[last] = self.value
        return found


def faults_for(parameters: Mapping[str, Any], *, target: str, amount: str, evidence: bool) -> list[Planted]:
    """Every fault that can be planted here. ``target``, ``amount``: their paths, empty where there is none."""
    found = []
    if other := other_target(value_at(parameters, target) if target else None):
        found.append(Planted(Fault.TARGET, target, other))
    said = value_at(parameters, amount) if amount else None
    if isinstance(said, int) and not isinstance(said, bool) and 0 < said <= MAX_INTEGER // 10:
        found.append(Planted(Fault.AMOUNT, amount, said * 10))
    if evidence:
        found.append(Planted(Fault.DOCUMENTS))
    return found


def other_target(said: Any) -> str:
    """Another target that looks like this one: its last digit, else its last letter, is the next one. Empty: none."""
    if not isinstance(said, str):
        return ""
    for last, one in reversed(list(enumerate(said))):
        if one in "0123456789":
            return f"{said[:last]}{(int(one) + 1) % 10}{said[last + 1 :]}"
    for last, one in reversed(list(enumerate(said))):
        if one.isascii() and one.isalpha():
            first = "a" if one.islower() else "A"
            return f"{said[:last]}{chr((ord(one) - ord(first) + 1) % 26 + ord(first))}{said[last + 1 :]}"
    return ""


def outcome_of(verdict: VoteVerdict, planted: Planted, edited: Mapping[str, Any] | None) -> DrillOutcome:
    """Caught: it was not approved, or approved only with the wrong value changed. Else missed."""
    if verdict != VoteVerdict.APPROVE:
        return DrillOutcome.CAUGHT
    if edited is not None and planted.path and value_at(edited, planted.path) != planted.value:
        return DrillOutcome.CAUGHT
    return DrillOutcome.MISSED


def gap_for(per_week: int, chance: float) -> timedelta:
    """How long until the next drill: around a week's share, by ``chance`` (0 to 1) a half less or more."""
    return WEEK / per_week * (0.5 + chance)
