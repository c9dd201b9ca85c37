"""A run on a line of time: what machines had, what people had, and when it lay with nobody."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind as ItemKind
from apps.workflows.models import Run
from apps.workflows.rules.spells import Spell, merged, seconds, without
from apps.workflows.rules.states import HUMAN, StepState
from apps.workflows.selectors.drawings import kind_word
from apps.workflows.selectors.reading import StepShown

NARROWEST = 0.6
"""In percent: a bar of a moment is still seen."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Where something lies on the line of time, in percent of it."""

    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One round of a step. ``waits``: when people had it, where it is no step of people's own."""

    step: StepShown
    who: str
    whole: Piece
    waits: list[Piece]
    css: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The bars, and for how long people had the run, machines alone had it, and nobody."""

    bars: list[Bar]
    people_s: float
    machines_s: float
    nobody_s: float


def timeline_of(actor: User, run: Run, steps: list[StepShown], now: datetime) -> Timeline:
    """The time of a run (fetched through ``run_for``) until its end, or ``now``."""
    assert actor.is_active
    whole = (run.started_at or run.created_at, run.finished_at or now)
    with_people = _with_people(run, whole)
    human = [spell for spells in with_people.values() for spell in spells]
    human += [_spell(step, whole) for step in steps if step.started_at and step.kind in HUMAN]
    busy = without((_spell(step, whole) for step in steps if step.started_at and step.kind not in HUMAN), human)
    people_s, machines_s = seconds(human), seconds(busy)
    nobody_s = max(0.0, (whole[1] - whole[0]).total_seconds() - people_s - machines_s)
    bars = [_bar(step, whole, with_people.get(step.name, [])) for step in steps if step.started_at]
    return Timeline(bars, people_s, machines_s, nobody_s)


def _with_people(run: Run, whole: Spell) -> dict[str, list[Spell]]:
    """When items of the run lay before people, by step; a look afterwards held nothing up."""
    found: dict[str, list[Spell]] = defaultdict(list)
    rows = Escalation.objects.filter(run_id=run.pk).exclude(kind=ItemKind.REVIEW).order_by("id")
    for step, start, end in rows.values_list("step", "created_at", "ended_at"):
        found[step].append((max(start, whole[0]), min(end or whole[1], whole[1])))
    return found


def _spell(step: StepShown, whole: Spell) -> Spell:
    assert step.started_at is not None
    return max(step.started_at, whole[0]), min(step.finished_at or whole[1], whole[1])


def _bar(step: StepShown, whole: Spell, waits: list[Spell]) -> Bar:
    spell = _spell(step, whole)
    is_human = step.kind in HUMAN
    css = "bad" if step.state == StepState.FAILED else "human" if is_human else "back" if step.undone else ""
    inside = [] if is_human else merged((max(start, spell[0]), min(end, spell[1])) for start, end in waits)
    pieces = [_piece(one, whole) for one in inside]
    return Bar(step, kind_word(step.kind), _piece(spell, whole), pieces, css, seconds([spell]))


def _piece(spell: Spell, whole: Spell) -> Piece:
    length = max((whole[1] - whole[0]).total_seconds(), 0.001)
    left = max(0.0, (spell[0] - whole[0]).total_seconds() / length * 100)
    return Piece(round(left, 2), round(max((spell[1] - spell[0]).total_seconds() / length * 100, NARROWEST), 2))
