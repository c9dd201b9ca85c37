"""One agent's autonomy level for one operation, as a rule of its own: derived from rules, and changed by one."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any

from apps.policies.rules.documents import Effect

MARK = "level-"


class LevelWish(StrEnum):
    """What somebody wants: ``people``: it is denied, so people do it. ``asks``: each time. ``rules``: no own rule.

    Without one the other rules say what it is, which may be more or less than acting within limits.
    """

    PEOPLE = "people"
    ASKS = "asks"
    RULES = "rules"


EFFECTS = {LevelWish.PEOPLE: Effect.DENY, LevelWish.ASKS: Effect.REQUIRE_APPROVAL}


def level_slug(agent: str, operation: str) -> str:
    """The short name of the rule that sets the level of this pair, the same in every policy."""
    return MARK + sha256(f"{agent} {operation}".encode()).hexdigest()[:16]


def rules_at(
    rules: Sequence[Mapping[str, Any]], *, agent: str, operation: str, wish: LevelWish, queue: str = ""
) -> list[dict[str, Any]]:
    """``rules`` with the one that makes it so, in the place of the one that said so before. ``queue``: who is asked."""
    slug = level_slug(agent, operation)
    rest = [dict(rule) for rule in rules if rule.get("slug") != slug]
    if wish is LevelWish.RULES:
        return rest
    scope = {"agents": [agent], "operations": [operation]}
    own = {"slug": slug, "when": "true", "effect": EFFECTS[wish].value, "scope": scope}
    return [*rest, own | ({"queue": queue} if wish is LevelWish.ASKS else {})]
