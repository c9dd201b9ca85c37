"""Whether a run that failed may begin anew: only where nothing that it did could be done a second time."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from apps.core.rules import Moves


class RetryState(StrEnum):
    """Where a retry is. One that was refused may be asked for again."""

    WAITING = "waiting"
    STARTED = "started"
    REFUSED = "refused"


RETRY_MOVES: Moves = {
    RetryState.WAITING: frozenset({RetryState.STARTED, RetryState.REFUSED}),
    RetryState.STARTED: frozenset(),
    RetryState.REFUSED: frozenset({RetryState.WAITING}),
}


class Unsafe(StrEnum):
    """Why a run is not begun anew together with others, the gravest first."""

    UNKNOWN = "unknown"
    UNDER_WAY = "under_way"
    IRREVERSIBLE = "irreversible"
    STANDS = "stands"
    UNPROVEN = "unproven"
    REPLACED = "replaced"
    ERASED = "erased"
    SIMULATED = "simulated"
    RETRIED = "retried"


READ, IRREVERSIBLE = "read", "irreversible"
OPEN = frozenset({"proposed", "pending_approval", "approved", "executing"})


@dataclass(frozen=True, slots=True)
class Did:
    """One action of a run: its state, what its operation does to the world, whether it takes another one back.

    ``by_agent``: that it failed is the word of the agent that carried it out itself.
    """

    state: str
    effect: str
    takes_back: bool
    by_agent: bool = False


def unsafe_by(actions: Iterable[Did]) -> Unsafe | None:
    """What of a run's actions forbids to begin it anew; None where nothing does.

    What only reads may be read again. What was done must have been taken back; what failed is known not to be done,
    unless an agent alone says so.
    """
    found = {why for one in actions if (why := _unsafe(one))}
    return next((why for why in Unsafe if why in found), None)


def _unsafe(one: Did) -> Unsafe | None:
    if one.effect == READ:
        return None
    if one.state == "unknown":
        return Unsafe.UNKNOWN
    if one.state in OPEN:
        return Unsafe.UNDER_WAY
    if one.state == "failed" and one.by_agent:
        return Unsafe.UNPROVEN
    if one.state != "succeeded" or one.takes_back:
        return None
    return Unsafe.IRREVERSIBLE if one.effect == IRREVERSIBLE else Unsafe.STANDS
