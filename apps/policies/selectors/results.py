"""What a simulation says, for whoever may see it: agents and samples only as far as they may see those."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.agents.selectors import actions_for, agents_for
from apps.core.gate import visible
from apps.core.models import User
from apps.policies.models import Simulation
from apps.policies.rules import Effect
from apps.policies.rules.tallies import COMPARED, Agreement, Cell, Load, Tally, agreement_of, loads_of, tally_of
from apps.policies.selectors.simulations import VIEW, paces_of

ASK, RUN, NO = [Effect.REQUIRE_APPROVAL], [Effect.ALLOW], [Effect.DENY]
MONTH_DAYS, WORKDAY_H = 30, 8
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Transition:
    """The actions that came from one effect to another; ``samples``: some of them that the reader may see."""

    before: Effect
    after: Effect
    n: int
    money: Mapping[str, int]
    samples: tuple[Action, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether they came out otherwise."""
        return self.before is not self.after


@dataclass(frozen=True, slots=True)
class Result:
    """What the draft would have changed. ``agents``: ``(slug, n)``, "" for those that the reader may not see.

    ``units`` likewise.
    """

    days: float
    replayed: int
    changed: int
    transitions: tuple[Transition, ...]
    agents: tuple[tuple[str, int], ...]
    units: tuple[tuple[str, int], ...]
    loads: tuple[Load, ...]
    agreement: Agreement
    asked: tuple[float, float]
    hours: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        """The result for the API."""
        return {
            "replayed": self.replayed,
            "changed": self.changed,
            "transitions": [
                {
                    "before": each.before,
                    "after": each.after,
                    "n": each.n,
                    "money": each.money,
                    "samples": [action.pk for action in each.samples],
                }
                for each in self.transitions
            ],
            "agents": [{"agent": slug, "n": n} for slug, n in self.agents],
            "units": [{"unit": slug, "n": n} for slug, n in self.units],
            "approvals_per_day": {"before": self.asked[0], "after": self.asked[1]},
            "hours_per_day": {"before": self.hours[0], "after": self.hours[1]},
            "queues": [
                {
                    "queue": load.queue,
                    "per_day": {"before": load.before, "after": load.after},
                    "hours_per_day": {"before": load.hours_before, "after": load.hours_after},
                }
                for load in self.loads
            ],
            "agreement": {
                name: getattr(self.agreement, name).as_json() for name in ("allowed", "denied", "went_wrong", "lost")
            },
        }


def result_of(actor: User, simulation: Simulation) -> Result:
    """What a simulation that was fetched for ``actor`` counted so far."""
    tally = tally_of(simulation.tallies[0])
    loads = _loads(tally, simulation.days)
    hours = sum(load.hours_before for load in loads), sum(load.hours_after for load in loads)
    asked = tally.count(before=ASK), tally.count(after=ASK)
    count = tally.count()
    same = sum(tally.count([effect], [effect]) for effect in COMPARED)
    return Result(
        days=simulation.days,
        replayed=count,
        changed=count - same,
        transitions=_transitions(actor, tally),
        agents=_seen_agents(actor, tally.named("agents")),
        units=_seen_units(actor, tally.named("units")),
        loads=tuple(loads),
        agreement=agreement_of(tally),
        asked=(asked[0] / simulation.days, asked[1] / simulation.days),
        hours=hours,
    )


def _loads(tally: Tally, days: float) -> list[Load]:
    queues = tally.asked_before.keys() | tally.asked_after.keys()
    return loads_of(tally, days=days, paces=paces_of(sorted(queues)))


def _transitions(actor: User, tally: Tally) -> tuple[Transition, ...]:
    cells = {(old, new): tally.cells.get((old, new), Cell()) for old in COMPARED for new in COMPARED}
    wanted = {pk for cell in cells.values() for _, pk in cell.samples}
    seen = {str(action.pk): action for action in actions_for(actor).filter(pk__in=wanted)}
    return tuple(
        Transition(old, new, cell.n, cell.money, tuple(seen[pk] for _, pk in cell.samples if pk in seen))
        for (old, new), cell in cells.items()
    )


def _seen_agents(actor: User, counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """The agents that ``actor`` may see, most changed first; all others together under the empty name."""
    return _named(counts, set(agents_for(actor).filter(slug__in=counts).values_list("slug", flat=True)))


def _seen_units(actor: User, counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """The units in which ``actor`` may see policies, likewise: one may have stood below another then."""
    units = BusinessUnit.objects.filter(slug__in=counts)
    return _named(counts, set(visible(actor, VIEW, units).values_list("slug", flat=True)))


def _named(counts: Mapping[str, int], seen: Collection[str]) -> tuple[tuple[str, int], ...]:
    shown = [(slug, n) for slug, n in counts.items() if slug in seen][:SHOWN]
    others = sum(counts.values()) - sum(n for _, n in shown)
    return (*shown, ("", others)) if others else tuple(shown)


@dataclass(frozen=True, slots=True)
class Step:
    """What one position of a lever comes to.

    ``unwatched``: money, by currency, that nobody would have looked at any more; ``denied``: how many actions more
    would have been denied. ``workdays``: of eight hours, in thirty days.
    """

    amount_minor: int
    is_present: bool
    asked: float
    hours: float
    workdays: float
    unwatched: Mapping[str, int]
    newly_unasked: int
    newly_asked: int
    denied: int
    agreement: Agreement

    def as_json(self) -> dict[str, Any]:
        """The step for the API."""
        return {
            "amount_minor": self.amount_minor,
            "present": self.is_present,
            "approvals_per_day": self.asked,
            "hours_per_day": self.hours,
            "workdays_per_month": self.workdays,
            "unwatched": self.unwatched,
            "newly_unasked": self.newly_unasked,
            "newly_asked": self.newly_asked,
            "newly_denied": self.denied,
            "went_wrong": self.agreement.went_wrong.as_json(),
            "approved": self.agreement.allowed.as_json(),
        }


def steps_of(actor: User, simulation: Simulation) -> list[Step]:
    """The positions of its lever, smallest amount first; none where it has none."""
    assert actor.is_active
    if simulation.lever is None:
        return []
    tallies = [tally_of(stored) for stored in simulation.tallies]
    paces = paces_of(sorted(_queues(tallies)))
    return [
        _step(simulation, amount, tally, paces)
        for amount, tally in zip(simulation.lever["steps"], tallies, strict=True)
    ]


def _queues(tallies: Iterable[Tally]) -> set[str]:
    return {queue for tally in tallies for queue in (*tally.asked_before, *tally.asked_after)}


def _step(simulation: Simulation, amount: int, tally: Tally, paces: Mapping[str, float]) -> Step:
    hours = sum(load.hours_after for load in loads_of(tally, days=simulation.days, paces=paces))
    return Step(
        amount_minor=amount,
        is_present=bool(simulation.lever and amount == simulation.lever["amount_minor"]),
        asked=tally.count(after=ASK) / simulation.days,
        hours=hours,
        workdays=hours * MONTH_DAYS / WORKDAY_H,
        unwatched=tally.money(ASK, RUN),
        newly_unasked=tally.count(ASK, RUN),
        newly_asked=tally.count(RUN, ASK),
        denied=tally.count([*RUN, *ASK], NO),
        agreement=agreement_of(tally),
    )
