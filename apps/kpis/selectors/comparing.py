"""Two versions of one thing in one period: every figure of both, and what differs where both did the same work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.kpis.models.clock import database_now
from apps.kpis.rules.comparisons import (
    OUTCOMES,
    Finding,
    Outcome,
    effect_sentence,
    findings_of,
    needed_sentence,
    part_sentence,
    summary_sentence,
)
from apps.kpis.rules.figures import Figure
from apps.kpis.rules.filters import FilterProblem, KpiFilter, number_in
from apps.kpis.rules.formats import count_text, percent_text
from apps.kpis.rules.sentences import interval_text
from apps.kpis.selectors.both import Both, Stratum, Subject, both_of
from apps.kpis.selectors.drawings import said


@dataclass(frozen=True, slots=True)
class Side:
    """One figure of one version; ``few``: too few values to compare it with anything."""

    text: str
    interval: str
    n: str
    few: bool
    href: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the comparison. ``part``: of how much of both ``effect`` is, where that is not all."""

    key: str
    label: str
    formula: str
    was: Side
    now: Side
    word: str
    effect: str
    part: str
    needed: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Mix:
    """A stratum's part of what each version did. ``counts``: both were there, so what they did there is compared.

    ``words``: what it is, by the name of each of its columns.
    """

    words: dict[str, str]
    was_n: int
    now_n: int
    was: str
    now: str
    counts: bool

    @property
    def name(self) -> str:
        """What it is, in one line."""
        return " · ".join(self.words.values())


@dataclass(frozen=True, slots=True)
class Part:
    """What both versions did of one kind: ``counted`` names it.

    ``moved``: the share of it that is elsewhere than before, 0..1; ``left_out``: how much only one of the versions did.
    """

    counted: str
    mix: list[Mix]
    moved: float | None
    left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``now`` held against ``was``. ``every``: of how many durations one was read."""

    asked: KpiFilter
    as_of: datetime
    now: int
    was: int
    known: list[int]
    lines: list[Compared]
    summary: list[str]
    parts: list[Part]
    every: int

    @property
    def query(self) -> str:
        """The query string that asks for this comparison."""
        return f"{self.asked.query}&version={self.now}&against={self.was}"


def against_in(query: Mapping[str, str]) -> int | None:
    """The older version that a query names. Raises InvalidError."""
    try:
        return number_in(query, "against")
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem


def known_of(subjects: Sequence[Subject]) -> list[int]:
    """The versions of which there are rows of any subject, the newest first."""
    return sorted({number for subject in subjects for number in subject.known}, reverse=True)


def compare(asked: KpiFilter, subjects: Sequence[Subject], *, now: int | None, was: int | None) -> Comparison:
    """Two versions of what has versions; without numbers the two newest of which there are rows.

    Raises InvalidError where both are the same and where there are no two.
    """
    if now is not None and now == was:
        raise InvalidError(errors={"against": [_("Another version than the first.")]})
    known = known_of(subjects)
    versions = _chosen(known, now, was)
    sides = [both_of(asked, subject, versions) for subject in subjects]
    told = [(both, both.pair(key)) for both in sides for key in both.subject.figures]
    findings = findings_of([pair for _both, pair in told])
    lines = [_line(both, finding) for (both, _pair), finding in zip(told, findings, strict=True)]
    return Comparison(
        asked=asked,
        as_of=database_now(),
        now=versions[0],
        was=versions[1],
        known=sorted({*known, *versions}, reverse=True),
        lines=lines,
        summary=_summary(lines),
        parts=[Part(both.subject.counted, _mix(both), _moved(both), both.left_out) for both in sides],
        every=max(both.every for both in sides),
    )


def _chosen(known: list[int], now: int | None, was: int | None) -> tuple[int, int]:
    newer = now if now is not None else next((one for one in known if one != was), None)
    older = was if was is not None else next((one for one in known if newer is not None and one < newer), None)
    if newer is None or older is None:
        raise InvalidError(errors={"version": [_("There are fewer than two versions in this period.")]})
    return newer, older


def _line(both: Both, finding: Finding) -> Compared:
    definition = finding.pair.now.definition
    now, was = (
        _side(both.subject.page_of(version, definition.key), figure)
        for version, figure in zip(both.versions, (finding.pair.now, finding.pair.was), strict=True)
    )
    return Compared(
        key=definition.key,
        label=_(definition.label),
        formula=_(definition.formula),
        was=was,
        now=now,
        word=_(OUTCOMES[finding.outcome]),
        effect=said(effect_sentence(finding)),
        part=said(part_sentence(finding)),
        needed=said(needed_sentence(finding)),
        finding=finding,
    )


def _side(page: str, figure: Figure) -> Side:
    return Side(figure.text, interval_text(figure), count_text(figure.n), not figure.enough, page if figure.n else "")


def _summary(lines: Sequence[Compared]) -> list[str]:
    """Which figures came out better, worse, unclear and too early to tell."""
    named = {one: [line.label for line in lines if line.finding.outcome == one] for one in Outcome}
    return [said(summary_sentence(one, labels)) for one, labels in named.items() if labels]


def _strata(both: Both) -> list[Stratum]:
    return sorted(both.sides[0].keys() | both.sides[1].keys(), key=str)


def _mix(both: Both) -> list[Mix]:
    """Every stratum's part of both sides, the largest first."""
    name, strata = both.subject.counted, _strata(both)
    words, shared = both.subject.words_of(strata), both.shared(name)
    found = [
        Mix(
            words=words[one],
            was_n=both.count(1, name, one),
            now_n=both.count(0, name, one),
            was=percent_text(_part(both, 1, one)),
            now=percent_text(_part(both, 0, one)),
            counts=one in shared,
        )
        for one in strata
    ]
    return sorted(found, key=lambda one: -(one.was_n + one.now_n))


def _part(both: Both, at: int, stratum: Stratum) -> float | None:
    of = both.total(at, both.subject.counted)
    return both.count(at, both.subject.counted, stratum) / of if of else None


def _moved(both: Both) -> float | None:
    """Half of all changes of strata's parts: the share that would have to be elsewhere to undo them."""
    parts = [(_part(both, 0, one), _part(both, 1, one)) for one in _strata(both)]
    known = [abs(now - was) for now, was in parts if now is not None and was is not None]
    return sum(known) / 2 if known else None
