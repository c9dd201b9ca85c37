"""Names of services that belong to no agent that is known: what is noted, how many, and what people say of it."""

import re
from collections.abc import Iterable
from enum import StrEnum

MOST_OPEN_OF_SENDER = 20
"""Names that wait for a person, of one sender; further ones are not noted until somebody has decided about some."""
MOST_OPEN = 2_000
"""The same of all senders together."""
MOST_IGNORED_DAYS = 365
LONGEST_NAME = 120
UNNAMED = re.compile(r"unknown_service(:[\w.-]{1,64})?", re.ASCII)
"""The name that OpenTelemetry gives to a service which nobody has named, with the program's."""


class DiscoveredState(StrEnum):
    """What people said of a name; ``ignored`` until an instant, after which it is open when it comes again."""

    OPEN = "open"
    ADOPTED = "adopted"
    IGNORED = "ignored"
    BLOCKED = "blocked"


def is_known(service: str, names: Iterable[str]) -> bool:
    """Whether a service has no name of its own, or one of ``names``, however that is written."""
    told = _plain(service)
    return (
        not service.strip()
        or UNNAMED.fullmatch(service) is not None
        or bool(told and told in {_plain(name) for name in names})
    )


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
