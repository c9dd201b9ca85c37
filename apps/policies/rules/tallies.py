"""What a simulation counts, and what it says of it: shares with their intervals, days, hours, money. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID
from zlib import crc32

from apps.core.statistics import wilson_interval
from apps.policies.rules.documents import Effect
from apps.policies.rules.replay import Replayed

COMPARED = (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY)
"""What a verdict may be, mildest first."""
SAMPLES = 8
MAX_NAMED = 200
"""So many agents and units are counted by name in each cell; the others together, under the empty name."""
DAY_S = 86_400


class Decided(StrEnum):
    """What people made of an action that they were asked about."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Later(StrEnum):
    """What came of an action that ran."""

    WELL = "well"
    FAILED = "failed"
    UNKNOWN = "unknown"
    COMPENSATED = "compensated"
    OVERTURNED = "overturned"


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What people made of one action; ``is_overturned``: whoever looked at it afterwards found it wrong."""

    decided: Decided | None = None
    is_edited: bool = False
    is_overturned: bool = False


NO_HINDSIGHT = Hindsight()


@dataclass(frozen=True, slots=True)
class Case:
    """One action of the past, as far as it is counted."""

    id: UUID
    unit: str
    agent: str
    amount_minor: int | None = None
    currency: str = ""
    decided: Decided | None = None
    later: Later | None = None


@dataclass(slots=True)
class Cell:
    """The actions that came from one effect to one other."""

    n: int = 0
    money: dict[str, int] = field(default_factory=dict)
    agents: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    samples: list[list[Any]] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Count one more. The samples are those whose ids hash lowest: the same whatever the order, nobody's choice."""
        self.n += 1
        if case.amount_minor is not None:
            self.money[case.currency] = self.money.get(case.currency, 0) + case.amount_minor
        _count(self.agents, case.agent)
        _count(self.units, case.unit)
        if case.decided:
            self.decided[case.decided] = self.decided.get(case.decided, 0) + 1
        if case.later:
            self.later[case.later] = self.later.get(case.later, 0) + 1
        place = crc32(case.id.bytes)
        if len(self.samples) < SAMPLES or place < self.samples[-1][0]:
            self.samples = sorted([*self.samples, [place, str(case.id)]])[:SAMPLES]

    def as_json(self) -> dict[str, Any]:
        """The cell as it is stored."""
        return {name: getattr(self, name) for name in _PARTS}


_PARTS = ("n", "money", "agents", "units", "decided", "later", "samples")


def _count(counts: dict[str, int], name: str) -> None:
    known = name if name in counts or len(counts) < MAX_NAMED else ""
    counts[known] = counts.get(known, 0) + 1


@dataclass(slots=True)
class Tally:
    """What one set of rules would have changed: cells by (before, after), and each queue's [items, people asked]."""

    cells: dict[tuple[Effect, Effect], Cell] = field(default_factory=dict)
    asked_before: dict[str, list[int]] = field(default_factory=dict)
    asked_after: dict[str, list[int]] = field(default_factory=dict)

    def add(self, case: Case, before: Replayed, after: Replayed) -> None:
        """Count one action."""
        self.cells.setdefault((before.effect, after.effect), Cell()).add(case)
        for counts, replayed in ((self.asked_before, before), (self.asked_after, after)):
            for queue, people in replayed.asked.items():
                items, all_people = counts.get(queue, (0, 0))
                counts[queue] = [items + 1, all_people + people]

    def as_json(self) -> dict[str, Any]:
        """The tally as it is stored."""
        cells = {f"{before}>{after}": cell.as_json() for (before, after), cell in self.cells.items()}
        return {"cells": cells, "asked_before": self.asked_before, "asked_after": self.asked_after}

    def count(self, before: Iterable[Effect] = COMPARED, after: Iterable[Effect] = COMPARED) -> int:
        """How many actions came from one of these to one of those."""
        return sum(cell.n for cell in self._of(before, after))

    def money(self, before: Iterable[Effect], after: Iterable[Effect]) -> dict[str, int]:
        """Their money by currency, in minor units."""
        return _sums(cell.money for cell in self._of(before, after))

    def decided(self, before: Iterable[Effect] = COMPARED, after: Iterable[Effect] = COMPARED) -> dict[str, int]:
        """What people made of them."""
        return _sums(cell.decided for cell in self._of(before, after))

    def later(self, before: Iterable[Effect] = COMPARED, after: Iterable[Effect] = COMPARED) -> dict[str, int]:
        """What came of those that ran."""
        return _sums(cell.later for cell in self._of(before, after))

    def named(self, kind: str) -> dict[str, int]:
        """Of how many actions the effect would change, by agent or unit (``kind``: agents, units); most first."""
        changed = [cell for (before, after), cell in self.cells.items() if before is not after]
        sums = _sums(getattr(cell, kind) for cell in changed)
        return dict(sorted(sums.items(), key=lambda one: (-one[1], one[0])))

    def _of(self, before: Iterable[Effect], after: Iterable[Effect]) -> list[Cell]:
        olds, news = set(before), set(after)
        return [cell for (old, new), cell in self.cells.items() if old in olds and new in news]


