"""Imported operations against their document: what is new, changed or gone, and what a change would make of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from apps.agents.rules import EffectClass
from apps.classification.rules import KEYWORD
from apps.connectors.rules.openapi import Contents, Described, Unfit

PINNED = ("name", "method", "path", "parameters", "idempotency", "tool")
"""What a document says of an operation; all else is the plane's own. ``tool``: of a tool of an MCP server alone."""
CARE = (EffectClass.READ, EffectClass.WRITE, EffectClass.IRREVERSIBLE)


class Waiting(StrEnum):
    """Why a person should look at an imported operation."""

    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"


class Review(StrEnum):
    """What a person makes of it: take what the document says, or keep what is there."""

    TAKE = "take"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Known:
    """An operation that was imported before."""

    slug: str
    key: str
    document: str
    definition: Mapping[str, Any]
    proposed: Mapping[str, Any] | None
    waiting: str
    is_retired: bool

    @property
    def latest(self) -> Mapping[str, Any]:
        """What its document said last."""
        return self.definition if self.proposed is None else self.proposed


@dataclass(frozen=True, slots=True)
class Change:
    """An imported operation whose document says something else now."""

    known: Known
    described: Described

    @property
    def fields(self) -> list[str]:
        """What differs from the last time: ``path``, ``parameters``."""
        return [name for name in PINNED if self.known.latest.get(name) != self.described.definition.get(name)]


@dataclass
class Plan:
    """What an import does. ``same``: slugs of which nothing new is said, whether they wait for a person or not."""

    new: list[Described] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    removed: list[Known] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    unfit: list[Unfit] = field(default_factory=list)


def plan_of(contents: Contents, known: Iterable[Known], others: Mapping[str, tuple[str, str]]) -> Plan:
    """Compare a document with what was imported before.

    ``others``: operations described by hand, by slug, with method and path: they are never taken over.
    """
    plan = Plan(unfit=list(contents.unfit))
    left = {one.slug: one for one in known}
    by_hand = {place: slug for slug, place in others.items()}
    for described in contents.operations:
        if (found := _match(described, contents.title, left.values())) is not None:
            del left[found.slug]
            _sort(plan, found, described)
        elif slug := by_hand.get(_place(described.definition)):
            plan.unfit.append(Unfit(described.where, f"It is described by hand already, as {slug}."))
        elif described.slug in others or described.slug in left:
            reason = f"There is an operation {described.slug} already.{contents.renamed}"
            plan.unfit.append(Unfit(described.where, reason, "operationId" if contents.renamed else "name"))
        else:
            plan.new.append(described)
    gone = [one for one in left.values() if one.document == contents.title and not one.is_retired]
    plan.same += [one.slug for one in gone if one.waiting == Waiting.REMOVED]
    plan.removed += [one for one in gone if one.waiting != Waiting.REMOVED]
    return plan


def _place(definition: Mapping[str, Any]) -> tuple[str, str]:
    return str(definition["method"]), str(definition["path"])


def _match(described: Described, document: str, known: Iterable[Known]) -> Known | None:
    """The same operation by the name that this document gives it, else by method and path."""
    rows = list(known)
    named = [one for one in rows if one.key == described.key and one.document == document]
    placed = [one for one in rows if _place(one.latest) == _place(described.definition)]
    return next(iter(named + placed), None)


def _sort(plan: Plan, known: Known, described: Described) -> None:
    change = Change(known, described)
    if known.is_retired:
        reason = f"{known.slug} was retired. Use it again first, or leave it out of the document."
        plan.unfit.append(Unfit(described.where, reason))
    elif change.fields or known.waiting == Waiting.REMOVED:
        plan.changed.append(change)
    else:
        plan.same.append(known.slug)


def pinned_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``values`` what a document can say of an operation; nothing of a tool where it is none."""
    return {name: values[name] for name in PINNED if name != "tool" or values.get("tool") is not None}


def merged(current: Mapping[str, Any], pinned: Mapping[str, Any], proposed: Mapping[str, Any]) -> dict[str, Any]:
    """What taking a change makes of an operation: the document's word where it changed, else what is there.

    A data class that people gave a parameter stays with it while the document describes it and names no class itself.
    """
    taken = {
        name: proposed.get(name) if proposed.get(name) != pinned.get(name) else current.get(name)
        for name in PINNED
        if name in proposed or name in current
    }
    if taken["parameters"] != current["parameters"]:
        taken["parameters"] = _with_classes(taken["parameters"], current["parameters"], pinned["parameters"])
    return taken


def _with_classes(new: Any, current: Any, pinned: Any) -> Any:
    """A schema with the classes of ``current`` that ``pinned`` did not name, wherever it has none of its own."""
    if isinstance(new, list) and isinstance(current, list):
        before = pinned if isinstance(pinned, list) else []
        pairs = zip_longest(new, current[: len(new)], before[: len(new)])
        return [_with_classes(*each) for each in pairs]
    if not (isinstance(new, Mapping) and isinstance(current, Mapping)):
        return new
    known = pinned if isinstance(pinned, Mapping) else {}
    made = {name: _with_classes(each, current.get(name), known.get(name)) for name, each in new.items()}
    given = current.get(KEYWORD)
    if isinstance(given, str) and KEYWORD not in new and KEYWORD not in known:
        made[KEYWORD] = given
    return made


def is_milder(effect: str, than: str) -> bool:
    """Whether an effect class asks for less care than another."""
    return CARE.index(EffectClass(effect)) < CARE.index(EffectClass(than))
