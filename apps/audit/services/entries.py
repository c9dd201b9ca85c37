"""Writing to the ledger, and moving rows along their life."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q

from apps.audit.models import Entry
from apps.audit.rules import EMERGENCY_ENTRIES
from apps.audit.services.writing import write_entries
from apps.core.errors import ConflictError
from apps.core.gate import refuse_emergency
from apps.core.models import Stateful, User
from apps.core.queue import announce, ring
from apps.core.updating import update_row


def unit_of(row: Model) -> UUID | None:
    """The id of the business unit that ``row`` belongs to, along its ``UNIT`` path; None where it has none."""
    path = getattr(row, "UNIT", None)
    if path is None:
        return None
    if path == "":
        return UUID(str(row.pk))
    *steps, last = path.split("__")
    for step in steps:
        row = getattr(row, step)
        if row is None:
            return None
    found = getattr(row, f"{last}_id", None)
    return UUID(str(found)) if found else None


def record(
    actor: User,
    subject: Model,
    name: str,
    *,
    trail: UUID | None = None,
    unit: UUID | None = None,
    on_behalf_of: User | None = None,
    payload: dict[str, Any] | None = None,
) -> Entry:
    """Write one entry and the deliveries it rings. Call inside the transaction of the change.

    ``name`` is a state (the entry is then ``<model>.<state>``) or a whole name with a dot. A reaction that does not
    exist fails here, inside the transaction, not later in a worker.
    """
    change = Change(subject, name, payload or {})
    return record_many(actor, [change], trail=trail, unit=unit, on_behalf_of=on_behalf_of)[0]


@dataclass(frozen=True, slots=True)
class Change:
    """One of many changes that are recorded together; ``name`` as in ``record``."""

    subject: Model
    name: str
    payload: dict[str, Any] = field(default_factory=dict)


def record_many(
    actor: User,
    changes: Sequence[Change],
    *,
    trail: UUID | None = None,
    unit: UUID | None = None,
    on_behalf_of: User | None = None,
) -> list[Entry]:
    """Write the entries of many changes by one actor, a thousand in one statement; otherwise as ``record``.

    What an emergency account may not do ends here with NotAllowedError, and its change with it, whatever allowed it.
    """
    assert transaction.get_connection().in_atomic_block, "An entry is written with the change it records."
    if not changes:
        return []
    label = f"{actor.kind}:{actor.username}"[:160]
    entries = [
        Entry(
            name=change.name if "." in change.name else f"{change.subject._meta.model_name}.{change.name}",
            actor=actor,
            actor_label=label,
            on_behalf_of=on_behalf_of,
            subject_kind=str(change.subject._meta.model_name),
            subject_id=change.subject.pk,
            trail_id=trail or getattr(change.subject, "trail", change.subject.pk),
            unit=unit or unit_of(change.subject),
        )
        for change in changes
    ]
    if actor.is_emergency and not all(entry.name.startswith(EMERGENCY_ENTRIES) for entry in entries):
        refuse_emergency(actor)
    contents = [{"payload": change.payload, "subject": str(change.subject)[:200]} for change in changes]
    if (waiting := _together.get()) is not None:
        waiting += zip(entries, contents, strict=True)
    else:
        _write(entries, contents)
    return entries


def _write(entries: Sequence[Entry], contents: Sequence[dict[str, Any]]) -> None:
    if write_entries(entries, contents):
        ring("reactions")
    if any(entry.subject_kind in settings.LIVE_TOPICS for entry in entries):
        announce()


_together: ContextVar[list[tuple[Entry, dict[str, Any]]] | None] = ContextVar("entries_together", default=None)


@contextmanager
def recorded_together() -> Iterator[None]:
    """What is recorded within is written at its end, in its order, by one statement; nothing of it where it raises.

    Until then the entries have no numbers, and nobody reads them. One within another hands its entries on to that one.
    Call it inside the transaction of the changes, at the place of a savepoint where one is taken back alone.
    """
    outer = _together.get()
    found: list[tuple[Entry, dict[str, Any]]] = []
    token = _together.set(found)
    try:
        yield
    finally:
        _together.reset(token)
    if outer is not None:
        outer += found
    elif found:
        _write([entry for entry, _content in found], [content for _entry, content in found])


def advance[R: Stateful](
    actor: User,
    row: R,
    to: str,
    *,
    where: Q | None = None,
    trail: UUID | None = None,
    on_behalf_of: User | None = None,
    payload: dict[str, Any] | None = None,
    **changes: Any,
) -> R:
    """Move ``row`` to state ``to`` in one conditional UPDATE (state and ``where``), and record it.

    Raises ConflictError ``invalid_state`` if ``row.MOVES`` has no such move or another transaction moved the row.
    """
    before = str(row.state)
    if to not in row.MOVES.get(before, frozenset()):
        raise ConflictError(f"It is {before}; that does not lead to {to}.", state=before)
    rows = type(row)._base_manager.filter(pk=row.pk, state=before)
    if where is not None:
        rows = rows.filter(where)
    written = update_row(rows, {"state": to, **changes})
    if written is None:
        raise ConflictError(state=before)
    for name, value in written.items():
        setattr(row, name, value)
    record(
        actor,
        row,
        to,
        trail=trail,
        on_behalf_of=on_behalf_of,
        payload={"from": before, "to": str(to), **(payload or {})},
    )
    return row
