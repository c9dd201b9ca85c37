"""The keys of the pages: what each does, and how a person may move or end them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LEADER = "g"
GO = "g "
FIXED = frozenset("?0123456789")
"""Keys that stay: the list of keys itself, and the numbers of a list of choices."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One key. ``key`` is what it is from the start and how pages name it, whatever a person makes of it."""

    key: str
    does: Any

    @property
    def goes(self) -> bool:
        """Whether it is the second key after the leader."""
        return self.key.startswith(GO)

    @property
    def field(self) -> str:
        """How a form names it."""
        names = {".": "dot", "/": "slash"}
        return f"key_{names.get(self.key, self.key.replace(' ', '_'))}"


SHORTCUTS = (
    Shortcut("j", gettext_lazy("Next item")),
    Shortcut("k", gettext_lazy("Previous item")),
    Shortcut("o", gettext_lazy("Read the open item")),
    Shortcut("u", gettext_lazy("Back to the list")),
    Shortcut("a", gettext_lazy("Approve")),
    Shortcut("r", gettext_lazy("Reject")),
    Shortcut("e", gettext_lazy("Edit and approve")),
    Shortcut("b", gettext_lazy("Request changes")),
    Shortcut("c", gettext_lazy("Claim or let go")),
    Shortcut("s", gettext_lazy("Snooze")),
    Shortcut("m", gettext_lazy("Comment")),
    Shortcut("x", gettext_lazy("Select")),
    Shortcut("z", gettext_lazy("Take back a held decision")),
    Shortcut(".", gettext_lazy("Show new arrivals")),
    Shortcut("/", gettext_lazy("Filter")),
    Shortcut("g i", gettext_lazy("Go to the inbox")),
    Shortcut("g f", gettext_lazy("Go to focus")),
    Shortcut("g t", gettext_lazy("Go to actions")),
    Shortcut("g r", gettext_lazy("Go to runs")),
    Shortcut("g b", gettext_lazy("Go to agents")),
    Shortcut("g w", gettext_lazy("Go to workflows")),
    Shortcut("g d", gettext_lazy("Go to dashboards")),
    Shortcut("g a", gettext_lazy("Go to the audit trail")),
    Shortcut("g p", gettext_lazy("Go to policies")),
    Shortcut("g h", gettext_lazy("Go to the kill switches")),
)
KNOWN = {shortcut.key: shortcut for shortcut in SHORTCUTS}


def key_of(own: Mapping[str, str], key: str) -> str:
    """What a person presses for ``key``."""
    return own.get(key, key)


def shortcut_errors(own: Mapping[str, str]) -> dict[str, str]:
    """What does not fit of a person's keys, by the key they would replace: no single sign, kept, or taken twice."""
    found: dict[str, str] = {}
    for key, pressed in own.items():
        letter = pressed.removeprefix(GO) if key.startswith(GO) else pressed
        if key not in KNOWN or len(letter) != 1 or not letter.isascii() or not letter.isprintable() or letter == " ":
            found[key] = _("One letter or sign.")
        elif letter in FIXED or (letter == LEADER and not key.startswith(GO)):
            found[key] = _("This key stays what it is.")
        elif letter != letter.lower():
            found[key] = _("A small letter: Shift is not asked for.")
    for shortcut in SHORTCUTS:
        others = [other for other in SHORTCUTS if other.key != shortcut.key]
        pressed = key_of(own, shortcut.key)
        taken = next((other for other in others if key_of(own, other.key) == pressed), None)
        if taken and shortcut.key in own and shortcut.key not in found:
            found[shortcut.key] = _("Taken by “%s”.") % taken.does
    return found


def keymap_of(own: Mapping[str, str]) -> dict[str, str]:
    """From what is pressed to what pages call it, where they differ; a key that was given away does nothing."""
    moved = {pressed: key for key, pressed in own.items() if pressed != key}
    freed = {key: "" for key, pressed in own.items() if pressed != key and key not in moved}
    return {**freed, **moved}
