"""What somebody may have meant by a name that there is not."""

import re
from collections.abc import Collection
from difflib import get_close_matches

from apps.policies.rules.facts import HISTORY, VARIABLES

_UNDECLARED = re.compile(r"There is no “([\w.]+)”")
_KNOWN = (*VARIABLES, *(function.name for function in HISTORY))
_TAILS = {name.rpartition(".")[2]: name for name in _KNOWN}
CLOSE = 0.6


def nearest(word: str, known: Collection[str]) -> str:
    """The one of ``known`` that is most like ``word``; empty where none is like it."""
    found = get_close_matches(word, list(known), n=1, cutoff=CLOSE)
    return found[0] if found else ""


def hint_for(word: str, known: Collection[str]) -> str:
    """A question to put behind a refusal of ``word``; empty where nothing is like it."""
    found = nearest(word, known)
    return f" Did you mean {found}?" if found else ""


def hint_of(message: str) -> str:
    """The same for what the compiler says of a condition."""
    match = _UNDECLARED.search(message)
    if match is None:
        return ""
    name = match[1]
    if found := hint_for(name, _KNOWN):
        return found
    tail = get_close_matches(name.rpartition(".")[2], list(_TAILS), n=1, cutoff=CLOSE)
    return f" Did you mean {_TAILS[tail[0]]}?" if tail else ""
