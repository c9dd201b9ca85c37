"""Stretches of time: how long somebody had a thing, however many had it at once."""

from collections.abc import Iterable
from datetime import datetime

type Spell = tuple[datetime, datetime]
"""From, until."""


def merged(spells: Iterable[Spell]) -> list[Spell]:
    """The same time as stretches that do not overlap, in order; empty ones fall out."""
    found: list[Spell] = []
    for start, end in sorted(spell for spell in spells if spell[0] < spell[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def without(spells: Iterable[Spell], others: Iterable[Spell]) -> list[Spell]:
    """What of ``spells`` lies in none of ``others``."""
    left = merged(spells)
    for start, end in merged(others):
        left = [
            piece
            for one_start, one_end in left
            for piece in ((one_start, min(one_end, start)), (max(one_start, end), one_end))
            if piece[0] < piece[1]
        ]
    return left


def seconds(spells: Iterable[Spell]) -> float:
    """How long they last together; time that several share counts once."""
    return sum((end - start).total_seconds() for start, end in merged(spells))
