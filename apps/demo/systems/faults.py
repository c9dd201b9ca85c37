"""What can go wrong with a system, switched on and off by whoever holds the admin token."""

import threading
from dataclasses import dataclass
from http import HTTPStatus

from apps.demo.systems.rest import Refusal, unfit
from apps.demo.systems.storage import Document

KINDS = {
    "down": "hangs up without a word",
    "silent": "says nothing for `seconds`, then hangs up",
    "slow": "answers, `seconds` late",
    "error": "answers 500",
    "busy": "answers 503 with Retry-After: 1",
    "nonsense": "answers 200 with what is no JSON",
}


@dataclass
class Fault:
    """`after`: the work is done, only the answer goes wrong. `times`: so often, then well again; None: until ended."""

    kind: str
    seconds: float = 0.0
    after: bool = False
    times: int | None = None


class Faults:
    """The fault of each system, if it has one; forgotten when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}

    def set(self, system: str, wanted: Document) -> Fault:
        """Switch on what the document says; refused if it says something unknown."""
        if wanted.get("kind") not in KINDS:
            raise unfit("kind", f"must be one of {', '.join(KINDS)}")
        try:
            fault = Fault(**wanted)
        except TypeError as error:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "Say kind, seconds, after, times.") from error
        with self._lock:
            self._faults[system] = fault
        return fault

    def clear(self, system: str) -> None:
        """Make the system well again."""
        with self._lock:
            self._faults.pop(system, None)

    def strike(self, system: str) -> Fault | None:
        """The fault that this request meets, counted."""
        with self._lock:
            fault = self._faults.get(system)
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[system]
            return fault

    def listed(self) -> Document:
        """Every fault by system."""
        with self._lock:
            return {system: vars(fault) for system, fault in self._faults.items()}
