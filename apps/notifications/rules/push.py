"""Browser push: whose addresses it may call, and what a push service is told beside the encrypted message."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from apps.core.rules import Risk

BROWSERS_MAX = 10
"""In how many browsers one person is told at most."""
TEST_EVERY_S = 10
KEPT_S = 86_400
"""How long a push service keeps a message at most for a browser that is not there."""
TOPIC_CHARS = 32
URGENCY: Mapping[Risk, str] = {
    Risk.LOW: "low",
    Risk.MEDIUM: "normal",
    Risk.HIGH: "high",
    Risk.CRITICAL: "high",
}
"""RFC 8030, 5.3: a sleeping phone takes what is ``high`` at once."""

PROGRAMS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "Mac",
    "Linux": "Linux",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What one browser shows: words of the plane alone, and a path of the plane that only opens something.

    ``topic``: a newer note takes the place of an older one of the same topic. ``ttl_s``: after so many seconds it is
    worth nothing any more.
    """

    title: str
    body: str
    path: str
    topic: str
    urgency: str
    ttl_s: int = KEPT_S


def is_push_host(host: str, allowed: Iterable[str]) -> bool:
    """Whether ``host`` is one of ``allowed``; ``*.example.com`` allows the hosts below it and not itself."""
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in allowed)


def ttl_s_of(now: datetime, ends: datetime | None) -> int:
    """Seconds for which a message is worth keeping: until ``ends``, a day at most."""
    return KEPT_S if ends is None else max(0, min(KEPT_S, int((ends - now).total_seconds())))


def topic_of(*about: object) -> str:
    """A name (RFC 8030, 5.4) for what a message is about that tells a push service nothing about it."""
    digest = hashlib.sha256("\x00".join(map(str, about)).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:TOPIC_CHARS]


def browser_name(user_agent: str) -> str:
    """``Firefox on Linux``, from a list: nothing that a browser says of itself is shown."""
    program = next((name for mark, name in PROGRAMS.items() if mark in user_agent), "A browser")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return f"{program} on {system}" if system else program
