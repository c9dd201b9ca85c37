"""What a log says of its process: how long, how often again, what follows what, and who hands over to whom."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from apps.kpis.rules.eventlogs.attributes import Attributes
from apps.kpis.rules.eventlogs.events import Event, LogError
from apps.kpis.rules.statistics import percentile

TOP = 50
"""So many activities, arrows, variants, resources and values of an attribute are kept, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class LogFigures:
    """The figures of a log as they are kept and shown; durations in seconds."""

    cases: int
    events: int
    first_at: datetime
    last_at: datetime
    duplicates: int
    figures: dict[str, Any]


@dataclass(slots=True)
class _Arrow:
    count: int
    waits_s: list[float]


def cases_in(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each case in their order: by ``complete``, ties as in the file. Raises LogError: there are none."""
    cases: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        cases[event.case].append(event)
    if not cases:
        raise LogError("The log has no events.")
    for rows in cases.values():
        rows.sort(key=lambda row: row.complete)
    return cases


def figures_of(cases: Mapping[str, Sequence[Event]], zone: ZoneInfo, told: Attributes | None = None) -> LogFigures:
    """The figures of all cases, as ``cases_in`` has them, and by what is ``told`` of each.

    Order within a case: by ``complete``, ties as in the file. Cycle time: first start to last complete. A variant is a
    sequence of activities. Handover: two rows in a row whose resources are known and differ. A case counts in the ISO
    week, in ``zone``, of its last complete.
    """
    everything = list(cases.values())
    cycle_s = [cycle_s_of(rows) for rows in everything]
    variants = Counter(tuple(row.activity for row in rows) for rows in everything)
    weeks = Counter(week_of(rows[-1].complete, zone) for rows in everything)
    reworked = sum(is_reworked(rows) for rows in everything)
    count = sum(map(len, everything))
    figures = {
        "cycle_time_s": {
            "p50": percentile(cycle_s, 0.5),
            "mean": sum(cycle_s) / len(cycle_s),
            "p90": percentile(cycle_s, 0.9),
            "p95": percentile(cycle_s, 0.95),
        },
        "variants": len(variants),
        "rework_share": reworked / len(cases),
        "handovers": sum(handovers_of(rows) for rows in everything),
        "throughput_weekly": [{"week": week, "cases": weeks[week]} for week in sorted(weeks)],
        "activities": _activities(everything),
        "cost": _cost(everything),
        "attributes": [_by(name, cases, told) for name in told.names] if told else [],
        "map": {
            "arrows": _arrows(everything),
            "variants": _top_variants(everything, variants, cycle_s),
            "workload": _workload(everything),
        },
    }
    return LogFigures(
        len(cases),
        count,
        min(row.start for rows in everything for row in rows),
        max(rows[-1].complete for rows in everything),
        count - sum(len(set(rows)) for rows in everything),
        figures,
    )


def cycle_s_of(rows: Sequence[Event]) -> float:
    """Seconds from the first start to the last complete of a case."""
    return (rows[-1].complete - min(row.start for row in rows)).total_seconds()


def _cost(cases: Sequence[Sequence[Event]]) -> dict[str, Any] | None:
    """What cases cost, in the reporting currency, and how many say so; None where none does."""
    costs = [cost for rows in cases if (cost := cost_of(rows)) is not None]
    return {"cases": len(costs), "mean": float(sum(costs) / len(costs))} if costs else None


def _by(name: str, cases: Mapping[str, Sequence[Event]], told: Attributes) -> dict[str, Any]:
    """How cases went that say the same of themselves; ``cases`` say something, ``different`` things."""
    took: dict[str, list[float]] = defaultdict(list)
    again = Counter[str]()
    for case, rows in cases.items():
        if (value := told.of(case).get(name)) is not None:
            took[value].append(cycle_s_of(rows))
            again[value] += is_reworked(rows)
    ranked = sorted(took, key=lambda value: (-len(took[value]), value))
    return {
        "name": name,
        "cases": sum(map(len, took.values())),
        "different": len(took),
        "values": [
            {
                "value": value,
                "cases": len(took[value]),
                "share": len(took[value]) / len(cases),
                "cycle_time_p50_s": percentile(took[value], 0.5),
                "rework_share": again[value] / len(took[value]),
            }
            for value in ranked[:TOP]
        ],
    }


def week_of(at: datetime, zone: ZoneInfo) -> str:
    """The ISO week of a moment in a zone, as ``2026-W07``."""
    year, week, _day = at.astimezone(zone).isocalendar()
    return f"{year:04}-W{week:02}"


def handovers_of(rows: Sequence[Event]) -> int:
    """Rows that follow each other, both with a resource, and not the same one."""
    return sum(bool(one.resource and two.resource and one.resource != two.resource) for one, two in pairwise(rows))


def is_reworked(rows: Sequence[Event]) -> bool:
    """Whether an activity occurs more than once in a case."""
    return len({row.activity for row in rows}) < len(rows)


def cost_of(rows: Sequence[Event]) -> Decimal | None:
    """What a case cost; None where it says nothing of it."""
    told = [row.cost for row in rows if row.cost is not None]
    return sum(told, Decimal()) if told else None


def _activities(cases: Sequence[Sequence[Event]]) -> list[dict[str, Any]]:
    """Each activity: how often, in how many cases, first or last in how many, and how long it takes."""
    took, within = defaultdict(list), Counter[str]()
    starts = Counter(rows[0].activity for rows in cases)
    ends = Counter(rows[-1].activity for rows in cases)
    for rows in cases:
        within.update({row.activity for row in rows})
        for row in rows:
            took[row.activity].append((row.complete - row.start).total_seconds())
    ranked = sorted(took, key=lambda name: (-len(took[name]), name))
    return [
        {
            "activity": name,
            "events": len(took[name]),
            "cases": within[name],
            "starts": starts[name],
            "ends": ends[name],
            "duration_p50_s": percentile(took[name], 0.5),
        }
        for name in ranked[:TOP]
    ]


def _arrows(cases: Sequence[Sequence[Event]]) -> list[dict[str, Any]]:
    """What directly follows what, how often, and how long nothing happens between; what overlaps has no wait."""
    found: dict[tuple[str, str], _Arrow] = defaultdict(lambda: _Arrow(0, []))
    for rows in cases:
        for one, two in pairwise(rows):
            arrow = found[one.activity, two.activity]
            arrow.count += 1
            arrow.waits_s.append(max(0.0, (two.start - one.complete).total_seconds()))
    ranked = sorted(found, key=lambda pair: (-found[pair].count, pair))
    return [
        {
            "from": pair[0],
            "to": pair[1],
            "count": found[pair].count,
            "wait_p50_s": percentile(found[pair].waits_s, 0.5),
            "wait_mean_s": sum(found[pair].waits_s) / found[pair].count,
        }
        for pair in ranked[:TOP]
    ]


def _top_variants(
    cases: Sequence[Sequence[Event]], variants: Counter[tuple[str, ...]], cycle_s: Sequence[float]
) -> list[dict[str, Any]]:
    took = defaultdict(list)
    for rows, seconds in zip(cases, cycle_s, strict=True):
        took[tuple(row.activity for row in rows)].append(seconds)
    ranked = sorted(variants, key=lambda variant: (-variants[variant], variant))
    return [
        {
            "activities": list(variant),
            "cases": variants[variant],
            "share": variants[variant] / len(cases),
            "cycle_time_p50_s": percentile(took[variant], 0.5),
        }
        for variant in ranked[:TOP]
    ]


def _workload(cases: Sequence[Sequence[Event]]) -> list[dict[str, Any]]:
    """Who did how much; rows of nobody are left out."""
    done, within = Counter[str](), Counter[str]()
    for rows in cases:
        done.update(row.resource for row in rows if row.resource)
        within.update({row.resource for row in rows if row.resource})
    ranked = sorted(done, key=lambda name: (-done[name], name))
    return [{"resource": name, "events": done[name], "cases": within[name]} for name in ranked[:TOP]]
