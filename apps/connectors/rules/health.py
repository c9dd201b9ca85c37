"""How a system does, in a word: its calls against its error budget, and what just happened."""

from enum import StrEnum

from apps.core.statistics import wilson_interval

WINDOW_DAYS, RECENT_S = 7, 900
CALLS_MAX = 2_000
"""Of so many of the newest calls within the window."""
ENOUGH_RECENT = 3
ENOUGH_FOR_P95 = 20


class Purpose(StrEnum):
    """What a call was for: an action's effect, reading it back, looking up what is on file, a dry run, a probe.

    ``tools``: asking an MCP server which tools it has.
    """

    EFFECT = "effect"
    READ_BACK = "read_back"
    LOOK_UP = "look_up"
    DRY_RUN = "dry_run"
    PROBE = "probe"
    TOOLS = "tools"


class Condition(StrEnum):
    """``strained``: more goes wrong than the budget allows, of too few calls to be sure; ``over_budget``: surely."""

    UNUSED = "unused"
    HEALTHY = "healthy"
    STRAINED = "strained"
    OVER_BUDGET = "over_budget"
    FAILING = "failing"


def condition_of(calls: int, troubled: int, *, errors_per_1000: int, recent: int, recent_troubled: int) -> Condition:
    """The word. ``recent``: of the last quarter of an hour; more than half of three or more wrong is failing."""
    if recent >= ENOUGH_RECENT and recent_troubled * 2 > recent:
        return Condition.FAILING
    if not calls:
        return Condition.UNUSED
    if troubled * 1000 <= calls * errors_per_1000:
        return Condition.HEALTHY
    low, _high = wilson_interval(troubled, calls) or (0.0, 1.0)
    return Condition.OVER_BUDGET if low * 1000 > errors_per_1000 else Condition.STRAINED
