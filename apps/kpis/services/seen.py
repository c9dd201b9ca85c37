"""What entries of the ledger tell: facts, read from the closing entries and from the rows that they name."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime

from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.kpis.models import PriceBook
from apps.kpis.rules.costs import CostKind, PricedBy, TokenPrice, Tokens, llm_cost_micro
from apps.kpis.rules.facts import CLOSED, CostSeen, DecisionSeen, RunSeen, StepSeen
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import RateBook
from apps.kpis.services.rated import Money, Rated, Worth, currencies_of
from apps.oversight.models import Escalation
from apps.policies.rules import Effect
from apps.policies.rules.quiet import first_rule_of, quieted
from apps.telemetry.models import UsageRecord

PAUSED = "paused"
EARLIEST = timedelta(days=366)
"""Spans are taken some weeks late at most: what is said to be of long before has no price, and is of no day shown."""
STEP_ENDS = ("done", "failed", "cancelled", "superseded")


def run_seen(entry: Entry) -> RunSeen | None:
    """The run as its entry shows it; None for entries that tell nothing of its course, and while it stands in line.

    What ended in line started when it ended: it arrives and is closed, and took no time.
    """
    told = entry.payload
    created = _instant(told.get("created_at"))
    if created is None or not told.get("workflow"):
        return None
    state = str(told.get("state") or entry.name.partition(".")[2])
    finished = (_instant(told.get("finished_at")) or entry.occurred_at) if state in CLOSED else None
    started = (_instant(told["started_at"]) if "started_at" in told else created) or finished
    if started is None:
        return None
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
        started_at=started,
        finished_at=finished,
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
            policy_version=_asking_version_of(row.verdict),
            reason_code=row.reason_code,
            action_id=row.action_id,
        )
        for row in rows
    ]


def _asking_rule_of(verdict: dict[str, Any]) -> str:
    """The rule that asked people; empty where a budget or a held key did, and the rules allow."""
    rules = verdict.get("rules") or [{}]
    return first_rule_of(verdict) if rules[0].get("effect") == Effect.REQUIRE_APPROVAL else ""


def _asking_version_of(verdict: dict[str, Any]) -> int:
    """The version of the policy of that rule; 0 where no rule asked."""
    rules = quieted(verdict).get("rules") or [{}]
    return int(rules[0].get("version") or 0) if _asking_rule_of(verdict) else 0


def usage_costs_rated(entries: Sequence[Entry], book: RateBook) -> list[Rated]:
    """What models cost, from the price book; else what the agent says; else unpriced, which is counted and no zero.

    A price or an agent's word in another currency counts at the rate of exchange of ``book`` that held then; without
    one it is as if there were none.
    """
    return _usage_costs([(entry.subject_id, entry.unit, _used_at(entry), entry.payload) for entry in entries], book)


def _used_at(entry: Entry) -> datetime:
    """When a model was called, as its agent says; never after it said so, and no more than ``EARLIEST`` before."""
    said = _instant(entry.payload.get("started_at"))
    return min(max(said, entry.occurred_at - EARLIEST), entry.occurred_at) if said else entry.occurred_at


def repriced_costs_rated(models: set[str], book: RateBook) -> list[Rated]:
    """The costs of everything that used these models, at the prices that are in the book now."""
    rows = Entry.objects.filter(
        name="usage.recorded", subject_id__in=UsageRecord.objects.filter(model__in=models).values("id")
    )
    return usage_costs_rated(list(rows), book)


def _usage_costs(usages: Sequence[tuple[UUID, UUID | None, datetime, dict[str, Any]]], book: RateBook) -> list[Rated]:
    prices = _prices({told["model"] for _, _, _, told in usages})
    currencies, money = currencies_of(unit for _, unit, _, _ in usages), Money(book)
    found = list[Rated]()
    for source, unit, at, told in usages:
        tokens = Tokens(
            told["input_tokens"],
            told["output_tokens"],
            told.get("cache_read_tokens", 0),
            told.get("cache_write_tokens", 0),
            told.get("reasoning_tokens", 0),
        )
        row, reported = _price_at(prices, told["model"], at), _reported(told, currencies.get(unit, ""))
        worth = _priced(tokens, row, *reported, at, money)
        cost = CostSeen(
            kind=CostKind.LLM,
            source_id=source,
            run_id=UUID(told["run"]) if told.get("run") else None,
            workflow=told.get("workflow") or "",
            unit_id=unit,
            incurred_at=at,
            amount_micro=worth.micro,
            quantity=tokens.input + tokens.output,
            priced_by=worth.priced_by,
            model=told["model"],
            agent=told.get("agent") or "",
            reasoning=tokens.reasoning,
            reported_micro=reported[0],
            reported_currency=reported[1],
        )
        found.append((cost, worth.by))
    return found


def _reported(told: dict[str, Any], currency: str) -> tuple[int | None, str]:
    """What the agent says that it cost, in millionths of a currency: of its spans, else of its unit."""
    if (micro := told.get("reported_micro")) is not None:
        return int(micro), str(told.get("reported_currency") or "")
    minor = told.get("cost_minor")
    return (None, "") if minor is None else (int(minor) * micro_per_minor(currency), currency)


def _priced(
    tokens: Tokens, row: PriceBook | None, reported_micro: int | None, currency: str, at: datetime, money: Money
) -> Worth:
    if row is not None:
        found = money.worth(llm_cost_micro(tokens, _price_of(row)), row.currency, at, PricedBy.BOOK)
        if found.priced_by != PricedBy.UNPRICED:
            return found
    if reported_micro is None:
        return Worth(0, PricedBy.UNPRICED)
    return money.worth(Decimal(reported_micro), currency, at, PricedBy.REPORTED)


def _prices(models: set[str]) -> list[PriceBook]:
    return list(PriceBook.objects.filter(model__in=models).order_by("-valid_from"))


def _price_at(book: Sequence[PriceBook], model: str, at: datetime) -> PriceBook | None:
    return next((one for one in book if one.model == model and one.valid_from <= at), None)


def _price_of(row: PriceBook) -> TokenPrice:
    return TokenPrice(
        row.input_micro, row.output_micro, row.cache_read_micro, row.cache_write_micro, row.reasoning_micro
    )


def _instant(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None
