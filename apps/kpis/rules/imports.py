"""The life of a file that somebody left to be imported, and what is being done with it."""

from enum import StrEnum


class ImportState(StrEnum):
    """Where a file is: left, being imported, or what came of that. Of one that is done the content is gone."""

    LEFT = "left"
    RUNNING = "running"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"


class ImportStep(StrEnum):
    """What an import is at; how far is counted in bytes of the file, in events, in cases."""

    WAITING = "waiting"
    READING = "reading"
    FIGURES = "figures"
    WRITING = "writing"


TRIES = 3
"""An import is taken up so often; whoever died over it thrice would die again."""


def percent_of(done: int, total: int) -> int:
    """How much of it is done, rounded down: a hundred is all of it. Of nothing there is nothing to do yet."""
    return 100 * done // total if total else 0
