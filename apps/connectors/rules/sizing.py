"""Narrowing a permission to what is used of it, and what that would have stopped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.agents.rules import ActionState
from apps.connectors.rules.money import Money, is_within_limit
from apps.connectors.rules.parameters import leaves_of, path_names, refused_paths, schema_paths

SIZED_DAYS = 90
"""What was not used for so long is not needed."""
YOUNG_DAYS = 30
"""A permission that is younger has not been tried enough to say what it needs."""
UNDO_DAYS = 30
"""For so long a narrowing can be taken back with one click."""
SAMPLES = 3
NOT_NEEDED = frozenset(
    {
        ActionState.DENIED,
        ActionState.REJECTED,
        ActionState.CHANGES_REQUESTED,
        ActionState.EXPIRED,
        ActionState.CANCELLED,
    }
)
"""What came to nothing shows no need."""


@dataclass(frozen=True, slots=True)
class Use:
    """One past request for an operation. ``let_through``: neither rules nor people said no, nor did it end unasked.

    ``parameters`` None: they were erased, so nobody can tell what a narrower permission would have made of them.
    """

    action: UUID
    at: datetime
    let_through: bool
    parameters: Mapping[str, Any] | None
    money: Money | None


@dataclass(frozen=True, slots=True)
class Size:
    """What is to be left of a permission; ``revoke``: nothing."""

    revoke: bool = False
    fields: list[str] | None = None
    limit: Money | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a narrower permission would have stopped of past requests. ``needed``: of those that were let through."""

    requests: int
    stopped: int
    needed: int
    not_replayable: int
    samples: tuple[UUID, ...]


def proposed_size(
    uses: Sequence[Use], *, held: Size, schema: Mapping[str, Any], path: str, has_amount: bool
) -> Size | None:
    """The least that lets everything through that was let through; None where that is what is held already.

    Where parameters were erased all of them stay permitted; where amounts came in several currencies, any amount.
    """
    needed = [use for use in uses if use.let_through]
    if not needed:
        return Size(revoke=True)
    fields, limit = held.fields, held.limit
    if all(use.parameters is not None for use in needed):
        fields = _used_fields(needed, held.fields, schema, path)
    if has_amount and (most := _most(needed)) is not None:
        limit = most if held.limit is None or is_within_limit(most, held.limit) else held.limit
    found = Size(fields=fields, limit=limit)
    return None if found == held else found


def _used_fields(
    needed: Iterable[Use], held: list[str] | None, schema: Mapping[str, Any], path: str
) -> list[str] | None:
    leaves = {leaf for use in needed for leaf in leaves_of(use.parameters or {})}
    required = set(schema.get("required", []))
    if held is not None:
        used = {name for name in held if any(leaf == name or leaf.startswith(f"{name}.") for leaf in leaves)}
        return sorted(used | {name for name in held if name.partition(".")[0] in required})
    tops = {leaf.partition(".")[0] for leaf in leaves} | required
    is_open = schema.get("additionalProperties") is not False
    named = {name for name in schema_paths(schema, depth=1) if name not in path_names(path)}
    kept = sorted(tops - set(path_names(path)))
    return kept if kept and (is_open or named - set(kept)) else None


def _most(needed: Iterable[Use]) -> Money | None:
    """The largest amount, where all are of one currency and none is missing."""
    amounts = [use.money for use in needed]
    known = [money for money in amounts if money is not None]
    if len(known) != len(amounts) or len({money.currency for money in known}) != 1:
        return None
    return max(known, key=lambda money: money.minor)


def replayed(uses: Sequence[Use], size: Size, *, path: str) -> Replayed:
    """What a permission of this size would have stopped of these requests."""
    stopped, unknown = [], 0
    for use in uses:
        if size.revoke or not is_within_limit(use.money, size.limit):
            stopped.append(use)
        elif size.fields is not None and use.parameters is None:
            unknown += 1
        elif size.fields is not None and refused_paths(use.parameters or {}, size.fields, path):
            stopped.append(use)
    needed = [use for use in stopped if use.let_through]
    shown = tuple(use.action for use in [*needed, *(use for use in stopped if not use.let_through)][:SAMPLES])
    return Replayed(len(uses), len(stopped), len(needed), unknown, shown)
