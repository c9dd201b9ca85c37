"""What rules name outside themselves: whether it is there, and whether anything is within their scope. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.policies.rules.documents import Finding, Rule, Scope
from apps.policies.rules.hints import hint_for

ENVIRONMENTS = ("live", "test")
WORDS = {
    "operations": "operation",
    "connectors": "connector",
    "agents": "agent",
    "versions": "version",
    "workflows": "workflow",
    "steps": "step",
    "units": "unit",
    "environments": "environment",
}
"""One of each list of a scope, in words."""

type Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may refer to; None where it is not known, and then not checked.

    ``steps``: of each workflow; ``homes``: the connector of each operation; ``amounts``: the paths of its amount;
    ``versions``: ``<agent>@<number>``.
    ``retired``: what is there and at work no more, by the list of a scope that names it. ``kept``: the rules in force
    by slug: what one of them names may stay in it, whatever became of it. ``is_written``: the rules are those of a
    version that was checked when it was written; what is retired since refuses nothing.
    """

    queues: Collection[str] | None = None
    roles: Collection[str] | None = None
    agents: Collection[str] | None = None
    versions: Collection[str] | None = None
    units: Collection[str] | None = None
    operations: Mapping[str, Schema] | None = None
    connectors: Collection[str] | None = None
    homes: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, Collection[str]] = field(default_factory=dict)
    workflows: Collection[str] | None = None
    steps: Mapping[str, Collection[str]] | None = None
    classes: Collection[str] | None = None
    retired: Mapping[str, Collection[str]] = field(default_factory=dict)
    kept: Mapping[str, Rule] = field(default_factory=dict)
    is_written: bool = False

    def keeps_condition(self, rule: Rule) -> bool:
        """Whether the rule in force of this name has the same condition."""
        before = self.kept.get(rule.slug)
        return before is not None and before.when == rule.when


def check_names(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    """Everything that the rule names and is not there; what is there and may not be seen is answered alike."""
    queues, roles = {quorum.queue for quorum in rule.quorums}, {quorum.role for quorum in rule.quorums}
    asked: tuple[tuple[str, str, Collection[str], Collection[str] | None], ...] = (
        ("queue", "queue", {rule.queue}, known.queues),
        ("obligations.quorum", "queue", queues, known.queues),
        ("obligations.quorum", "role", roles, known.roles),
    )
    for place, word, names, there in asked:
        for name in sorted(names):
            if there is not None and name and name not in there:
                yield Finding(f"{at}.{place}", f"There is no {word} {name!r}.{hint_for(name, there)}", rule.slug)
    yield from _scope(at, rule, known)


def _scope(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    is_whole = True
    for part, word in WORDS.items():
        there, retired = _there(part, rule.scope, known), known.retired.get(part, ())
        before = known.kept.get(rule.slug)
        kept: Collection[str] = getattr(before.scope, part) if before else ()
        for name in sorted(getattr(rule.scope, part)):
            if there is None or name in there:
                continue
            is_kept, is_whole = name in kept, False
            is_warning = is_kept or (known.is_written and name in retired)
            said = (
                f"The {word} {name!r} is retired, so nothing of it would match."
                if name in retired
                else f"There is no {word} {name!r}.{hint_for(name, there)}"
            )
            if is_kept:
                said = f"{said} The rule in force names it: it may stay, and matches nothing by it."
            yield Finding(f"{at}.scope.{part}", said, rule.slug, is_warning=is_warning)
    if is_whole:
        yield from _contradictions(at, rule, known)


def _there(part: str, scope: Scope, known: Known) -> Collection[str] | None:
    if part == "environments":
        return ENVIRONMENTS
    if part != "steps":
        found: Collection[str] | None = getattr(known, part)
        return found
    if known.steps is None:
        return None
    within = [steps for slug, steps in known.steps.items() if slug in (scope.workflows or known.steps)]
    return {step for steps in within for step in steps}


def _contradictions(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    """Names that are all there, and together leave nothing."""
    scope = rule.scope
    if scope.agents and scope.versions and not _agents_of(scope.versions) & scope.agents:
        said = "None of these versions is one of the agents that the scope names: it matches nothing."
        yield Finding(f"{at}.scope.versions", said, rule.slug)
    homes = {known.homes.get(slug, "") for slug in scope.operations}
    if scope.operations and scope.connectors and "" not in homes and homes.isdisjoint(scope.connectors):
        said = "None of these operations belongs to a connector that the scope names: it matches nothing."
        yield Finding(f"{at}.scope.operations", said, rule.slug)


def _agents_of(versions: Collection[str]) -> set[str]:
    return {version.partition("@")[0] for version in versions}


def parts_named(rules: Sequence[Rule]) -> frozenset[str]:
    """The lists that the scopes of some rules have: what has to be known to check them."""
    return frozenset(part for rule in rules for part in WORDS if getattr(rule.scope, part))
