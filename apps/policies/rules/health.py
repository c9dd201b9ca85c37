"""What of stored verdicts says that a rule has no value, and what a rule flagged. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apps.policies.rules.documents import Effect, Mode
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.weighing import Outcome

QUOTED = re.compile(r'"([^"]*)"')
NUMBERED = re.compile(r"=-?\d+")
LEFT_OUT = "…"


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
    """The library's words without what was asked: names stay that the condition itself says, values go.

    So that one fault is one line however often it comes, and nobody's words outlive their erasure.
    """
    named = QUOTED.sub(lambda found: found[0] if found[1] in condition else f'"{LEFT_OUT}"', error)
    return NUMBERED.sub(f"={LEFT_OUT}", named)


def marks_in(verdict: Mapping[str, Any]) -> Iterator[Mark]:
    """Each rule of a stored verdict that flags; those in shadow flag nothing."""
    for line in verdict.get("rules", ()):
        if line.get("effect") == Effect.FLAG:
            yield Mark(str(line["policy"]), str(line["rule"]), bool(line.get(CONFIDENTIAL)))
