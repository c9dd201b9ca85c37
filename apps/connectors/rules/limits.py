"""What caps the calls to one system, whatever its operations say."""

from collections.abc import Mapping
from typing import Any

from apps.connectors.rules.answers import RESPONSE_BYTES_MAX

LIMITS: Mapping[str, tuple[int, int]] = {
    "concurrent": (1, 1_000),
    "per_minute": (1, 100_000),
    "timeout_s": (1, 120),
    "response_kb": (1, RESPONSE_BYTES_MAX // 1024),
    "errors_per_1000": (0, 500),
}
"""Name -> from, to. ``concurrent`` and ``per_minute`` hold effects up, ``errors_per_1000`` is the error budget."""

ERRORS_PER_1000 = 10
"""The error budget where none is set: one call of a hundred."""


def limit_problems(limits: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a system's limits, by name."""
    wrong = {name: f"Unknown; known are {', '.join(LIMITS)}." for name in limits.keys() - LIMITS.keys()}
    for name in limits.keys() & LIMITS.keys():
        least, most = LIMITS[name]
        value = limits[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            wrong[name] = f"A whole number from {least} to {most}."
    return wrong


def timeout_s_of(limits: Mapping[str, Any], timeout_s: int) -> int:
    """How long a call may take: what the operation says, at most what the system's limit says."""
    return min(timeout_s, int(limits.get("timeout_s", timeout_s)))


def response_bytes_of(limits: Mapping[str, Any]) -> int:
    """How large an answer may be."""
    return int(limits.get("response_kb", RESPONSE_BYTES_MAX // 1024)) * 1024
