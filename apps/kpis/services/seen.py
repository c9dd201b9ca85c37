"""What entries of the ledger tell: facts, read from the closing entries and from the rows that they name."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.connectors.models import Operation
from apps.kpis.models import PriceBook
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.costs import (
    CostKind,
    PricedBy,
    TokenPrice,
    Tokens,
    human_cost_micro,
    human_time_ms,
    llm_cost_micro,
)
from apps.kpis.rules.facts import CLOSED, DECIDED, CostSeen, DecisionSeen, RunSeen, StepSeen, duration_ms
from apps.kpis.rules.formats import micro_per_minor
from apps.oversight.models import Escalation, Vote
from apps.policies.rules import Effect
from apps.policies.rules.quiet import first_rule_of
from apps.telemetry.models import UsageRecord

PAUSED = "paused"
STEP_ENDS = ("done", "failed", "cancelled", "superseded")


def run_seen(entry: Entry) -> RunSeen | None:
    """The run as its entry shows it; None for entries that tell nothing of its course."""
    told = entry.payload
    created = _instant(told.get("created_at"))
    if created is None or not told.get("workflow"):
        return None
    state = str(told.get("state") or entry.name.partition(".")[2])
    finished = _instant(told.get("finished_at")) if state in CLOSED else None
    return RunSeen(
        run_id=entry.subject_id,
        workflow=told["workflow"],
        unit_id=entry.unit,
        version=int(told.get("version") or 0),
        key=told.get("key") or "",
        state=state,
        outcome=told.get("outcome") or "",
        error_class=told.get("error_class") or "",
        created_at=created,
        started_at=_instant(told.get("started_at")) or created,
        finished_at=finished or (entry.occurred_at if state in CLOSED else None),
        sla_ms=told.get("sla_ms"),
        paused_ms=int(told.get("paused_ms") or 0),
        paused_since=entry.occurred_at if state == PAUSED else None,
        rerun_of=UUID(told["rerun_of"]) if told.get("rerun_of") else None,
        entry_id=entry.pk,
    )


def step_seen(entry: Entry) -> StepSeen | None:
    """The step's round as its entry shows it; None while it is open, and for what never ran."""
    told = entry.payload
    finished = _instant(told.get("finished_at"))
    if finished is None or told.get("queued_at") is None or told.get("state") not in STEP_ENDS:
        return None
    return StepSeen(
        step_id=entry.subject_id,
        run_id=entry.trail_id,
        workflow=told.get("workflow") or "",
        unit_id=entry.unit,
        name=told.get("name") or "",
        kind=told.get("kind") or "",
        state=told["state"],
        round=int(told.get("round") or 1),
        outcome=told.get("outcome") or "",
        agent=told.get("agent") or "",
        queued_at=_instant(told.get("queued_at")),
        started_at=_instant(told.get("started_at")),
        finished_at=finished,
        attempts=int(told.get("attempts") or 1),
        failed_attempts=int(told.get("failed_attempts") or 0),
        rework=bool(told.get("rework")),
        by_hand=bool(told.get("by_hand")),
        overdue=bool(told.get("overdue")),
    )


def decisions_seen(ids: Iterable[UUID]) -> list[DecisionSeen]:
    """Escalations that ended: their rows, which no longer change."""
    rows = Escalation.objects.filter(pk__in=list(ids), ended_at__isnull=False).select_related("agent", "decided_by")
    rows = rows.exclude(action__environment=Environment.TEST)
    return [
        DecisionSeen(
            escalation_id=row.pk,
            run_id=row.run_id,
            workflow=row.workflow,
            unit_id=row.unit_id,
            kind=row.kind,
            outcome=row.state,
            requested_at=row.created_at,
            decided_at=row.decided_at or row.ended_at or row.created_at,
            edited=row.edited,
            overdue=row.overdue_at is not None,
            agent=row.agent.slug if row.agent else "",
            rule=_asking_rule_of(row.verdict),
            decided_by=row.decided_by.username if row.decided_by else "",
        )
        for row in rows
    ]


def _asking_rule_of(verdict: dict[str, Any]) -> str:
    """The rule that asked people; empty where a budget or a held key did, and the rules allow."""
    rules = verdict.get("rules") or [{}]
    return first_rule_of(verdict) if rules[0].get("effect") == Effect.REQUIRE_APPROVAL else ""


def human_costs_seen(decisions: Sequence[DecisionSeen]) -> list[CostSeen]:
    """People's time, one cost a vote: from open to the vote, at most 15 minutes, at the unit's hourly rate.

    A rate in another currency than the reporting one prices nothing: the time counts, and the cost is unpriced.
    """
    decided = {one.escalation_id: one for one in decisions if one.outcome in DECIDED}
    votes = Vote.objects.filter(escalation_id__in=list(decided), voided_at=None)
    said = [(vote.pk, vote.created_at, decided[vote.escalation_id]) for vote in votes]
    silent = decided.keys() - {one.escalation_id for _, _, one in said}
    said += [(key, decided[key].decided_at, decided[key]) for key in silent]
    rates = {
        unit: _priced_in(currency, rate, PricedBy.ESTIMATED)
        for unit, rate, currency in BusinessUnit.objects.filter(pk__in={one.unit_id for _, _, one in said}).values_list(
            "id", "hourly_rate_minor", "currency"
        )
    }
    found = []
    for source, at, one in said:
        active_ms = human_time_ms(duration_ms(one.requested_at, at))
        hourly_micro, priced_by = (rates.get(one.unit_id) if one.unit_id else None) or (0, PricedBy.ESTIMATED)
        found.append(
            CostSeen(
                kind=CostKind.HUMAN,
                source_id=source,
                run_id=one.run_id,
                workflow=one.workflow,
                unit_id=one.unit_id,
                incurred_at=at,
                amount_micro=human_cost_micro(active_ms, hourly_micro),
                quantity=active_ms,
                priced_by=priced_by,
            )
        )
    return found


