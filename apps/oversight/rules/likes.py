"""Which items are alike: the same operation by the same agent, asked about by the same rule, at the same risk."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

KEY_CHARS = 12


@dataclass(frozen=True, slots=True)
class Like:
    """Items that differ in their values only. ``ids``: in the order of the list, the most urgent first."""

    key: str
    what: str
    who: str
    rule: str
    risk: str
    ids: tuple[UUID, ...]

    @property
    def others(self) -> int:
        """How many stand behind the first."""
        return len(self.ids) - 1


@dataclass(frozen=True, slots=True)
class Trait:
    """What of an item decides with which others it is alike."""

    item: UUID
    kind: str
    what: str
    who: str
    rule: str
    risk: str

    @property
    def key(self) -> str:
        """A short name of the group, the same for the same traits."""
        text = "\0".join((self.kind, self.what, self.who, self.rule, self.risk))
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_CHARS]


def asking_rule(rules: Any) -> str:
    """``policy/rule`` of the first matched rule that asks for a person; nothing where none does."""
    for rule in rules if isinstance(rules, Sequence) else ():
        if isinstance(rule, Mapping) and rule.get("effect") == "require_approval":
            return f"{rule.get('policy', '')}/{rule.get('rule', '')}"
    return ""


def gathered(traits: Iterable[Trait]) -> list[Like]:
    """The groups, each where its first item stands."""
    members: dict[str, list[Trait]] = {}
    for trait in traits:
        members.setdefault(trait.key, []).append(trait)
    return [
        Like(key, first.what, first.who, first.rule, first.risk, tuple(trait.item for trait in group))
        for key, group in members.items()
        for first in group[:1]
    ]
