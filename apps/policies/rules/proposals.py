"""A change of rules that somebody proposes because of one action: the rules as they would be."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from apps.core.rules import ProposalState as ProposalState  # where migrations have found it since
from apps.policies.rules.demands import demands_less
from apps.policies.rules.documents import EVERY_AGENT, STRICTNESS, Effect, Mode
from apps.policies.rules.reach import There, is_idle


class ProposalKind(StrEnum):
    """What is proposed: one rule because of an item, other rules, an earlier version again, or to retire the policy."""

    RULE = "rule"
    RULES = "rules"
    ROLLBACK = "rollback"
    RETIRE = "retire"


PROPOSABLE = (Effect.ALLOW, Effect.DENY, Effect.REQUIRE_APPROVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What should be true of actions like one: the ``effect``, and how alike they must be.

    ``amount_minor``: allowed up to it; denied or asked above it; None: whatever the amount. An empty ``agent`` or
    ``target``: any. ``same``: parameters, by dotted path, that must say just this. ``queue`` and ``people``: who is
    asked, where the effect is to ask.
    """

    slug: str
    effect: Effect
    operation: str
    agent: str = ""
    target: str = ""
    amount_minor: int | None = None
    currency: str = ""
    queue: str = ""
    people: int = 1
    same: Mapping[str, str | int | bool] = field(default_factory=dict)


def condition_of_wish(wish: Wish) -> str:
    """The condition as CEL. What comes from an action is quoted, so that it is text whatever it says."""
    parts = [f"action.currency == {_quoted(wish.currency)}"] if wish.amount_minor is not None and wish.currency else []
    if wish.amount_minor is not None:
        parts.append(f"action.amount_minor {'<=' if wish.effect is Effect.ALLOW else '>'} {wish.amount_minor}")
    if wish.target:
        parts.append(f"action.target == {_quoted(wish.target)}")
    for path, value in sorted(wish.same.items()):
        at = f"action.parameters.{path}"
        parts.append(f"has({at}) && {at} == {_quoted(value)}")
    return " && ".join(parts) or "true"


def rules_with(rules: Sequence[Mapping[str, Any]], wish: Wish, *, asking: Collection[str]) -> list[dict[str, Any]]:
    """The rules with the wished one at their end. To allow, the rules named in ``asking`` let go of what it allows.

    A rule that asks outranks one that allows: an allowance beside it would change nothing.
    """
    found = [dict(rule) for rule in rules]
    slug, taken = wish.slug, {str(rule.get("slug")) for rule in found}
    number = 2
    while slug in taken:
        slug, number = f"{wish.slug}-{number}", number + 1
    scope = {"operations": [wish.operation], **({"agents": [wish.agent]} if wish.agent else {})}
    made: dict[str, Any] = {"slug": slug, "when": condition_of_wish(wish), "effect": wish.effect.value, "scope": scope}
    if wish.amount_minor is not None and wish.currency:
        made["currency"] = wish.currency
    if wish.effect is Effect.REQUIRE_APPROVAL:
        made |= {"queue": wish.queue, "obligations": {"quorum": wish.people}}
    if wish.effect is Effect.ALLOW:
        for rule in found:
            if rule.get("slug") in asking and rule.get("effect") == Effect.REQUIRE_APPROVAL:
                rule["when"] = f"({rule['when']}) && !({_exemption(wish)})"
    return [*found, made]


def _exemption(wish: Wish) -> str:
    """What the wished rule takes in, without a scope: a rule that asks may have a wider one."""
    parts = [f"action.operation == {_quoted(wish.operation)}"]
    if wish.agent:
        parts.append(f"agent.slug == {_quoted(wish.agent)}")
    condition = condition_of_wish(wish)
    return " && ".join([*parts, condition] if condition != "true" else parts)


def _quoted(value: str | int | bool) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of one rule between two versions; ``before`` or ``after`` is None where it is only in the other."""

    slug: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def old_message(self) -> str:
        """What people and agents are still told though what the rule says is something else now; empty: nothing."""
        is_other = bool({"when", "effect", "obligations"} & {*self.changed})
        return str(self.after.get("message", "")) if self.after and is_other and "message" not in self.changed else ""

    def as_json(self) -> dict[str, Any]:
        """The difference for the API."""
        return {"rule": self.slug, "kind": self.kind, "before": self.before, "after": self.after}


def differences_between(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> tuple[Difference, ...]:
    """The rules that differ, by slug; the order of rules never matters."""
    old = {str(rule["slug"]): rule for rule in before}
    new = {str(rule["slug"]): rule for rule in after}
    return tuple(
        Difference(slug, old.get(slug), new.get(slug), _changed(old.get(slug), new.get(slug)))
        for slug in sorted({*old, *new})
        if old.get(slug) != new.get(slug)
    )


def only_tightens(differences: Iterable[Difference]) -> bool:
    """Whether nothing that is judged afterwards can come out milder, whatever the action.

    So it is where rules that deny come or come to be for more agents, and rules that allow and demand nothing go.
    Everything else may loosen: a rule that asks, and matches where nothing allowed, turns a denial into a question. A
    rule in shadow is as none.
    """
    return all(
        (after is None or after.get("effect") == Effect.DENY)
        and (before is None or _only_allows(before) or _spreads(before, after))
        for before, after in ((_enforced(each.before), _enforced(each.after)) for each in differences)
    )


def lowers(differences: Iterable[Difference], *, was: There | None = None, there: There | None = None) -> bool:
    """Whether less is enforced afterwards: a rule that denies or asks goes, goes into shadow, or has a milder effect.

    So it is where it demands less of what it matches or names less to match, has its say on fewer agents, where its
    condition never holds any more, or its scope matches nothing that is ``there`` and did of what ``was``; and where a
    rule that allows goes with its demands. What else its condition says is not looked at: that a limit is another is
    what policies are changed for.
    """
    pairs = ((_enforced(each.before), _enforced(each.after)) for each in differences)
    return any(before is not None and _is_lowered(before, after, was, there) for before, after in pairs)


def _is_lowered(
    before: Mapping[str, Any], after: Mapping[str, Any] | None, was: There | None, there: There | None
) -> bool:
    if after is not None and demands_less(before, after):
        return True
    if before.get("effect") == Effect.ALLOW and not _only_allows(before):
        return after is None or after.get("effect") == Effect.FLAG  # another rule may allow without what it demands
    return before.get("effect") in {Effect.DENY, Effect.REQUIRE_APPROVAL} and (
        after is None
        or STRICTNESS[str(after.get("effect"))] < STRICTNESS[str(before.get("effect"))]
        or _share(after) < _share(before)
        or (is_idle(after, there) and not is_idle(before, was))
    )


def _enforced(rule: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if rule is None or rule.get("mode") == Mode.SHADOW else rule


def _spreads(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
    """Whether a rule is the same, for more agents."""
    same = after is not None and {**before, "share": None} == {**after, "share": None}
    return after is not None and same and _share(before) < _share(after)


def _share(rule: Mapping[str, Any]) -> int:
    return int(str(rule["share"]).rstrip("%")) if "share" in rule else EVERY_AGENT


def _only_allows(rule: Mapping[str, Any]) -> bool:
    return rule.get("effect") == Effect.ALLOW and not rule.get("obligations") and not rule.get("risk")


def _changed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[str, ...]:
    if before is None or after is None:
        return ()
    return tuple(key for key in sorted({*before, *after}) if before.get(key) != after.get(key))
