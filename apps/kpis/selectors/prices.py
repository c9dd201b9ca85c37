"""The price book: what models cost, what they were used for, and what another price would change."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from apps.core.errors import NotAllowedError
from apps.core.gate import require, scope_for, visible
from apps.core.models import User
from apps.kpis.models import CostItem, PriceBook
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.rules.costs import CostKind, PricedBy, TokenPrice
from apps.kpis.rules.formats import micro_per_minor

VIEW, MANAGE = "kpis.view_kpi", "kpis.manage_target"
RECENT_DAYS = 30

REPRICED = """
SELECT count(*), count(DISTINCT run_id), count(*) FILTER (WHERE priced_by = 'unpriced'),
       count(*) FILTER (WHERE after IS NULL), coalesce(sum(amount_micro), 0), coalesce(sum(after), 0)
FROM (SELECT run_id, priced_by, amount_micro,
             CASE WHEN micro = 0 THEN 0 ELSE coalesce(round(micro * worth), said) END AS after
FROM (SELECT cost.run_id, cost.priced_by, cost.amount_micro,
             greatest(used.input_tokens - used.cache_read_tokens - used.cache_write_tokens, 0) * %(input)s
             + used.cache_read_tokens * %(read)s + used.cache_write_tokens * %(write)s
             + (used.output_tokens - used.reasoning_tokens) * %(output)s
             + used.reasoning_tokens * %(reasoning)s AS micro,
             CASE WHEN %(currency)s = %(home)s THEN 1
                  WHEN held.currency = %(home)s THEN held.amount_minor * %(per_minor)s / 1000000 END AS worth,
             CASE WHEN cost.reported_micro = 0 OR cost.reported_currency = %(home)s THEN cost.reported_micro
                  WHEN said.currency = %(home)s
                  THEN round(cost.reported_micro * said.amount_minor * %(per_minor)s / 1000000)
                  WHEN cost.reported_micro IS NULL AND cost.priced_by = 'reported' THEN cost.amount_micro END AS said
      FROM kpis_costitem AS cost JOIN telemetry_usagerecord AS used ON used.id = cost.source_id
      LEFT JOIN LATERAL (
        SELECT rate.currency, rate.amount_minor FROM kpis_rate AS rate
        WHERE rate.kind = 'currency' AND rate.of_currency = %(currency)s AND rate.valid_from <= cost.incurred_at
        ORDER BY rate.valid_from DESC LIMIT 1) AS held ON true
      LEFT JOIN LATERAL (
        SELECT rate.currency, rate.amount_minor FROM kpis_rate AS rate
        WHERE rate.kind = 'currency' AND rate.of_currency = cost.reported_currency
          AND rate.valid_from <= cost.incurred_at
        ORDER BY rate.valid_from DESC LIMIT 1) AS said ON true
      WHERE cost.kind = 'llm' AND NOT cost.simulated AND cost.model = %(model)s AND cost.incurred_at >= %(since)s
        AND (%(until)s::timestamptz IS NULL OR cost.incurred_at < %(until)s)) AS priced) AS told
"""
"""``rules.costs.llm_cost_micro`` and ``rules.rates.exchanged``, over all that would come to lie under a price.

Where no rate of exchange holds for the price, what an agent said counts as it would without one.
"""


@dataclass(slots=True)
class ModelPrices:
    """One model: its prices, newest first, and its use in the last days by what the reader may see.

    ``unpriced`` counts, over all time, what it was used for and nobody knows the price of.
    """

    model: str
    prices: list[PriceBook] = field(default_factory=list)
    tokens: int = 0
    calls: int = 0
    cost_micro: int = 0
    unpriced: int = 0
    now: datetime | None = None

    @property
    def current(self) -> PriceBook | None:
        """The price of what is used now."""
        return next((row for row in self.prices if self.now is None or row.valid_from <= self.now), None)


@dataclass(frozen=True, slots=True)
class Repricing:
    """What a price would change: ``calls`` of ``runs`` would cost ``after_micro`` and cost ``before_micro`` now.

    ``unpriced`` of them cost nothing so far because nobody knew their price; ``left_unpriced`` go on or come to, as no
    rate of exchange holds for the price's ``currency`` and no agent said what they cost. ``until``: another price
    begins then.
    """

    calls: int
    runs: int
    unpriced: int
    left_unpriced: int
    before_micro: int
    after_micro: int
    currency: str
    until: datetime | None
    instead_of: PriceBook | None


def prices_for(actor: User) -> QuerySet[PriceBook]:
    """Every price, for who may see figures."""
    require(actor, VIEW)
    return PriceBook.objects.order_by("model", "-valid_from")


def may_set_prices(actor: User) -> bool:
    """Whether ``actor`` may: prices hold in every unit."""
    return actor.is_human and scope_for(actor, MANAGE).everywhere


def price_book_for(actor: User) -> list[ModelPrices]:
    """Every model that has a price or was used: first those whose use has none, then by what they cost."""
    now = database_now()
    book: dict[str, ModelPrices] = {}
    for row in prices_for(actor):
        book.setdefault(row.model, ModelPrices(row.model, now=now)).prices.append(row)
    for used in _used(actor, now - timedelta(days=RECENT_DAYS)):
        found = book.setdefault(used["model"], ModelPrices(used["model"], now=now))
        found.tokens, found.calls, found.cost_micro = used["tokens"], used["calls"], used["cost"]
    for missing in _costs(actor).filter(priced_by=PricedBy.UNPRICED).values("model").annotate(calls=Count("id")):
        book.setdefault(missing["model"], ModelPrices(missing["model"], now=now)).unpriced = missing["calls"]
    return sorted(book.values(), key=lambda one: (-one.unpriced, -one.cost_micro, one.model))


def repricing_for(actor: User, *, model: str, valid_from: datetime, price: TokenPrice, currency: str = "") -> Repricing:
    """What this price would change of what was counted so far. Nothing is written. Raises NotAllowedError.

    Without a ``currency`` it is in the one that ``save_price`` would take.
    """
    if not may_set_prices(actor):
        raise NotAllowedError
    rows, home = PriceBook.objects.filter(model=model), reporting_currency()
    until = rows.filter(valid_from__gt=valid_from).order_by("valid_from").values_list("valid_from", flat=True).first()
    same = rows.filter(valid_from=valid_from).first()
    currency = currency or (same.currency if same else home)
    asked: dict[str, Any] = {
        "model": model, "since": valid_from, "until": until, "currency": currency, "home": home,
        "per_minor": micro_per_minor(home),
        "input": price.input_micro, "output": price.output_micro,
        "read": price.cache_read_micro, "write": price.cache_write_micro,
        "reasoning": price.output_micro if price.reasoning_micro is None else price.reasoning_micro,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(REPRICED, asked)
        calls, runs, unpriced, left, before, after = cursor.fetchone()
    return Repricing(calls, runs, unpriced, left, int(before), int(after), currency, until, same)


def _costs(actor: User) -> QuerySet[CostItem]:
    return visible(actor, VIEW, CostItem.objects.filter(kind=CostKind.LLM, simulated=False))


def _used(actor: User, since: datetime) -> Iterable[Any]:
    rows = _costs(actor).filter(~Q(model=""), incurred_at__gte=since)
    return rows.values("model").annotate(tokens=Sum("quantity"), calls=Count("id"), cost=Sum("amount_micro"))
