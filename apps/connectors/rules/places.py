"""Where calls go: the system itself, or the address that it has for tests; each with a secret of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from apps.agents.rules import Environment
from apps.connectors.rules.egress import Origin

CREDENTIALS: Mapping[str, str] = MappingProxyType({Environment.LIVE: "main", Environment.TEST: "test"})
"""Environment -> the credential that opens its address, and no other."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a system."""

    base_url: str
    allow_internal: bool
    environment: Environment

    @property
    def credential(self) -> str:
        """Whose secret is sent there."""
        return CREDENTIALS[self.environment]


def reaches(test: Origin, live: Origin) -> bool:
    """Whether a call at the test address could be one at the live address: the same host, and a path above its own."""
    same_host = (test.scheme, test.host.lower(), test.port) == (live.scheme, live.host.lower(), live.port)
    return same_host and f"{live.path}/".startswith(f"{test.path}/")
