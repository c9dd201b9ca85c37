"""What the ledger itself knows: names of entries, what of them outlives an erasure, and what is proven."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from apps.core.rules import canonical_json, digest_of

REFUSED = "request.refused"
"""Somebody tried something through the API and was refused."""
ERASED = "payloads.erased"
"""Somebody erased what was written on a trail. What is written in this entry itself is never erased."""
ERASURE_ASKED = "erasure.requested"
OF_ERASURES = "erasure."
"""How the names begin of what was said of a request to erase."""

COMING_AND_GOING = ("user.sign", "user.session_", "browser.left", "emergencyaccess.", REFUSED)
"""How the names of entries begin that say who comes and goes, and who tried what in vain; they change nothing else."""
EMERGENCY_ENTRIES = (*COMING_AND_GOING, "halt.engaged")
"""How the names of all entries begin that an emergency account may leave; what would leave another does not happen."""

FACTS = frozenset({
    "action", "agent", "amount_minor", "asked_at", "attempt", "attempts", "by", "by_hand", "cache_read_tokens",
    "cache_write_tokens", "claims", "code", "comment", "cost_minor", "created_at", "currency", "decided_by",
    "delivered", "digest", "due_at", "duration_ms", "edited", "effect", "engaged_at", "error_class",
    "escalation", "escaped", "event", "expires_at", "extended_s", "failed", "failed_attempts", "fee_minor",
    "finished_at", "from", "held_s", "input_tokens", "item", "items", "key", "kind", "last_claim_at", "model",
    "name", "needed", "operation", "outcome", "output_tokens", "overdue", "paused_ms", "queued_at", "queues",
    "reason_code", "reasoning_tokens", "reference", "refused", "release", "reported_currency", "reported_micro",
    "requested_at", "rerun_of", "retry", "rework", "risk",
    "round", "rule", "run", "run_id", "scope", "simulated", "sla_ms", "started_at", "started_by", "state",
    "status", "step", "stood_s", "stopped_at", "stricter", "supersedes", "task", "task_id", "time_to_stop_ms",
    "to", "try", "ttl_s", "undone", "unit_id", "until", "verdict", "version", "voters", "week", "workflow",
})  # fmt: skip
"""What is kept when a payload is erased: states, instants, counts, amounts, ids, slugs; nobody's words, no parameters.
KPIs and counts of rules read nothing else, so that they are the same before and after, and when rebuilt."""

SALT_BYTES = 16
_PAIR = 2
NEEDS_CARE = re.compile(r"(?:^|[\[:,])-?(?:\d{16}|\d+[.eE])|[\U00010000-\U0010ffff]")
"""Where Python's own JSON may differ from RFC 8785: how floats are spelled, large integers, the order of odd keys."""


def canonical_text(value: object, plain: json.JSONEncoder) -> str:
    """RFC 8785 text of ``value``, which ``plain`` makes JSON of, keys sorted and without spaces. Raises ValueProblem.

    The C encoder is five times as fast, and right wherever nothing needs care.
    """
    text = plain.encode(value)
    return canonical_json(json.loads(text)).decode() if NEEDS_CARE.search(text) else text


def commitment_of(salt: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256 (32 bytes): tells nothing of ``content`` without the salt, and fits no other content."""
    return hmac.digest(salt, content, "sha256")


def facts_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``payload`` outlives its erasure: facts by name; what holds names of its own is no fact."""
    return {name: value for name, value in payload.items() if name in FACTS and not isinstance(value, dict)}


def facts_digest(facts: Sequence[tuple[int, dict[str, Any]]]) -> str:
    """``sha256:<hex>`` of what was kept of each entry, by its number: the erasure's own entry proves it."""
    return digest_of([[number, kept] for number, kept in sorted(facts, key=lambda one: one[0])])


class Line(Protocol):
    """An entry, as far as its leaf goes."""

    id: int
    xid: Any
    occurred_at: Any
    name: str
    actor_id: Any
    actor_label: str
    on_behalf_of_id: Any
    subject_kind: str
    subject_id: UUID
    trail_id: UUID
    unit: UUID | None
    commitment: Any


def leaf_of(line: Line) -> bytes:
    """SHA-256 (32 bytes) over ``0x00`` and the RFC 8785 JSON of everything but the payload: a leaf of RFC 6962.

    Erasing a payload changes no leaf: its commitment is inside. Times in UTC to the microsecond.
    """
    return hashlib.sha256(b"\x00" + canonical_json(_line_json(line))).digest()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962 over ``leaves``, in memory for the height of the tree alone."""
    peaks: list[tuple[bytes, int]] = []
    for leaf in leaves:
        peak, size = leaf, 1
        while peaks and peaks[-1][1] == size:
            peak, size = _node(peaks.pop()[0], peak), size * 2
        peaks.append((peak, size))
    if not peaks:
        return hashlib.sha256(b"").digest()
    root = peaks.pop()[0]
    while peaks:
        root = _node(peaks.pop()[0], root)
    return root


def inclusion_of(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The hashes by which RFC 6962 (2.1.1) leads from the leaf at ``place`` to the root, lowest first."""
    if len(leaves) < _PAIR:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if place < split:
        return [*inclusion_of(leaves[:split], place), root_of(leaves[split:])]
    return [*inclusion_of(leaves[split:], place - split), root_of(leaves[:split])]


def root_by(leaf: bytes, path: Sequence[bytes], *, place: int, size: int) -> bytes:
    """The root to which ``path`` leads from a leaf at ``place`` of ``size``, as RFC 9162 (2.1.3.2) computes it."""
    at, last, found = place, size - 1, leaf
    for sibling in path:
        if at % 2 or at == last:
            found = _node(sibling, found)
            while at and at % 2 == 0:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, sibling)
        at, last = at >> 1, last >> 1
    return found


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _line_json(line: Line) -> dict[str, Any]:
    assert isinstance(line.occurred_at, datetime)
    return {
        "id": line.id,
        "xid": str(line.xid),
        "occurred_at": line.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "name": line.name,
        "actor": str(line.actor_id),
        "actor_label": line.actor_label,
        "on_behalf_of": str(line.on_behalf_of_id) if line.on_behalf_of_id else None,
        "subject_kind": line.subject_kind,
        "subject": str(line.subject_id),
        "trail": str(line.trail_id),
        "unit": str(line.unit) if line.unit else None,
        "commitment": bytes(line.commitment).hex(),
    }
