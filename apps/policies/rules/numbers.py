"""What became of the actions that a rule matched, counted from the moves that the ledger tells."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from apps.policies.rules.documents import Effect, Mode
from apps.policies.rules.weighing import Outcome

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
SEEN, WOULD = "shadow_seen", "shadow_matched"
"""What a rule in shadow was judged on, and where it would have had its say."""
COLUMNS = ("allowed", "asked", "denied", "approved", "rejected", "changes_requested", "expired", SEEN, WOULD)
NAMES = frozenset(f"action.{to}" for _, to in COUNTED)
"""The entries that count."""


@dataclass(frozen=True, slots=True)
class Move:
    """One action's move on one day, with the verdict that it was judged by."""

    day: date
    before: str
    after: str
    verdict: Mapping[str, Any]


def would_speak(line: Mapping[str, Any]) -> bool:
    """Whether the rule of a stored line of a trace had, or would have had, its say."""
    outcome = Outcome(line["outcome"])
    return outcome is Outcome.TRUE or (outcome is Outcome.ERROR and Effect(line["effect"]) is not Effect.ALLOW)


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
        if move.before == "proposed":
            for line in move.verdict.get("trace", ()):
                if line.get("mode") == Mode.SHADOW:
                    count = found.setdefault((str(line["policy"]), str(line["rule"]), move.day), Counter())
                    count[SEEN] += 1
                    count[WOULD] += would_speak(line)
    return found
