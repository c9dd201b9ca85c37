"""What people said of an agent's work: which kinds of saying there are, and what each says in one word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from apps.oversight.rules.reviews import Judgement
from apps.oversight.rules.states import EscalationState, Kind

MAX_FEEDBACK = 10_000
"""So many lines an export has at most."""
MAX_NUMBER = 2**31 - 1
FILTERS = ("since", "operation", "version", "said", "kind")
SETTLED_S = 60
"""What was said longer ago than this is there for everybody to read: no transaction that writes it is open so long."""


class FeedbackKind(StrEnum):
    """Who spoke, and when: before, afterwards, or the system of record that was read back."""

    DECISION = "decision"
    ANSWER = "answer"
    REVIEW = "review"
    MISMATCH = "mismatch"
    FINDING = "finding"


class Said(StrEnum):
    """What was said, in one word."""

    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    ANSWERED = "answered"
    RIGHT = "right"
    WRONG = "wrong"
    HARMFUL = "harmful"
    MISMATCH = "mismatch"
    IN_ORDER = "in_order"
    MENDED = "mended"


KIND_OF = {
    Kind.ACTION: FeedbackKind.DECISION,
    Kind.QUESTION: FeedbackKind.ANSWER,
    Kind.REVIEW: FeedbackKind.REVIEW,
    Kind.EXCEPTION: FeedbackKind.FINDING,
}
FINDINGS = {"in order": Said.IN_ORDER, "mended": Said.MENDED}
"""What people answer who looked at what a system shows otherwise."""


@dataclass(frozen=True, slots=True)
class FeedbackFilter:
    """``since``: said then or later; ``version``: the number of the version that asked."""

    since: datetime | None = None
    operation: str = ""
    version: int | None = None
    said: Said | None = None
    kind: FeedbackKind | None = None


def feedback_filter_of(text: Mapping[str, str]) -> tuple[FeedbackFilter, dict[str, str]]:
    """The filter that texts ask for, as addresses carry them; and what is wrong with which of them, left out of it."""
    faults: dict[str, str] = {}
    for name, words in (("said", list(Said)), ("kind", list(FeedbackKind))):
        if text.get(name) and text[name] not in words:
            faults[name] = f"One of {', '.join(words)}."
    number, since = text.get("version", ""), _instant(text.get("since", ""))
    if number and not (number.isascii() and number.isdigit() and int(number[:11]) <= MAX_NUMBER):
        faults["version"] = "The number of a version."
    if text.get("since") and since is None:
        faults["since"] = "A time such as 2026-01-31T09:00:00Z."
    if "\x00" in text.get("operation", ""):
        faults["operation"] = "The character U+0000."
    fine = {name: value for name, value in text.items() if value and name not in faults}
    return FeedbackFilter(
        since=since,
        operation=fine.get("operation", ""),
        version=int(fine["version"]) if "version" in fine else None,
        said=Said(fine["said"]) if "said" in fine else None,
        kind=FeedbackKind(fine["kind"]) if "kind" in fine else None,
    ), faults


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    return found if found.tzinfo else None


def said_of(kind: Kind, state: str, *, edited: bool, answer: Any) -> Said | None:
    """What a person said who ended an item; None where it was said in words alone, and these are erased."""
    if state == EscalationState.APPROVED:
        return Said.EDITED if edited else Said.APPROVED
    if state in {EscalationState.REJECTED, EscalationState.CHANGES_REQUESTED}:
        return Said(state)
    if kind == Kind.REVIEW:
        found = _part(answer, "verdict")
        return Said(found) if found in list(Judgement) else None
    if kind == Kind.EXCEPTION:
        return FINDINGS.get(str(_part(answer, "found")))
    return Said.ANSWERED


def words_of(answer: Any) -> str:
    """The reason that an answer holds, if it is one with a reason."""
    if not isinstance(answer, Mapping):
        return ""
    return str(answer.get("reason") or answer.get("remark") or "")


def fields_of(patch: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which parameters an edit changed, as dotted paths, each once; numbers of lists are ``[]``."""
    return sorted({dotted(str(step.get("path", ""))) for step in patch})


def dotted(path: str) -> str:
    """A JSON Pointer as people read it: ``/lines/0/amount_minor`` is ``lines[].amount_minor``."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    return ".".join(parts_in_lists(parts)) or "."


def parts_in_lists(parts: Sequence[str]) -> list[str]:
    """Names with ``[]`` at those whose elements follow by number."""
    named: list[str] = []
    for part in parts:
        if part.isdigit() and named:
            named[-1] += "[]"
        else:
            named.append(part)
    return named


def _part(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, Mapping) else answer
