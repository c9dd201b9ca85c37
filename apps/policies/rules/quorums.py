"""Who must agree: the quorum of a rule as it is written, and the groups that several rules' quorums become.

Groups join by a lattice like every demand: of the same queue and role the larger number, the later stage, different
units if either wants them; other groups stand side by side. So the order of rules never matters.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from apps.policies.rules.obligations import DocumentError, flag_of, whole_number

MAX_QUORUM = 20
MAX_STAGE = 9
MAX_GROUPS = 10
_WHERE = "obligations.quorum"
_KEYS = frozenset({"n", "role", "queue", "distinct_units", "stage", "over_minor"})


@dataclass(frozen=True, slots=True)
class Quorum:
    """``n`` people of a queue (the rule's, if ``queue`` is empty), with ``role`` where one is named.

    They come from different units if ``distinct_units``. They are asked once every lower ``stage`` is complete, and
    only for amounts over ``over_minor`` where that is given.
    """

    n: int = 1
    role: str = ""
    distinct_units: bool = False
    queue: str = ""
    stage: int = 1
    over_minor: int | None = None

    def counts_at(self, amount_minor: int | None) -> bool:
        """Whether it is asked for an amount; what has none that can be compared is asked for everything."""
        return self.over_minor is None or amount_minor is None or amount_minor > self.over_minor


@dataclass(frozen=True, slots=True)
class Group:
    """People who must agree: ``needed`` of the queue (of ``role``, where one is named), after the lower stages."""

    queue: str
    needed: int
    role: str = ""
    distinct_units: bool = False
    rules: tuple[str, ...] = ()
    stage: int = 1

    def __or__(self, other: "Group") -> "Group":
        """What both demand of the same queue and role."""
        return replace(
            self,
            needed=max(self.needed, other.needed),
            distinct_units=self.distinct_units or other.distinct_units,
            rules=tuple(sorted({*self.rules, *other.rules})),
            stage=max(self.stage, other.stage),
        )

    def suffices_for(self, other: "Group") -> bool:
        """Whether whoever met this group has met ``other`` too."""
        return (
            (self.queue, self.role) == (other.queue, other.role)
            and self.needed >= other.needed
            and self.distinct_units >= other.distinct_units
            and self.stage >= other.stage
        )

    def as_json(self) -> dict[str, Any]:
        """The group for the API."""
        return {
            "queue": self.queue,
            "needed": self.needed,
            "role": self.role,
            "distinct_units": self.distinct_units,
            "rules": list(self.rules),
            "stage": self.stage,
        }


def group_of(stored: dict[str, Any]) -> Group:
    """The group that ``as_json`` wrote down; before there were stages, everybody was asked at once."""
    return Group(
        stored["queue"],
        stored["needed"],
        stored["role"],
        stored["distinct_units"],
        tuple(stored["rules"]),
        stored.get("stage", 1),
    )


def joined_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    """One group for each queue and role, with the strictest of what is demanded of it; in the order of their turns."""
    found: dict[tuple[str, str], Group] = {}
    for group in groups:
        key = (group.queue, group.role)
        found[key] = found[key] | group if key in found else group
    return tuple(sorted(found.values(), key=lambda group: (group.stage, group.queue, group.role)))


def groups_of(quorums: Iterable[Quorum], *, queue: str, rule: str, amount_minor: int | None) -> tuple[Group, ...]:
    """The groups that a rule asks for an amount, in its ``queue`` where a quorum names none."""
    return joined_groups(
        Group(quorum.queue or queue, quorum.n, quorum.role, quorum.distinct_units, (rule,), quorum.stage)
        for quorum in quorums
        if quorum.counts_at(amount_minor)
    )


def read_quorums(raw: object) -> tuple[Quorum, ...]:
    """What a document states under ``quorum``: a number, an object, or a list of them. Raises DocumentError."""
    parts = raw if isinstance(raw, list) else [raw]
    if not 1 <= len(parts) <= MAX_GROUPS:
        raise DocumentError(_WHERE, f"From 1 to {MAX_GROUPS} groups are wanted.")
    found = tuple(_quorum(part) for part in parts)
    asked = [(quorum.queue, quorum.role, quorum.over_minor) for quorum in found]
    if twice := next((key for key in asked if asked.count(key) > 1), None):
        named = " and ".join(word for word in twice[:2] if word) or "the rule's queue"
        raise DocumentError(_WHERE, f"{named} stands in two groups: ask one group for more people.")
    if all(quorum.over_minor is not None for quorum in found):
        raise DocumentError(_WHERE, "One group is asked whatever the amount: leave out its over_minor.")
    return found


def _quorum(raw: object) -> Quorum:
    if not isinstance(raw, dict):
        return Quorum(_count(raw))
    if unknown := sorted(set(map(str, raw)) - _KEYS):
        raise DocumentError(f"{_WHERE}.{unknown[0]}", f"Unknown key; {', '.join(sorted(_KEYS))} are known.")
    return Quorum(
        n=_count(raw.get("n", 1)),
        role=_slug(raw, "role"),
        distinct_units=flag_of(f"{_WHERE}.distinct_units", raw.get("distinct_units", False)),
        queue=_slug(raw, "queue"),
        stage=whole_number(f"{_WHERE}.stage", raw.get("stage", 1), 1, MAX_STAGE),
        over_minor=whole_number(f"{_WHERE}.over_minor", raw["over_minor"], 0) if "over_minor" in raw else None,
    )


def _count(raw: object) -> int:
    return whole_number(_WHERE, raw, 1, MAX_QUORUM)


def _slug(raw: dict[str, Any], name: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str) or (name in raw and not value):
        raise DocumentError(f"{_WHERE}.{name}", f"The slug of a {name} is wanted.")
    return value
