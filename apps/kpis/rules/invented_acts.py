"""Invented acts of agents beside the runs: how they were judged, what went wrong, what changed. Pure and seeded."""

# ruff: noqa: PLR2004 - calibrated numbers stand where they are used
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from apps.kpis.rules.arrivals import halt_of, moment_of, outage_of, poisson, seeded, usual
from apps.kpis.rules.buckets import DAY, local_midnight
from apps.kpis.rules.changes import ChangeKind
from apps.kpis.rules.facts import ActionSeen, Facts, MarkSeen
from apps.kpis.rules.history import CHEAPER_AT, DRIFTS_FROM, HistoryPlan
from apps.kpis.rules.incidents import IncidentKind, IncidentSeen
from apps.kpis.rules.traits import ActTraits, Traits

UNKNOWN = 0.0008
"""So many effects of which nobody knew for a while what became of them."""
SYSTEM, MODEL = "ERP", "demo-large"
HALTED = "records-clerk"
"""The agent that people stopped for a few hours, as it tried more and more of what it may not do."""
RULES_AT = ((0.42, "Purchasing"), (0.71, "Payments"))
"""From which share of the history on there were other rules: on the days on which better versions came into force."""
MENDED_H, FOUND_OUT_H = 5.0, 1.5
"""What a system showed otherwise was put right, and what nobody knew found out, after so many hours in the median."""


@dataclass(frozen=True, slots=True)
class _Day:
    """One day of the history: which one of how many, from its midnight on."""

    index: int
    days: int
    midnight: datetime
    halt: tuple[datetime, datetime]


def acts_of(all_traits: Sequence[ActTraits], plan: HistoryPlan, zone: ZoneInfo, scale: float) -> Iterator[Facts]:
    """Day by day what agents did, and once more nothing: as many parts as ``history.days_of`` tells."""
    randoms = [seeded(f"{plan.seed}:{each.agent}:{each.operation}") for each in all_traits]
    today = plan.until.astimezone(zone).date()
    halt = halt_of(today, plan.days, zone)
    for index in range(plan.days):
        day = today - DAY * (plan.days - index)
        facts, place = Facts(), _Day(index, plan.days, local_midnight(day, zone), halt)
        for traits, random in zip(all_traits, randoms, strict=True):
            for number in range(poisson(random, usual(traits.weekly, day, index) * scale)):
                _tell(facts, traits, random, place, number, plan.until)
        yield facts
    yield Facts()


def marks_of_history(all_traits: Sequence[Traits], plan: HistoryPlan, zone: ZoneInfo) -> Facts:
    """What changed in it: versions, rules, a model's price; what was down or stopped, and until when."""
    today, facts = plan.until.astimezone(zone).date(), Facts()
    for traits in all_traits:
        for version in traits.versions:
            if share := max(version.since, traits.begins):
                mark = MarkSeen(kind=ChangeKind.VERSION, at=_begin(today, plan, share, zone), number=version.number)
                facts.marks.append(replace(mark, workflow=traits.workflow, unit_id=traits.unit_id))
    down, up = outage_of(today, plan.days, zone)
    facts.marks.append(MarkSeen(kind=ChangeKind.OUTAGE, at=down, until=up, name=SYSTEM))
    facts.marks.append(MarkSeen(kind=ChangeKind.PRICE, at=_begin(today, plan, CHEAPER_AT, zone), name=MODEL))
    breaker, about = uuid5(NAMESPACE_URL, f"simulated:{down}:breaker"), f"connector {SYSTEM}"
    halted = IncidentSeen(kind=IncidentKind.BREAKER, source_id=breaker, began_at=down, ended_at=up, about=about)
    facts.incidents.append(halted)
    for share, rules in RULES_AT:
        facts.marks.append(MarkSeen(kind=ChangeKind.POLICY, at=_begin(today, plan, share, zone), name=rules, number=2))
    _tell_halt(facts, *halt_of(today, plan.days, zone))
    return facts


def _tell_halt(facts: Facts, at: datetime, until: datetime) -> None:
    """An agent that people stopped, and let go on."""
    facts.marks.append(MarkSeen(kind=ChangeKind.HALT, at=at, until=until, name=HALTED))
    halt, about = uuid5(NAMESPACE_URL, f"simulated:{at}:halt"), f"agent {HALTED}"
    told = IncidentSeen(kind=IncidentKind.HALT, source_id=halt, began_at=at, ended_at=until, about=about)
    facts.incidents.append(replace(told, agent=HALTED))


def _begin(today: date, plan: HistoryPlan, share: float, zone: ZoneInfo) -> datetime:
    """The first midnight at which so much of the history is over."""
    return local_midnight(today - DAY * (plan.days - math.ceil(share * plan.days)), zone)


def _tell(facts: Facts, traits: ActTraits, random: Random, day: _Day, number: int, until: datetime) -> None:
    """One act: denied, or asked about or not, then looked at or not."""
    at, worse = moment_of(random, day.midnight), traits.drift * _drifted(day)
    action_id = uuid5(NAMESPACE_URL, f"simulated:{traits.agent}:{traits.operation}:{day.midnight}:{number}")
    denied, alone = random.random() < traits.denied + worse, random.random() < traits.alone
    as_asked = random.random() < traits.as_asked - worse
    rejected = not alone and not as_asked and random.random() < 0.5
    looked, right = random.random() < traits.sampled, random.random() < traits.right - worse
    fits, unknown, late_h = random.random() < traits.fits, random.random() < UNKNOWN, random.lognormvariate(0, 0.8)
    amount = round(random.lognormvariate(math.log(traits.amount_minor), 0.9)) if traits.amount_minor else None
    if at >= until or (traits.agent == HALTED and day.halt[0] <= at < day.halt[1]):
        return
    done = not denied and not rejected
    act = ActionSeen(
        action_id=action_id,
        agent=traits.agent,
        operation=traits.operation,
        unit_id=traits.unit_id,
        state="denied" if denied else "rejected" if rejected else "succeeded",
        ended_at=at,
        alone=done and alone,
        decided=None if denied or alone else as_asked,
        reviewed=right if done and looked else None,
        read_back=fits if done else None,
        amount_minor=amount,
        currency=traits.currency if amount is not None else "",
    )
    facts.acts.append(act)
    if done and not fits:
        facts.incidents.append(_incident(act, IncidentKind.MISMATCH, MENDED_H * late_h, until))
    if done and unknown:
        facts.incidents.append(_incident(act, IncidentKind.UNKNOWN, FOUND_OUT_H * late_h, until))


def _drifted(day: _Day) -> float:
    """How far an agent that gets worse in the last quarter has come by then, 0 to 1."""
    return max(0.0, (day.index / day.days - DRIFTS_FROM) / (1 - DRIFTS_FROM))


def _incident(act: ActionSeen, kind: IncidentKind, hours: float, until: datetime) -> IncidentSeen:
    """It ends by ``until`` at the latest: nothing tells of an invented one later, and open it would stay for ever."""
    return IncidentSeen(
        kind=kind,
        source_id=uuid5(act.action_id, kind),
        began_at=act.ended_at,
        ended_at=min(act.ended_at + timedelta(hours=hours), until),
        unit_id=act.unit_id,
        action_id=act.action_id,
        agent=act.agent,
        about=act.operation,
        amount_minor=act.amount_minor,
        currency=act.currency,
    )
