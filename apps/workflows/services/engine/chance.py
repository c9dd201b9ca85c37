"""The one die of the engine: waits between tries are spread, so that what failed together does not return together."""

from random import SystemRandom

_die = SystemRandom()


def jitter() -> float:
    """A number in 0..1."""
    return _die.random()
