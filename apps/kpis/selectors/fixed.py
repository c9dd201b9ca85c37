"""Fixed cost of an answer's periods, as far as it is of what is asked for and the reader sees it."""

from collections.abc import Sequence
from datetime import datetime

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_ids_below
from apps.core.gate import recall
from apps.core.models import User
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.buckets import Period
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.fixed import fixed_micro_in
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import RateKind, RateSeen
from apps.kpis.selectors.rates import rates_for
from apps.kpis.selectors.reading import Reading
from apps.workflows.models import Workflow

NAME = "fixed_micro"


def fixed_rates_for(actor: User, asked: KpiFilter) -> list[RateSeen]:
    """What is paid each month for what is asked for, and behind it the rates of exchange.

    Limited to a workflow its own alone, to a unit that of units at or below it and of their workflows. By agent or
    version nobody knows any. Asked once per request.
    """
    rates = recall(actor, "kpis.fixed", lambda: _known(actor))
    if not any(one.kind == RateKind.FIXED for one in rates) or asked.agent or asked.version is not None:
        return []
    exchange = [one for one in rates if one.kind == RateKind.CURRENCY]
    rates = [one for one in rates if one.kind == RateKind.FIXED]
    if asked.workflow:
        rates = [one for one in rates if one.workflow == asked.workflow]
    if asked.unit:
        below = unit_ids_below(asked.unit)
        units = set(BusinessUnit.objects.filter(pk__in=below).values_list("slug", flat=True))
        flows = set(Workflow.objects.filter(unit__in=below).values_list("slug", flat=True))
        rates = [one for one in rates if one.unit in units or one.workflow in flows]
    return [*rates, *exchange] if rates else []


def _known(actor: User) -> list[RateSeen]:
    rows = rates_for(actor).filter(kind__in=[RateKind.FIXED, RateKind.CURRENCY])
    return [row.seen() for row in rows]


def add_fixed_for(actor: User, asked: KpiFilter, found: Reading, periods: Sequence[Period], now: datetime) -> Reading:
    """The reading with the fixed cost of each of its rows."""
    rates = fixed_rates_for(actor, asked)
    if not rates:
        return found
    cut = len(periods) // 2
    whole = Period(periods[0].start, periods[-1].end)
    middle = periods[cut].start
    rows = [*zip(found.parts, periods, strict=True), (found.whole, whole)]
    rows += [(found.halves[0], Period(whole.start, middle if cut else whole.end))]
    rows += [(found.halves[1], Period(middle, whole.end))]
    for row, period in rows:
        row[NAME] = _cost(rates, asked, period, now)
    for name, row in found.workflows.items():
        own = [one for one in rates if one.workflow == name or one.kind == RateKind.CURRENCY]
        row[NAME] = _cost(own, asked, whole, now)
    return found


def _cost(rates: list[RateSeen], asked: KpiFilter, period: Period, now: datetime) -> int | None:
    currency = reporting_currency()
    return fixed_micro_in(rates, period, zone=asked.zone, now=now, currency=currency, micro_per_minor=micro_per_minor)
