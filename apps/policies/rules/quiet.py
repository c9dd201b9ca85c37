"""Verdicts without what confidential rules say: for agents, and for people who may not see the policy. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

CONFIDENTIAL = "confidential"
"""What stands for the name of a rule."""
AMOUNTS = ("limit_minor", "bulk", "standing")
"""Demands that tell a rule's amounts."""


def quieted(verdict: Mapping[str, Any], seen: Collection[str] = ()) -> dict[str, Any]:
    """A verdict, stored or public, without the names, amounts and questions of confidential rules.

    ``seen``: the policies that the reader may see. That such a rule had its say stays, with its effect and its message,
    which is written for whoever asks. One that had none is not among what was judged.
    """
    told = dict(verdict)
    hidden = set(_names(told, seen))
    if not hidden:
        return told
    slashed = {f"{policy}/{rule}" for policy, rule in hidden}
    for part in ("rules", "waivers"):
        if part in told:
            told[part] = [_without_name(line) if _name(line) in hidden else line for line in told[part]]
    if "trace" in told:
        told["trace"] = [line for line in told["trace"] if _name(line) not in hidden]
    if "groups" in told:
        told["groups"] = [_group(group, slashed) for group in told["groups"]]
    if told.get("obligations"):
        told["obligations"] = {name: value for name, value in told["obligations"].items() if name not in AMOUNTS}
    if told.get("facts"):
        told["facts"] = {name: value for name, value in told["facts"].items() if name != "history"}
    return told


def first_rule_of(verdict: Mapping[str, Any]) -> str:
    """``policy/rule`` of the rule that weighed most, for figures and the ledger; empty where none did."""
    rules = quieted(verdict).get("rules") or [{}]
    return "/".join(str(rules[0][name]) for name in ("policy", "rule") if rules[0].get(name))


def confidential_policies(verdict: Mapping[str, Any]) -> set[str]:
    """The policies of the confidential rules that a verdict names."""
    return {policy for policy, _rule in _names(verdict, ())}


def _names(verdict: Mapping[str, Any], seen: Collection[str]) -> Iterator[tuple[str, str]]:
    for part in ("rules", "trace", "waivers"):
        for line in verdict.get(part) or ():
            if line.get(CONFIDENTIAL) and line["policy"] not in seen:
                yield _name(line)


def _name(line: Mapping[str, Any]) -> tuple[str, str]:
    return line["policy"], line["rule"]


def _without_name(line: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in line.items() if name not in {"error", "id"}}
    return {**told, "rule": CONFIDENTIAL}


def _group(group: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    rules = [f"{rule.partition('/')[0]}/{CONFIDENTIAL}" if rule in hidden else rule for rule in group["rules"]]
    return {**group, "rules": sorted(set(rules))}
