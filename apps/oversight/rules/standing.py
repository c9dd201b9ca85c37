"""Approval in advance: what may be approved so, and the life of such an approval."""

from enum import StrEnum

from apps.core.rules import Moves, Risk
from apps.oversight.rules.friction import is_grave
from apps.policies.rules import Effect, StandingLimit, Verdict


class StandingState(StrEnum):
    """Where a standing approval is: in use, used as often as it may be, or ended before that."""

    LIVE = "live"
    USED_UP = "used_up"
    ENDED = "ended"


STANDING_MOVES: Moves = {
    StandingState.LIVE: frozenset({StandingState.USED_UP, StandingState.ENDED}),
    StandingState.USED_UP: frozenset(),
    StandingState.ENDED: frozenset(),
}
TIME_OVER, BY_HAND = "time_over", "ended_by_hand"
HARMLESS_ENDS = frozenset({TIME_OVER})
"""Ends that say nothing against what was released before them and has not begun yet."""


def standing_problem(verdict: Verdict, *, risk: str, amount_minor: int | None) -> str:
    """Why what got this verdict is not approved in advance, as a stable word; empty if it may be.

    Only what one person approves by one plain act: no second person, nothing to retype, nothing to confirm, no hold.
    """
    demands, limit = verdict.obligations, verdict.obligations.standing
    if verdict.effect is not Effect.REQUIRE_APPROVAL or limit is None or not limit.times:
        return "not_permitted"
    if sum(group.needed for group in verdict.groups) != 1:
        return "several_people"
    if is_grave(Risk(risk)):
        return "grave_risk"
    if demands.step_up or demands.hold_s:
        return "more_than_a_key"
    return "over_limit" if is_over(limit, amount_minor) else ""


def is_over(limit: StandingLimit, amount_minor: int | None) -> bool:
    """Whether an amount is beyond what may be approved in advance; without a limit any amount is."""
    return amount_minor is not None and (limit.up_to_minor is None or amount_minor > limit.up_to_minor)
