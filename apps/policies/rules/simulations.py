"""The life of a simulation, and how much of the past it may look at."""

from enum import StrEnum

from apps.core.rules import Moves

MAX_DAYS = 366
MAX_ACTIONS = 1_000_000
"""So many actions are looked at by one simulation at most; a longer past is refused, never cut."""
USUAL_DAYS = 30


class SimulationState(StrEnum):
    """Where a simulation is."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


SIMULATION_MOVES: Moves = {
    SimulationState.RUNNING: frozenset({SimulationState.DONE, SimulationState.CANCELLED, SimulationState.FAILED}),
    SimulationState.DONE: frozenset(),
    SimulationState.CANCELLED: frozenset(),
    SimulationState.FAILED: frozenset(),
}
