"""What people's time, agents' work and calls of systems cost: by the rate that held, else as before there were any.

Before the first rate of the book holds, a unit's own hourly rate, an operation's own fee and an agent's own word count
(docs/adr/0041). What is in another currency counts at the rate of exchange that held then (docs/adr/0043).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Count

from apps.access.models import BusinessUnit, RoleGrant
from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.connectors.models import Effect, Operation
from apps.kpis.models.claims import claims
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.costs import CostKind, PricedBy, human_time_ms
from apps.kpis.rules.facts import DECIDED, CostSeen, DecisionSeen, StepSeen, duration_ms
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import EXACT, MS_PER_HOUR, Per, RateBook, RateKind, RateSeen, exchanged, half_up, rated_micro
from apps.oversight.models import EscalationGroup, Vote
from apps.workflows.models import Attempt
from apps.workflows.rules.states import AttemptState, Kind

SUCCEEDED = "action.succeeded"

type Rated = tuple[CostSeen, Sequence[RateSeen]]
"""A cost, and the rates of the book that it was counted by."""


@dataclass(frozen=True, slots=True)
class Worth:
    """An amount in millionths of the reporting currency, where it is from, and by which rates of the book."""

    micro: int
    priced_by: PricedBy
    by: Sequence[RateSeen] = ()


class Money:
    """What amounts are worth in the reporting currency at a moment, by the rates of a book."""

    def __init__(self, book: RateBook) -> None:
        self._book = book
        self._currency = reporting_currency()

    def worth(self, micro: Decimal, currency: str, at: datetime, priced_by: PricedBy) -> Worth:
        """Of millionths of a currency, half up; unpriced where no rate of exchange to the reporting one held."""
        if not micro or currency == self._currency:
            return Worth(half_up(micro), priced_by)
        rate = self._book.of_currency(currency, at)
        if rate is None or rate.currency != self._currency:
            return Worth(0, PricedBy.UNPRICED)
        return Worth(half_up(exchanged(micro, rate, micro_per_minor(self._currency))), priced_by, [rate])

    def worth_of_minor(self, minor: int, currency: str, at: datetime, priced_by: PricedBy) -> Worth:
        """Of minor units of a currency."""
        return self.worth(Decimal(minor * micro_per_minor(currency)), currency, at, priced_by)

    def worth_at_rate(self, rate: RateSeen, quantity: int, at: datetime) -> Worth:
        """Of a quantity at a rate of the book."""
        micro = rated_micro(rate, quantity, micro_per_minor(rate.currency))
        found = self.worth(micro, rate.currency, at, PricedBy.RATE)
        return Worth(found.micro, found.priced_by, [rate, *found.by])


def currencies_of(ids: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """The currency of each of these units; what belongs to none counts in the reporting one."""
    known = BusinessUnit.objects.filter(pk__in={one for one in ids if one}).values_list("id", "currency")
    return {None: reporting_currency(), **dict(known)}


@dataclass(frozen=True, slots=True)
class _Said:
    """One person's say on an item, or the item's end where nobody's say is kept."""

    source_id: UUID
    at: datetime
    decision: DecisionSeen
    voter_id: UUID | None = None
    stage: int = 1
    looked_ms: int | None = None
    together: int = 1

    @property
    def active_ms(self) -> int:
        """How long it took them: as long as they are known to have looked at it, else estimated."""
        if self.looked_ms is not None:
            return self.looked_ms
        return human_time_ms(duration_ms(self.decision.requested_at, self.at), self.together)


