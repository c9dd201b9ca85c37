"""Which cases of a log are asked for: those behind one of its figures, one of its ways, or a line of its lists."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from apps.kpis.rules.eventlogs.events import MAX_NAME


class CasePart(StrEnum):
    """What of a log the cases are behind."""

    ALL = "all"
    REWORKED = "reworked"
    HANDOVERS = "handovers"
    COST = "cost"
    VARIANT = "variant"
    ACTIVITY = "activity"
    FIRST = "first"
    LAST = "last"
    FOLLOWS = "follows"
    RESOURCE = "resource"
    WEEK = "week"
    ATTRIBUTE = "attribute"


NAMED = {CasePart.ACTIVITY, CasePart.FIRST, CasePart.LAST, CasePart.RESOURCE}
DIGEST, WEEK = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9]{4}-W[0-9]{2}")


@dataclass(frozen=True, slots=True)
class CasesAsked:
    """A part, with the name it is about.

    ``before`` is what comes before it where something follows something, ``key`` the attribute whose value it is;
    without a value, that nothing is said of it.
    """

    part: CasePart = CasePart.ALL
    name: str = ""
    before: str = ""
    key: str = ""

    @property
    def query(self) -> str:
        """As an address says it."""
        said = {"of": str(self.part), "name": self.name, "before": self.before, "key": self.key}
        return urlencode({name: value for name, value in said.items() if value})


def asked_cases(query: Mapping[str, str]) -> CasesAsked:
    """What is asked for. Raises ValueError with field and sentence."""
    try:
        part = CasePart(query.get("of") or CasePart.ALL)
    except ValueError:
        raise ValueError("of", f"One of {', '.join(CasePart)}.") from None
    name, before, key = (_text(query, field) for field in ("name", "before", "key"))
    needs = {CasePart.VARIANT: DIGEST, CasePart.WEEK: WEEK}.get(part)
    if needs is not None and not needs.fullmatch(name):
        raise ValueError("name", "A variant's digest." if part == CasePart.VARIANT else "A week as 2026-W07.")
    if part in NAMED and not name:
        raise ValueError("name", "Which one?")
    if part == CasePart.FOLLOWS and not (name and before):
        raise ValueError("name" if before else "before", "Both what comes before and what follows.")
    if part == CasePart.ATTRIBUTE and not key:
        raise ValueError("key", "Which attribute?")
    is_named = needs or part in NAMED | {CasePart.FOLLOWS, CasePart.ATTRIBUTE}
    return CasesAsked(part, name if is_named else "", before * (part == "follows"), key * (part == "attribute"))


def _text(query: Mapping[str, str], field: str) -> str:
    text = query.get(field, "")
    if len(text) > MAX_NAME or "\0" in text:
        raise ValueError(field, f"At most {MAX_NAME} characters, none of them NUL.")
    return text


def way_digest(activities: Sequence[str]) -> str:
    """A name of a sequence of activities that fits in an address."""
    return hashlib.sha256(json.dumps(list(activities)).encode()).hexdigest()[:32]
