"""What of stored verdicts says that a rule has no value, and what a rule flagged. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apps.policies.rules.documents import Effect, Mode
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.weighing import Outcome

PHRASES = frozenset({
    "a condition is true or false", "Applying SELECT to non-message type", "cannot convert string to double",
    "cannot convert string to int", "cannot convert string to uint", "divide by zero", "duplicate key in map",
    "Index error",
    "int64 out of uint64 range", "integer overflow", "Invalid timezone", "Key not found in map",
    "malformed UTF-8 bytes", "modulus by zero", "No matching overloads found", "String to Duration conversion failed",
    "String to Timestamp conversion failed", "Type conversion error",
})  # fmt: skip
UNKNOWN, OTHERS = "The condition failed", "Other reasons"
CAUSES_MAX = 10
ENDED = re.compile(r"[:,\"']| from ")
NAMED = re.compile(r"""[^:]*: (["'])([A-Za-z_]\w*)\1""", re.ASCII)
NAME = re.compile(
    r"""\.\s*([A-Za-z_]\w*)|\[\s*(["'])([A-Za-z_]\w*)\2\s*\]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.ASCII
)


class Fault(NamedTuple):
    """One rule that had no value on one action, and why; ``is_shadow``: it had no say anyway."""

    policy: str
    rule: str
    effect: str
    cause: str
    is_shadow: bool
    is_confidential: bool


class Mark(NamedTuple):
    """One rule that flagged one action."""

    policy: str
    rule: str
    is_confidential: bool


def faults_in(verdict: Mapping[str, Any], texts: Mapping[tuple[str, str], str]) -> Iterator[Fault]:
    """Each rule of a stored verdict that has no value. ``texts``: the conditions of rules, by policy and rule."""
    for line in verdict.get("trace", ()):
        if line.get("outcome") == Outcome.ERROR:
            policy, rule = str(line["policy"]), str(line["rule"])
            cause = cause_of(str(line.get("error", "")), texts.get((policy, rule), ""))
            is_shadow = line.get("mode") == Mode.SHADOW
            yield Fault(policy, rule, str(line["effect"]), cause, is_shadow, bool(line.get(CONFIDENTIAL)))


def cause_of(error: str, condition: str) -> str:
    """One of the phrases known here, and a name only where the condition itself reads that name.

    So that one fault is one line however often it comes, and nobody's words outlive their erasure.
    """
    phrase = ENDED.split(error, maxsplit=1)[0].strip()
    if phrase not in PHRASES:
        return UNKNOWN
    named = NAMED.fullmatch(error)
    return f'{phrase}: "{named[2]}"' if named and named[2] in _names_in(condition) else phrase


def _names_in(condition: str) -> set[str]:
    """The fields that a condition reads, ``.name`` or ``["name"]``; what its other texts say is no name."""
    return {found[1] or found[3] for found in NAME.finditer(condition)} - {None}


def marks_in(verdict: Mapping[str, Any]) -> Iterator[Mark]:
    """Each rule of a stored verdict that flags; those in shadow flag nothing."""
    for line in verdict.get("rules", ()):
        if line.get("effect") == Effect.FLAG:
            yield Mark(str(line["policy"]), str(line["rule"]), bool(line.get(CONFIDENTIAL)))
