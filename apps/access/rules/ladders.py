"""Ladders: where an item goes next when nobody takes it, rung by rung, with an end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_LEVELS = 10
MAX_REPEAT = 10
MAX_LEVEL_S = 10**8


class TargetKind(StrEnum):
    """Whom a level asks. A queue takes the item over; a role's holders, a person, who is on duty are called to it."""

    QUEUE = "queue"
    ROLE = "role"
    USER = "user"
    ROTA = "rota"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom: the slug of a queue, a role or a rota, the username of a person."""

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == TargetKind.QUEUE else f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step up. ``after_s``: seconds of the queue's open time since the step before; None: when it is due."""

    target: Target
    after_s: int | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a queue says: its levels, and how many times they are gone through again."""

    levels: Sequence[Mapping[str, Any]] = ()
    repeat: int = 0

    def rungs(self) -> list[Rung]:
        """The levels, as often as they are gone through."""
        found = [Rung(target_of(level["to"]), int(level["after_s"])) for level in self.levels]
        return found * (1 + self.repeat)


def ladder(start: str, policies: Mapping[str, Policy], *, last_resort: str | None = None) -> list[Rung]:
    """Every rung of an item that began in the queue ``start``: its policy, then that of the queue it led to, and so on.

    No queue's policy is followed twice, so every ladder ends: with ``last_resort``, where there is one.
    """
    rungs: list[Rung] = []
    at, followed = start, set[str]()
    while at not in followed:
        followed.add(at)
        rungs += policies.get(at, Policy()).rungs()
        at = next(_queues_backwards(rungs), start)
    if last_resort and last_resort != at:
        rungs.append(Rung(Target(TargetKind.QUEUE, last_resort), rungs[-1].after_s if rungs else None))
    return rungs


def _queues_backwards(rungs: Sequence[Rung]) -> Iterator[str]:
    return (rung.target.name for rung in reversed(rungs) if rung.target.kind == TargetKind.QUEUE)


def target_of(to: Any) -> Target:
    """``heads`` or ``{queue: heads}``, ``{role: head}``, ``{user: carla}``, ``{rota: nights}``. Raises ValueError."""
    if isinstance(to, str) and to:
        return Target(TargetKind.QUEUE, to)
    if isinstance(to, Mapping) and len(to) == 1:
        kind, name = next(iter(to.items()))
        if kind in set(TargetKind) and isinstance(name, str) and name:
            return Target(TargetKind(kind), name)
    raise ValueError("One of a queue's slug, {queue: slug}, {role: slug}, {user: username}, {rota: slug} is wanted.")


def level_errors(levels: Sequence[Any], *, repeat: int = 0) -> dict[str, list[str]]:
    """What is wrong with a queue's levels, by path."""
    errors: dict[str, list[str]] = {}
    if len(levels) > MAX_LEVELS:
        errors["escalation"] = [f"At most {MAX_LEVELS} levels."]
    for place, level in enumerate(levels):
        if not isinstance(level, Mapping) or set(level) != {"after_s", "to"}:
            errors[f"escalation.{place}"] = ["A level is {after_s, to}."]
            continue
        after_s = level["after_s"]
        if isinstance(after_s, bool) or not isinstance(after_s, int) or not 1 <= after_s <= MAX_LEVEL_S:
            errors[f"escalation.{place}.after_s"] = ["Whole seconds from 1."]
        try:
            target_of(level["to"])
        except ValueError as problem:
            errors[f"escalation.{place}.to"] = [str(problem)]
    if not 0 <= repeat <= MAX_REPEAT:
        errors["repeat"] = [f"From 0 to {MAX_REPEAT}."]
    if repeat and not levels:
        errors["repeat"] = ["There is no level to repeat."]
    return errors
