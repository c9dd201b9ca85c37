"""What counts as an incident, and which entries of the ledger begin and end one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class IncidentKind(StrEnum):
    """What went wrong.

    ``mismatch``: a system of record shows something else than was done. ``unknown``: nobody knows what was done.
    ``reversal``: what was done was taken back. ``uncompensated``: taking it back failed. ``breaker``: the plane stopped
    something by itself; ``halt``: a person did.
    """

    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    REVERSAL = "reversal"
    UNCOMPENSATED = "uncompensated"
    BREAKER = "breaker"
    HALT = "halt"


BEGINS: Mapping[str, IncidentKind] = {
    "effect.mismatch": IncidentKind.MISMATCH,
    "action.unknown": IncidentKind.UNKNOWN,
    "action.compensated": IncidentKind.REVERSAL,
    "compensation.failed": IncidentKind.UNCOMPENSATED,
    "halt.engaged": IncidentKind.HALT,
}
"""The entry that begins an incident; its subject is the incident's source."""

ENDS: Mapping[str, tuple[IncidentKind, ...]] = {
    "effect.verified": (IncidentKind.MISMATCH,),
    "action.succeeded": (IncidentKind.UNKNOWN,),
    "action.failed": (IncidentKind.UNKNOWN,),
    "action.compensated": (IncidentKind.REVERSAL,),
    "compensation.done": (IncidentKind.UNCOMPENSATED,),
    "compensation.accepted": (IncidentKind.UNCOMPENSATED,),
    "halt.lifted": (IncidentKind.HALT, IncidentKind.BREAKER),
}
"""The entry after which what its subject was about is in order again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSeen:
    """An incident as its first entry shows it. ``ended_at``: only of an invented one, which is told whole."""

    kind: IncidentKind
    source_id: UUID
    began_at: datetime
    workflow: str = ""
    unit_id: UUID | None = None
    action_id: UUID | None = None
    run_id: UUID | None = None
    version: int = 0
    agent: str = ""
    about: str = ""
    amount_minor: int | None = None
    currency: str = ""
    simulated: bool = False
    ended_at: datetime | None = None