def tally_of(stored: Mapping[str, Any]) -> Tally:
    """The tally that ``as_json`` wrote down."""
    cells = {}
    for name, told in stored.get("cells", {}).items():
        before, _, after = name.partition(">")
        cells[Effect(before), Effect(after)] = Cell(**{part: told[part] for part in _PARTS})
    return Tally(cells, dict(stored.get("asked_before", {})), dict(stored.get("asked_after", {})))


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, n in each.items():
            found[name] = found.get(name, 0) + n
    return found


@dataclass(frozen=True, slots=True)
class Proportion:
    """``part`` of ``whole``, with its 95 % Wilson interval; no share and no interval over nothing."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        """0..1."""
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """0..1."""
        return wilson_interval(self.part, self.whole)

    def as_json(self) -> dict[str, Any]:
        """The proportion for the API."""
        low, high = self.interval or (None, None)
        return {"part": self.part, "n": self.whole, "share": self.share, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the draft fits what people decided and what came of it.

    ``allowed``: of what it allows and people decided, what they approved. ``denied``: of what it denies and people
    decided, what they rejected. ``went_wrong``: of what it newly lets run unasked and ran, what failed, was
    compensated, overturned, or is not known. ``lost``: of what it newly denies and ran, what went well.
    """

    allowed: Proportion
    denied: Proportion
    went_wrong: Proportion
    lost: Proportion


def agreement_of(tally: Tally) -> Agreement:
    """The agreement that a tally shows."""
    allowed, denied = tally.decided(after=[Effect.ALLOW]), tally.decided(after=[Effect.DENY])
    freed = tally.later([Effect.REQUIRE_APPROVAL, Effect.DENY], [Effect.ALLOW])
    stopped = tally.later([Effect.ALLOW, Effect.REQUIRE_APPROVAL], [Effect.DENY])
    ran, kept = sum(freed.values()), sum(stopped.values())
    return Agreement(
        Proportion(allowed.get(Decided.APPROVED, 0), sum(allowed.values())),
        Proportion(denied.get(Decided.REJECTED, 0), sum(denied.values())),
        Proportion(ran - freed.get(Later.WELL, 0), ran),
        Proportion(stopped.get(Later.WELL, 0), kept),
    )


@dataclass(frozen=True, slots=True)
class Load:
    """How often a queue is asked on a day, and the hours that its people spend on it on that day."""

    queue: str
    before: float
    after: float
    hours_before: float
    hours_after: float


def loads_of(tally: Tally, *, days: float, paces: Mapping[str, float]) -> list[Load]:
    """What each queue has to do, most changed first. ``paces``: seconds that one person's decision takes there."""
    found = []
    for queue in sorted(tally.asked_before.keys() | tally.asked_after.keys()):
        items, people = zip(
            *(counts.get(queue, (0, 0)) for counts in (tally.asked_before, tally.asked_after)), strict=True
        )
        hour = days * 3600 / paces[queue]
        found.append(Load(queue, items[0] / days, items[1] / days, people[0] / hour, people[1] / hour))
    return sorted(found, key=lambda load: (-abs(load.after - load.before), load.queue))
