"""What a rule can be proposed for because of an item: the policies that asked, and what would be alike."""

from collections.abc import Mapping

from apps.core.models import User
from apps.oversight.models import Escalation
from apps.policies.rules import Effect
from apps.policies.selectors.quiet import quieted_for


def asking_rules_of(item: Escalation) -> Mapping[str, frozenset[str]]:
    """The slugs of the rules that sent ``item`` to people, by policy, in the order of its verdict."""
    found: dict[str, frozenset[str]] = {}
    for rule in item.verdict.get("rules", ()):
        if rule.get("effect") == Effect.REQUIRE_APPROVAL:
            found[rule["policy"]] = found.get(rule["policy"], frozenset()) | {rule["rule"]}
    return found


def asking_beside(actor: User, item: Escalation, policy: str) -> list[str]:
    """The rules of other policies that sent ``item`` to people, as ``policy/rule``: these go on asking.

    A confidential one has no name for those who may not see its policy.
    """
    rules = quieted_for(actor, item.verdict).get("rules", ())
    asking = {(rule["policy"], rule["rule"]) for rule in rules if rule.get("effect") == Effect.REQUIRE_APPROVAL}
    return [f"{other}/{rule}" for other, rule in sorted(asking) if other != policy]
