"""Breakers by the clock."""

from apps.workflows.services import breakers


def check_breakers() -> int:
    """Stop what breakers find too much of; how many halts."""
    return breakers.check_breakers()


def measure_paces() -> int:
    """What is usual for each agent, anew; of how many."""
    return breakers.measure_paces()