def _priced_in(currency: str, minor: int, priced_by: PricedBy) -> tuple[int, PricedBy]:
    """An amount in millionths of the reporting currency; one of another currency is unpriced: no rate is known."""
    if minor and currency != reporting_currency():
        return 0, PricedBy.UNPRICED
    return minor * micro_per_minor(reporting_currency()), priced_by


def _currencies(ids: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """The currency of each of these units; what belongs to none counts in the reporting one."""
    known = BusinessUnit.objects.filter(pk__in={one for one in ids if one}).values_list("id", "currency")
    return {None: reporting_currency(), **dict(known)}


def action_costs_seen(entries: Sequence[Entry]) -> list[CostSeen]:
    """What actions that succeeded cost: the operation's fee, and what an agent says it paid itself.

    A fee is in the currency of the connector's unit, an agent's word in the one that it names, else that of its
    action's unit.
    """
    told = {entry.subject_id: entry for entry in entries}
    actions = list(Action.objects.filter(pk__in=list(told), environment=Environment.LIVE).select_related("agent"))
    charged = Operation.objects.filter(slug__in={one.operation for one in actions}, fee_minor__gt=0)
    fees = {
        slug: _priced_in(currency or reporting_currency(), fee, PricedBy.FEE)
        for slug, fee, currency in charged.values_list("slug", "fee_minor", "connector__unit__currency")
    }
    currencies, found = _currencies(action.unit_id for action in actions), list[CostSeen]()
    for action in actions:
        entry = told[action.pk]
        if entry.name == "action.succeeded" and (fee := fees.get(action.operation)):
            found.append(_action_cost(action, entry, CostKind.CONNECTOR, *fee))
        if reported := entry.payload.get("cost_minor"):
            named = entry.payload.get("currency") or currencies.get(action.unit_id, "")
            word = _priced_in(named, int(reported), PricedBy.REPORTED)
            found.append(_action_cost(action, entry, CostKind.AGENT, *word))
    return found


def _action_cost(action: Action, entry: Entry, kind: CostKind, micro: int, priced_by: PricedBy) -> CostSeen:
    return CostSeen(
        kind=kind,
        source_id=action.pk,
        run_id=action.run_id,
        workflow=action.workflow,
        unit_id=action.unit_id,
        incurred_at=entry.occurred_at,
        amount_micro=micro,
        priced_by=priced_by,
        agent=action.agent.slug if action.agent else "",
    )


def usage_costs_seen(entries: Sequence[Entry]) -> list[CostSeen]:
    """What models cost, from the price book; else what the agent says; else unpriced, which is counted and no zero."""
    return _usage_costs([(entry.subject_id, entry.unit, _used_at(entry), entry.payload) for entry in entries])


def _used_at(entry: Entry) -> datetime:
    """When a model was called, as its agent says; never after it said so."""
    said = _instant(entry.payload.get("started_at"))
    return min(said, entry.occurred_at) if said else entry.occurred_at


def repriced_costs_seen(models: set[str]) -> list[CostSeen]:
    """The costs of everything that used these models, at the prices that are in the book now."""
    rows = Entry.objects.filter(
        name="usage.recorded", subject_id__in=UsageRecord.objects.filter(model__in=models).values("id")
    )
    return usage_costs_seen(list(rows))


def _usage_costs(usages: Sequence[tuple[UUID, UUID | None, datetime, dict[str, Any]]]) -> list[CostSeen]:
    book = _prices({told["model"] for _, _, _, told in usages})
    currencies = _currencies(unit for _, unit, _, _ in usages)
    found = []
    for source, unit, at, told in usages:
        tokens = Tokens(
            told["input_tokens"],
            told["output_tokens"],
            told.get("cache_read_tokens", 0),
            told.get("cache_write_tokens", 0),
        )
        price = _price_at(book, told["model"], at)
        amount, priced_by = _priced(tokens, price, told.get("cost_minor"), currencies.get(unit, ""))
        found.append(
            CostSeen(
                kind=CostKind.LLM,
                source_id=source,
                run_id=UUID(told["run"]) if told.get("run") else None,
                workflow=told.get("workflow") or "",
                unit_id=unit,
                incurred_at=at,
                amount_micro=amount,
                quantity=tokens.input + tokens.output,
                priced_by=priced_by,
                model=told["model"],
                agent=told.get("agent") or "",
            )
        )
    return found


def _priced(
    tokens: Tokens, price: TokenPrice | None, reported_minor: int | None, currency: str
) -> tuple[int, PricedBy]:
    if price is not None:
        return llm_cost_micro(tokens, price), PricedBy.BOOK
    if reported_minor is not None:
        return _priced_in(currency, reported_minor, PricedBy.REPORTED)
    return 0, PricedBy.UNPRICED


def _prices(models: set[str]) -> list[PriceBook]:
    wanted = Q(model__in=models) & Q(currency=reporting_currency())
    return list(PriceBook.objects.filter(wanted).order_by("-valid_from"))


def _price_at(book: Sequence[PriceBook], model: str, at: datetime) -> TokenPrice | None:
    row = next((one for one in book if one.model == model and one.valid_from <= at), None)
    if row is None:
        return None
    return TokenPrice(row.input_micro, row.output_micro, row.cache_read_micro, row.cache_write_micro)


def _instant(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None
