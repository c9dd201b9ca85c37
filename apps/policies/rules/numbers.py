"""What became of the actions that a rule matched, counted from the moves that the ledger tells."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

COUNTED: Mapping[tuple[str, str], str] = {
    ("proposed", "approved"): "allowed",
    ("proposed", "pending_approval"): "asked",
    ("proposed", "denied"): "denied",
    ("pending_approval", "approved"): "approved",
    ("pending_approval", "rejected"): "rejected",
    ("pending_approval", "changes_requested"): "changes_requested",
    ("pending_approval", "expired"): "expired",
}
"""From and to which state an action moved, and as what that counts. Other moves say nothing of a rule."""
COLUMNS = ("allowed", "asked", "denied", "approved", "rejected", "changes_requested", "expired")
NAMES = frozenset(f"action.{to}" for _, to in COUNTED)
"""The entries that count."""


@dataclass(frozen=True, slots=True)
class Move:
    """One action's move on one day, with the verdict that it was judged by."""

    day: date
    before: str
    after: str
    verdict: Mapping[str, Any]


def tally(moves: Iterable[Move]) -> dict[tuple[str, str, date], Counter[str]]:
    """Counts by policy, rule ("" for the whole policy) and day."""
    found: dict[tuple[str, str, date], Counter[str]] = {}
    for move in moves:
        column = COUNTED.get((move.before, move.after))
        if column is None:
            continue
        matched = {(str(rule["policy"]), str(rule["rule"])) for rule in move.verdict.get("rules", ())}
        for policy, rule in matched | {(policy, "") for policy, _ in matched}:
            found.setdefault((policy, rule, move.day), Counter())[column] += 1
    return found
