"""Writing entries: each with what is written in it and with the deliveries that it rings, a thousand at a time."""

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.utils.module_loading import import_string

from apps.audit.models import Entry, Payload
from apps.audit.rules import COMING_AND_GOING, SALT_BYTES, canonical_text, commitment_of
from apps.core.prepared import planned_once

PLAIN = cast(
    "json.JSONEncoder", DjangoJSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
)

ONE = """
WITH entry AS (
    INSERT INTO audit_entry (xid, occurred_at, name, actor_id, actor_label, on_behalf_of_id, subject_kind, subject_id,
                             trail_id, unit, commitment)
    VALUES (pg_current_xact_id(), clock_timestamp(), %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, xid, occurred_at
), payload AS (INSERT INTO audit_payload (entry_id, salt, content) SELECT id, %s::bytea, %s::json FROM entry)
"""
RING = """, delivery AS (
    INSERT INTO audit_delivery (entry_id, reaction, attempts, not_before)
    SELECT id, unnest(%s::text[]), 0, clock_timestamp() FROM entry
)
"""
ROW = "(%s, %s::uuid, %s, %s::uuid, %s, %s::uuid, %s::uuid, %s::uuid, %s, %s, %s::json, %s::text[])"
MANY = """
WITH given AS MATERIALIZED (
    SELECT nextval('audit_entry_id_seq') AS id, v.* FROM (VALUES {rows})
    AS v (name, actor, label, behalf, kind, subject, trail, unit, commitment, salt, content, reactions)
), entry AS (
    INSERT INTO audit_entry (id, xid, occurred_at, name, actor_id, actor_label, on_behalf_of_id, subject_kind,
                             subject_id, trail_id, unit, commitment)
    SELECT id, pg_current_xact_id(), clock_timestamp(), name, actor, label, behalf, kind, subject, trail, unit,
           commitment FROM given RETURNING id, xid, occurred_at
), payload AS (INSERT INTO audit_payload (entry_id, salt, content) SELECT id, salt, content FROM given
), delivery AS (
    INSERT INTO audit_delivery (entry_id, reaction, attempts, not_before)
    SELECT id, unnest(reactions), 0, clock_timestamp() FROM given
)
"""
WRITTEN = "SELECT id, xid, occurred_at FROM entry ORDER BY id"
USUAL = 3
"""So many entries one change writes: their statement is kept, of longer ones there are too many."""
AT_ONCE = 1000
"""Entries in one statement: each takes twelve of the 65,535 parameters that it may have."""


def write_entries(entries: Sequence[Entry], contents: Sequence[dict[str, Any]]) -> bool:
    """Write ``entries`` and give each its number and time; whether they ring anybody.

    ``contents``: per entry ``{"payload": {...}, "subject": "..."}``. Raises ValueProblem for what is not JSON.
    """
    starts = range(0, len(entries), AT_ONCE)
    rung = [_write(entries[start : start + AT_ONCE], contents[start : start + AT_ONCE]) for start in starts]
    return any(rung)


def _write(entries: Sequence[Entry], contents: Sequence[dict[str, Any]]) -> bool:
    """With one statement. One entry, the usual case, has a plan of its own: it is a sixth cheaper."""
    rows = [_row(entry, content) for entry, content in zip(entries, contents, strict=True)]
    rung = any(row[-1] for row in rows)
    if len(rows) > 1:
        sql, values = MANY.format(rows=", ".join([ROW] * len(rows))), [value for row in rows for value in row]
    elif rung:
        sql, values = ONE + RING, rows[0]
    else:
        sql, values = ONE, rows[0][:-1]
    with planned_once() if len(rows) <= USUAL else nullcontext(), connection.cursor() as cursor:
        cursor.execute(sql + WRITTEN, values)
        for entry, (number, xid, at) in zip(entries, cursor.fetchall(), strict=True):
            entry.id, entry.xid, entry.occurred_at = number, int(xid), at
            entry._state.adding = False
    return rung


def reactions_of(name: str) -> list[str]:
    """The handlers that an entry of this name rings. One that does not exist fails here, in the transaction."""
    found: Sequence[str] = settings.REACTIONS.get(name, ())
    for reaction in found:
        import_string(reaction)
    return list(found)


def _alarms(entry: Entry) -> Sequence[str]:
    """What each change rings that is made with an emergency account; coming and going say so themselves."""
    is_change = entry.actor.is_emergency and not entry.name.startswith(COMING_AND_GOING)
    return settings.EMERGENCY_REACTIONS if is_change else ()


def _row(entry: Entry, content: dict[str, Any]) -> list[Any]:
    text, salt = canonical_text(content, PLAIN), os.urandom(SALT_BYTES)
    entry.commitment = commitment_of(salt, text.encode())
    entry._state.fields_cache |= {"written": Payload(salt=salt, content=content), "erasure": None}
    return [
        entry.name,
        entry.actor_id,
        entry.actor_label,
        entry.on_behalf_of_id,
        entry.subject_kind,
        entry.subject_id,
        entry.trail_id,
        entry.unit,
        entry.commitment,
        salt,
        text,
        [*reactions_of(entry.name), *_alarms(entry)],
    ]
