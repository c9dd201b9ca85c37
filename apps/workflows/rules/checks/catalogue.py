"""What exists outside a document, as far as its checks ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OperationFacts:
    """What a check needs of an operation."""

    effect: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What exists outside the document. None: not asked, so nothing about it is checked."""

    units: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    operations: Mapping[str, OperationFacts] | None = None
    people: frozenset[str] | None = None
    data_classes: frozenset[str] | None = None


NOTHING_ASKED = Catalogue()
