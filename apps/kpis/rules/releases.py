"""What the story of a workflow's versions comes to: when each came into force, and what was taken back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from apps.kpis.rules.buckets import Period
from apps.kpis.rules.definitions import percentile_name
from apps.kpis.rules.statistics import percentile

SETTLED = timedelta(days=7)
"""So long an activation may be rolled back and count as that."""
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version that came into force: by which entry, when it was drafted, and which number it took the place of."""

    entry: int
    workflow: str
    number: int
    before: int | None
    at: datetime
    drafted_at: datetime | None = None

    @property
    def is_rollback(self) -> bool:
        """Whether it puts an earlier version back."""
        return self.before is not None and self.number < self.before


@dataclass(frozen=True, slots=True)
class ReleaseCounts:
    """Which releases of a period each measure counts, and how long what they measure took, in milliseconds."""

    activations: list[Release]
    first_activations: list[Release]
    settled: list[Release]
    rolled_back: list[Release]
    rollbacks: list[Release]
    leads: list[float]
    times: list[float]
    weeks: float

    @property
    def measures(self) -> dict[str, float | None]:
        """By the names that definitions use."""
        named = ("activations", "first_activations", "settled", "rolled_back", "rollbacks")
        counts: dict[str, float | None] = {name: len(getattr(self, name)) for name in named}
        lead, time = percentile_name("version_lead", 0.5), percentile_name("rollback_time", 0.5)
        return {**counts, "weeks": self.weeks, lead: percentile(self.leads, 0.5), time: percentile(self.times, 0.5)}


def releases_in(releases: Sequence[Release], period: Period, now: datetime) -> ReleaseCounts:
    """What ``period`` comes to, in the light of what came before and after it."""
    following: dict[int, Release] = {}
    previous: dict[int, Release] = {}
    firsts: set[int] = set()
    for workflow in {one.workflow for one in releases}:
        story = sorted((one for one in releases if one.workflow == workflow), key=lambda one: (one.at, one.entry))
        for earlier, later in pairwise(story):
            following[earlier.entry], previous[later.entry] = later, earlier
        firsts |= {one.entry for one in {one.number: one for one in reversed(story)}.values()}
    inside = [one for one in releases if period.start <= one.at < period.end]
    activations = [one for one in inside if not one.is_rollback]
    settled = [one for one in activations if one.at + SETTLED <= now]
    taken_back = [one for one in settled if _is_taken_back(one, following.get(one.entry))]
    fresh = [one for one in activations if one.entry in firsts and one.drafted_at]
    rollbacks = [one for one in inside if one.is_rollback and one.entry in previous]
    return ReleaseCounts(
        activations=activations,
        first_activations=fresh,
        settled=settled,
        rolled_back=taken_back,
        rollbacks=rollbacks,
        leads=[_ms(one.at - one.drafted_at) for one in fresh if one.drafted_at],
        times=[_ms(one.at - previous[one.entry].at) for one in rollbacks],
        weeks=max(timedelta(0), min(period.end, now) - period.start) / WEEK,
    )


def _is_taken_back(one: Release, later: Release | None) -> bool:
    return later is not None and later.is_rollback and later.at - one.at <= SETTLED


def _ms(took: timedelta) -> float:
    return max(0.0, took / timedelta(milliseconds=1))
