"""Looking afterwards at what was done: which actions are taken, what a reviewer can say."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

TEN_THOUSAND = 10_000
REVIEW_DUE_S = 5 * 86_400
"""A review holds nothing up; after five days it is late all the same."""


class Judgement(StrEnum):
    """What a person says of an action that was done."""

    RIGHT = "right"
    WRONG = "wrong"
    HARMFUL = "harmful"


OVERTURNED = frozenset({Judgement.WRONG, Judgement.HARMFUL})

REVIEW_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdict"],
    "properties": {
        "verdict": {"title": "It was", "enum": [judgement.value for judgement in Judgement]},
        "reason": {"title": "Why", "type": "string", "maxLength": 2000, "x-long": True},
    },
    "if": {"properties": {"verdict": {"const": Judgement.RIGHT.value}}},
    "else": {"required": ["reason"], "properties": {"reason": {"minLength": 1}}},
}
"""The answer to a review: a judgement, and a reason unless it was right."""


def is_sampled(action: UUID, share: int | None) -> bool:
    """Whether an action is among the ``share`` of ten thousand that people look at afterwards.

    By the digest of its id, which nobody can choose: the same action is always in or always out.
    """
    number = int.from_bytes(hashlib.sha256(action.bytes).digest()[:8])
    return number % TEN_THOUSAND < (share or 0)