def human_costs_rated(decisions: Sequence[DecisionSeen], book: RateBook) -> list[Rated]:
    """People's time, one cost a vote, at the rate that held then: as long as they are known to have looked at the item.

    Where nothing tells (they decided without its page, by the API say) it is estimated: from asked to decided, at most
    15 minutes, once for all that one act decided. Waiting in an inbox costs nothing. In a currency of which no rate of
    exchange holds the time counts, and the cost is unpriced.
    """
    decided = {one.escalation_id: one for one in decisions if one.outcome in DECIDED}
    votes = Vote.objects.filter(escalation_id__in=list(decided), voided_at=None)
    said = [
        _Said(
            vote.pk,
            vote.created_at,
            decided[vote.escalation_id],
            vote.voter_id,
            vote.stage,
            vote.looked_ms,
            vote.together,
        )
        for vote in votes
    ]
    silent = decided.keys() - {one.decision.escalation_id for one in said}
    said += [_Said(key, decided[key].decided_at, decided[key]) for key in silent]
    units = _Units({one.unit_id for one in decided.values() if one.unit_id}, whole=RateKind.PEOPLE in book.kinds)
    money = Money(book)
    roles = _roles_of(said) if book.has_roles else {}
    found = []
    for one in said:
        rate = book.of_people(units.up_from(one.decision.unit_id), roles.get(one.source_id, ()), one.at)
        worth = (
            money.worth_at_rate(rate, one.active_ms, one.at)
            if rate
            else units.own(one.decision.unit_id, one.active_ms, one.at, money)
        )
        cost = CostSeen(
            kind=CostKind.HUMAN,
            source_id=one.source_id,
            run_id=one.decision.run_id,
            workflow=one.decision.workflow,
            unit_id=one.decision.unit_id,
            incurred_at=one.at,
            amount_micro=worth.micro,
            quantity=one.active_ms,
            priced_by=worth.priced_by,
            is_estimated=one.looked_ms is None,
        )
        found.append((cost, worth.by))
    return found


class _Units:
    """Units with what stands above them, and their own hourly rates. ``whole``: all are read, as rates may be above."""

    def __init__(self, ids: set[UUID], *, whole: bool) -> None:
        rows = BusinessUnit.objects.all() if whole else BusinessUnit.objects.filter(pk__in=ids)
        self._known = {row.pk: row for row in rows}

    def up_from(self, unit_id: UUID | None) -> list[str]:
        """The slugs from a unit up, and "" for everywhere."""
        found, row = [], self._known.get(unit_id) if unit_id else None
        while row is not None:
            found.append(row.slug)
            row = self._known.get(row.parent_id) if row.parent_id else None
        return [*found, ""]

    def own(self, unit_id: UUID | None, active_ms: int, at: datetime, money: Money) -> Worth:
        """At the unit's own hourly rate."""
        row = self._known.get(unit_id) if unit_id else None
        if row is None:
            return Worth(0, PricedBy.HOURLY_RATE)
        micro = Decimal(active_ms * row.hourly_rate_minor * micro_per_minor(row.currency))
        return money.worth(EXACT.divide(micro, Decimal(MS_PER_HOUR)), row.currency, at, PricedBy.HOURLY_RATE)


def _roles_of(said: Sequence[_Said]) -> dict[UUID, tuple[str, ...]]:
    """The role that each say was given in: of the groups asked by then, one that the person held; else the first."""
    groups: dict[UUID, list[EscalationGroup]] = {}
    ids = [one.decision.escalation_id for one in said]
    rows = EscalationGroup.objects.filter(escalation_id__in=ids).select_related("role", "queue__role")
    for group in rows.order_by("position", "id"):
        groups.setdefault(group.escalation_id, []).append(group)
    voters = {one.voter_id for one in said if one.voter_id}
    held: dict[UUID, list[RoleGrant]] = {}
    for grant in RoleGrant.objects.filter(user_id__in=voters).select_related("role"):
        held.setdefault(grant.user_id, []).append(grant)
    found = {}
    for one in said:
        asked = [group for group in groups.get(one.decision.escalation_id, []) if group.stage <= one.stage]
        names = [(group.role or group.queue.role).slug for group in asked]
        own = (
            {grant.role.slug for grant in held.get(one.voter_id, ()) if _held_at(grant, one.at)}
            if one.voter_id
            else set()
        )
        found[one.source_id] = tuple(([name for name in names if name in own] or names)[:1])
    return found


def _held_at(grant: RoleGrant, at: datetime) -> bool:
    return grant.created_at <= at and (grant.revoked_at is None or grant.revoked_at > at)


