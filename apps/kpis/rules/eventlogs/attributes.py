"""What a log says of its cases as a whole: columns that repeat in each row of a case, attributes of an XES's traces."""

from collections.abc import Mapping, Sequence

from apps.kpis.rules.eventlogs.events import MAX_NAME, LogError, name_of

MAX_ATTRIBUTES = 12
"""So many are kept of a log."""
MAX_OFFERED = 60
"""So many are offered to choose from."""
PREFIXES = ("case_", "case:")
"""How columns begin that say something of a case, unless they say which one."""


class Attributes:
    """What is said of each case under ``names``, as it is read: one thing, or nothing.

    ``seen``: what the traces of an XES say, asked for or not, each with its first value. Raises LogError: too many.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = tuple(dict.fromkeys(names))
        if len(self.names) > MAX_ATTRIBUTES:
            raise LogError(f"At most {MAX_ATTRIBUTES} attributes of cases are kept, and these are {len(self.names)}.")
        self.seen: dict[str, str] = {}
        self._told: dict[str, dict[str, str]] = {}

    def see(self, name: str, value: str) -> None:
        """A trace says so much of itself, whatever is asked for."""
        if is_offered(name) and (name in self.names or len(self.seen) < MAX_OFFERED):
            self.seen.setdefault(name, value)

    def say(self, case: str, name: str, text: str, line: int, column: int | str) -> None:
        """A row or a trace says so of its case; empty says nothing. Raises LogError where it said otherwise before."""
        value = name_of(text, f"value of {name[:40]!r}", line, column)
        if not value:
            return
        before = self._told.setdefault(case, {}).setdefault(name, value)
        if before != value:
            said = f"{name[:40]!r} of case {case[:40]!r} is {value[:40]!r} here and {before[:40]!r} before"
            raise LogError(f"{said}: what is kept of a case is the same in all of it.", line, column)

    def of(self, case: str) -> Mapping[str, str]:
        """What was said of a case."""
        return self._told.get(case, {})


def is_offered(name: str) -> bool:
    """Whether something of this name may be kept."""
    return 0 < len(name) <= MAX_NAME and name.isprintable()
