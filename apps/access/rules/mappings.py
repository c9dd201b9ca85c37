"""What groups of a directory come to: which roles somebody gains and loses."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moved[K: Hashable]:
    """Roles, each with its unit, that somebody gains, and those that they lose."""

    gained: frozenset[K]
    lost: frozenset[K]


def roles_moved[K: Hashable](wanted: Iterable[K], held: Mapping[K, bool]) -> Moved[K]:
    """``wanted``: what mappings say; ``held``: what is held now, and whether it came by the directory.

    What was given by hand is neither doubled nor taken.
    """
    said = frozenset(wanted)
    lost = frozenset(key for key, provisioned in held.items() if provisioned and key not in said)
    return Moved(gained=said - held.keys(), lost=lost)