def action_costs_rated(entries: Sequence[Entry], book: RateBook) -> list[Rated]:
    """What actions that ended cost: calls of their operation, and what an agent says it paid itself.

    A fee is in the currency of the connector's unit, an agent's word in the one that it names, else that of its
    action's unit. Where a rate holds for an agent, its work in runs costs that, and its word beside it nothing.
    """
    told = {entry.subject_id: entry for entry in entries}
    actions = list(Action.objects.filter(pk__in=list(told), environment=Environment.LIVE).select_related("agent"))
    fees = _fees_of({one.operation for one in actions})
    calls = _calls_of(actions) if RateKind.OPERATION in book.kinds else {}
    currencies, found, money = currencies_of(action.unit_id for action in actions), list[Rated](), Money(book)
    for action in actions:
        entry = told[action.pk]
        at, has_succeeded = entry.occurred_at, entry.name == SUCCEEDED
        rate = book.of_operation(action.operation, at)
        if rate:
            times = calls.get(action.pk, 1) if rate.per == Per.CALL else int(has_succeeded)
            found.append(_action_cost(action, entry, CostKind.CONNECTOR, money.worth_at_rate(rate, times, at), times))
        elif has_succeeded and (fee := fees.get(action.operation)):
            worth = money.worth_of_minor(*fee, at, PricedBy.FEE)
            found.append(_action_cost(action, entry, CostKind.CONNECTOR, worth))
        if reported := entry.payload.get("cost_minor"):
            own = book.of_agent(action.agent.slug, at) if action.agent and action.run_id else None
            named = entry.payload.get("currency") or currencies.get(action.unit_id, "")
            word = (
                Worth(0, PricedBy.COVERED, [own])
                if own
                else money.worth_of_minor(int(reported), named, at, PricedBy.REPORTED)
            )
            found.append(_action_cost(action, entry, CostKind.AGENT, word))
    return found


def _fees_of(operations: set[str]) -> dict[str, tuple[int, str]]:
    """Minor units and their currency."""
    charged = Operation.objects.filter(slug__in=operations, fee_minor__gt=0)
    return {
        slug: (fee, currency or reporting_currency())
        for slug, fee, currency in charged.values_list("slug", "fee_minor", "connector__unit__currency")
    }


def _calls_of(actions: Sequence[Action]) -> dict[UUID, int]:
    """How often something was sent for each; what its agent carried out itself is not here, and was called once."""
    rows = Effect.objects.filter(action_id__in=[action.pk for action in actions])
    action_of = dict(rows.values_list("pk", "action_id"))
    sent = Entry.objects.filter(subject_id__in=list(action_of), name="effect.dispatched").order_by()
    counted = dict(sent.values_list("subject_id").annotate(n=Count("pk")))
    return {action_id: counted.get(effect_id, 0) for effect_id, action_id in action_of.items()}


def _action_cost(action: Action, entry: Entry, kind: CostKind, worth: Worth, quantity: int = 1) -> Rated:
    cost = CostSeen(
        kind=kind,
        source_id=action.pk,
        run_id=action.run_id,
        workflow=action.workflow,
        unit_id=action.unit_id,
        incurred_at=entry.occurred_at,
        amount_micro=worth.micro,
        quantity=quantity,
        priced_by=worth.priced_by,
        agent=action.agent.slug if action.agent else "",
    )
    return cost, worth.by


def task_costs_rated(steps: Sequence[StepSeen], book: RateBook) -> list[Rated]:
    """What agents' work on these steps cost, one cost a claim of a task."""
    if RateKind.AGENT not in book.kinds:
        return []
    rounds = {(one.run_id, one.name, one.round) for one in steps if one.kind == Kind.AGENT}
    tries = claims().filter(run_id__in={run_id for run_id, _, _ in rounds}) if rounds else ()
    return claim_costs_rated([one for one in tries if (one.run_id, one.step, one.round) in rounds], book)


def claim_costs_rated(tries: Iterable[Attempt], book: RateBook) -> list[Rated]:
    """By the minute from claim to end, or by the task that was done; without a rate of its agent it costs nothing."""
    found, money = list[Rated](), Money(book)
    for one in tries:
        assert one.agent is not None
        assert one.claimed_at is not None
        rate = book.of_agent(one.agent.slug, one.created_at)
        if rate is None:
            continue
        took = duration_ms(one.claimed_at, one.created_at)
        quantity = took if rate.per == Per.MINUTE else int(one.state == AttemptState.DONE)
        worth = money.worth_at_rate(rate, quantity, one.created_at)
        cost = CostSeen(
            kind=CostKind.AGENT,
            source_id=one.pk,
            run_id=one.run_id,
            workflow=one.run.workflow.slug,
            unit_id=one.run.unit_id,
            incurred_at=one.created_at,
            amount_micro=worth.micro,
            quantity=quantity,
            priced_by=worth.priced_by,
            agent=one.agent.slug,
        )
        found.append((cost, worth.by))
    return found
