"""Whether an hour is out of line with the same hour of the week in the eight weeks before. Pure.

Failures by the beta-binomial distribution, starts by the negative binomial one: nobody knows the rate of either, and
eight hours only hint at it. Chance alone is so far off in two hours in a row, each less than once in
10,000, or in one less than once in a million.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import fmean, median, pvariance
from zoneinfo import ZoneInfo

from apps.kpis.rules.definitions import gettext_noop

WEEKS = 8
FEWEST_WEEKS = 4
"""So many of the eight must be weeks in which the workflow ran already."""
EVENTS = 5
"""Fewer failures or starts, or as few expected ones, are nothing to tell."""
RARE, VERY_RARE = 1e-4, 1e-6
HOUR = timedelta(hours=1)


class Unusual(StrEnum):
    """What is worth a look: three of an hour, then a target that a week missed, open runs past their SLA, a backlog."""

    FAILURES = "failures"
    MORE = "more"
    FEWER = "fewer"
    TARGET = "target"
    SLA = "sla"
    BACKLOG = "backlog"


OF_HOURS = frozenset({Unusual.FAILURES, Unusual.MORE, Unusual.FEWER})

SENTENCES: Mapping[Unusual, str] = {
    Unusual.FAILURES: gettext_noop(
        "%(count)s of %(of)s runs failed or left something wrong in an hour; about %(expected)s are usual at this time."
    ),
    Unusual.MORE: gettext_noop("%(count)s runs started in an hour; about %(expected)s are usual at this time."),
    Unusual.FEWER: gettext_noop("Only %(count)s runs started in an hour; about %(expected)s are usual at this time."),
    Unusual.TARGET: gettext_noop(
        "Target missed in %(week)s: %(kpi)s was %(value)s (n = %(of)s); the target is %(expected)s."
    ),
    Unusual.SLA: gettext_noop("%(count)s of %(of)s open runs past their SLA; none should be."),
    Unusual.BACKLOG: gettext_noop(
        "Work piles up: %(count)s runs were open at the end of the day, at most %(expected)s in the eight weeks "
        "before. In four weeks %(of)s more started than ended."
    ),
}


@dataclass(frozen=True, slots=True)
class Hour:
    """What happened in one hour: runs that started, ended, and were wrong of these."""

    started: int = 0
    finished: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing unusual of an hour: ``count`` (of failures: out of ``of``) where ``expected`` were usual."""

    kind: Unusual
    count: int
    of: int
    expected: float
    chance: float


def same_hours(start: datetime, zone: ZoneInfo) -> list[datetime | None]:
    """When the hour that begins at ``start`` began in the eight weeks before, by the clocks of ``zone``; in UTC.

    None where clocks jumped over it. Both hours of an autumn night have the one of other weeks; of a week in which
    there were two, the first is taken for the first, the second for the second.
    """
    wall = start.astimezone(zone)
    found: list[datetime | None] = []
    for week in range(1, WEEKS + 1):
        then = wall.replace(tzinfo=None) - timedelta(weeks=week)
        instant = then.replace(tzinfo=zone, fold=wall.fold).astimezone(UTC)
        found.append(instant if instant.astimezone(zone).replace(tzinfo=None) == then else None)
    return found


def last_whole_hour(now: datetime, settled: timedelta) -> datetime:
    """The beginning of the newest hour (UTC) that was over ``settled`` ago."""
    return (now - settled).astimezone(UTC).replace(minute=0, second=0, microsecond=0) - HOUR


def signs_of(now: Hour, past: Sequence[Hour]) -> list[Sign]:
    """What is unusual of an hour less than once in 10,000; nothing before four weeks are known."""
    if len(past) < FEWEST_WEEKS:
        return []
    found = [_failures(now, past), *_starts(now, past)]
    return [sign for sign in found if sign.chance < RARE and max(sign.count, sign.expected) >= EVENTS]


def is_told(sign: Sign, before: Sequence[Sign]) -> bool:
    """Whether a sign is worth telling: very rare, or of the same kind as one of the hour before."""
    return sign.chance < VERY_RARE or any(one.kind == sign.kind for one in before)


def _failures(now: Hour, past: Sequence[Hour]) -> Sign:
    """Against the share of all runs of the weeks, as likely every share as another before them (Laplace 1774)."""
    wrong = sum(hour.wrong for hour in past) + 1
    right = sum(hour.finished - hour.wrong for hour in past) + 1
    expected = wrong / (wrong + right) * now.finished
    chance = beta_binomial_tail(now.wrong, now.finished, wrong, right) if now.wrong >= EVENTS else 1.0
    return Sign(Unusual.FAILURES, now.wrong, now.finished, expected, chance)


def _starts(now: Hour, past: Sequence[Hour]) -> list[Sign]:
    """Against those of the weeks, in steps as large as their variance over their mean: starts come in bursts.

    Before them every rate is as likely as another, so that they show it as a gamma distribution, and chance is negative
    binomial. ``expected`` is their median.
    """
    counts, weeks = [hour.started for hour in past], len(past)
    usual = float(median(counts))
    step = max(1.0, pvariance(counts) / fmean(counts)) if any(counts) else 1.0
    seen = sum(counts) / step + 1
    more = negative_binomial_from(math.floor(now.started / step), seen, weeks)
    fewer = negative_binomial_up_to(math.ceil(now.started / step), seen, weeks) if usual >= EVENTS else 1.0
    return [
        Sign(Unusual.MORE, now.started, now.started, usual, more if now.started >= EVENTS else 1.0),
        Sign(Unusual.FEWER, now.started, now.started, usual, fewer),
    ]


def binomial_tail(k: int, n: int, share: float) -> float:
    """How likely ``k`` or more of ``n`` are at this share."""
    if k <= 0 or share >= 1:
        return 1.0
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(share)
        + (n - i) * math.log1p(-share)
        for i in range(k, n + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def beta_binomial_tail(k: int, n: int, a: float, b: float) -> float:
    """How likely ``k`` or more of ``n`` are at a share that is beta distributed; from logarithms."""
    if k <= 0:
        return 1.0
    whole = math.lgamma(n + 1) + math.lgamma(a + b) - math.lgamma(n + a + b) - math.lgamma(a) - math.lgamma(b)
    logs = (
        whole + math.lgamma(i + a) - math.lgamma(i + 1) + math.lgamma(n - i + b) - math.lgamma(n - i + 1)
        for i in range(k, n + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def negative_binomial_up_to(k: int, seen: float, hours: int) -> float:
    """How likely ``k`` or fewer are in one hour after ``seen`` in so many; no whole number has to be seen."""
    return min(1.0, math.fsum(_negative_binomial(i, seen, hours) for i in range(k + 1)))


def negative_binomial_from(k: int, seen: float, hours: int) -> float:
    """How likely ``k`` or more are in one hour; summed from ``k`` on beyond the mean: it keeps its small digits."""
    if k <= seen / hours:
        return 1.0 - negative_binomial_up_to(k - 1, seen, hours) if k > 0 else 1.0
    total, term, i = 0.0, _negative_binomial(k, seen, hours), k
    while term > total * 1e-17:
        total, i = total + term, i + 1
        term *= (i - 1 + seen) / i / (hours + 1)
    return min(1.0, total)


def _negative_binomial(k: int, seen: float, hours: int) -> float:
    log = math.lgamma(k + seen) - math.lgamma(seen) - math.lgamma(k + 1)
    return math.exp(log - seen * math.log1p(1 / hours) - k * math.log(hours + 1))
