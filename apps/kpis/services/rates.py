"""Commands on rates; what one would change is told before it does, by the code that changes it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import batched
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Role
from apps.access.selectors import unit_ids_below
from apps.access.services.units import require_manager, write_if_changed
from apps.agents.models import Action, Agent
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.connectors.models import Operation
from apps.core.amounts import EXPONENTS
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.kpis.models import CostItem, PriceBook, Rate, RunFact, rate_book
from apps.kpis.models.claims import claims
from apps.kpis.models.clock import database_now, reporting_currency, reporting_zone
from apps.kpis.rules.buckets import Period
from apps.kpis.rules.costs import CostKind, PricedBy
from apps.kpis.rules.facts import DECIDED, CostSeen
from apps.kpis.rules.fixed import fixed_micro_in
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.rates import ABOUT, KIND_OF, NAMED, THINGS, Per, RateBook, RateKind, RateSeen
from apps.kpis.services.goals import MANAGE
from apps.kpis.services.locks import hold_rates
from apps.kpis.services.rated import (
    Rated,
    action_costs_rated,
    claim_costs_rated,
    human_costs_rated,
)
from apps.kpis.services.seen import decisions_seen, usage_costs_rated
from apps.oversight.models import Escalation
from apps.workflows.models import Workflow

MOST = 10**10
LARGEST = {Per.MONTH: 10**12, Per.HOUR: 10**8, Per.MINUTE: 10**8}
"""Minor units for each; what is multiplied by time stays countable for a task that is held for a month."""
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC)
"""Beyond these no day of every zone could be told."""
DIGITS, DIGITS_OF_CURRENCY = 4, 8
"""After the point of an amount in minor units."""
MOST_DIGITS = 15
"""Of a rate of exchange in all: as many as a number of JSON carries there and back."""
ACTION_ENDS = ("action.succeeded", "action.failed")
USED = "usage.recorded"
CHUNK = 5000
CURRENCY = re.compile(r"[A-Z]{3}")
KNOWN: dict[str, Any] = {
    "unit": BusinessUnit, "role": Role, "agent": Agent, "operation": Operation, "workflow": Workflow,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rerating:
    """What a rate would change: ``costs`` in ``runs`` came to ``before_micro`` and come to ``after_micro`` then.

    ``unpriced`` of them have no price now, ``still_unpriced`` would have none. ``until``: another one begins then;
    ``instead_of``: it takes the place of this one. ``is_fixed``: the sums are what a month costs, by days until now;
    of another currency these come apart, as ``fixed_before_micro`` and ``fixed_after_micro``.
    """

    costs: int
    runs: int
    unpriced: int
    still_unpriced: int
    before_micro: int
    after_micro: int
    until: datetime | None
    instead_of: Rate | None
    is_fixed: bool = False
    fixed_before_micro: int = 0
    fixed_after_micro: int = 0


@transaction.atomic
def save_rate(
    actor: User,
    *,
    per: str,
    valid_from: datetime,
    amount_minor: Decimal,
    currency: str = "",
    source: str = "",
    **about: str,
) -> tuple[Rate, str]:
    """Say what something costs from a time on; the row, and ``created``, ``changed`` or ``unchanged``.

    ``about``: the unit, role, agent, operation, workflow or other currency. What it is about is counted again once this
    is folded.
    """
    require_manager(actor, None, MANAGE)
    rate = _read(per, valid_from, amount_minor, currency, about)
    if rate.kind == RateKind.FIXED and not source.strip():
        raise InvalidError(errors={"source": [_("Say where it is from: whoever reads the return will ask.")]})
    hold_rates()
    found = _same(rate, for_update=True)
    if found is None:
        _require_known(rate)
    row = found or Rate(kind=rate.kind, valid_from=valid_from, **{name: getattr(rate, name) for name in NAMED})
    values = {"per": rate.per, "amount_minor": rate.minor, "currency": rate.currency, "source": source}
    said = write_if_changed(actor, row, is_new=found is None, values=values)
    return row, said


def weigh_rate(
    actor: User, *, per: str, valid_from: datetime, amount_minor: Decimal, currency: str = "", **about: str
) -> Rerating:
    """What a rate would change of what was counted so far, by counting it so. Nothing is written.

    Raises NotAllowedError for who may not set it.
    """
    require_manager(actor, None, MANAGE)
    rate = _read(per, valid_from, amount_minor, currency, about)
    same = _same(rate)
    if same is None:
        _require_known(rate)
    book = rate_book()
    having = book.having(rate)
    until = book.until(rate)
    fixed_before, fixed_after = (_fixed_micro(rate, some, until) for some in (book, having))
    if rate.kind == RateKind.FIXED:
        abroad = int(having.is_abroad(rate, reporting_currency()))
        return Rerating(0, 0, 0, abroad, fixed_before, fixed_after, until, same, is_fixed=True)
    costs = list(costs_rerated([rate], having))
    invented = _simulated({one.run_id for one in costs if one.run_id})
    costs = [one for one in costs if one.run_id not in invented]
    stored = _stored(costs)
    was = [stored[key] for one in costs if (key := (one.kind, one.source_id)) in stored]
    return Rerating(
        costs=len(costs),
        runs=len({one.run_id for one in costs if one.run_id}),
        unpriced=sum(priced_by == PricedBy.UNPRICED for _micro, priced_by in was),
        still_unpriced=sum(one.priced_by == PricedBy.UNPRICED for one in costs),
        before_micro=sum(micro for micro, _priced_by in was),
        after_micro=sum(one.amount_micro for one in costs),
        until=until,
        instead_of=same,
        fixed_before_micro=fixed_before,
        fixed_after_micro=fixed_after,
    )


def _fixed_micro(rate: RateSeen, book: RateBook, until: datetime | None) -> int:
    """What is paid each month of what a rate is about, or in its other currency, by days from its beginning on."""
    if rate.kind == RateKind.CURRENCY:
        concerned = [one for one in book.rates if one.kind in {RateKind.FIXED, RateKind.CURRENCY}]
    elif rate.kind == RateKind.FIXED:
        concerned = [one for one in book.rates if one.subject == rate.subject or one.kind == RateKind.CURRENCY]
    else:
        return 0
    now = database_now()
    found = fixed_micro_in(
        concerned,
        Period(rate.since, min(until or now, now)),
        zone=reporting_zone(),
        now=now,
        currency=reporting_currency(),
        micro_per_minor=micro_per_minor,
    )
    return found or 0


def costs_rerated(changed: Sequence[RateSeen], book: RateBook) -> Iterator[CostSeen]:
    """The costs of everything that these rates of ``book`` hold for: of everything else nothing is counted again."""
    for rate in changed:
        nothing = []
        for cost, by in _concerned(rate, book):
            if rate not in by:
                continue
            if cost.quantity or cost.priced_by == PricedBy.COVERED:
                yield cost
            else:
                nothing.append(cost)
        known = _stored(nothing)
        yield from (one for one in nothing if (one.kind, one.source_id) in known)


def rates_told(entries: Iterable[Entry]) -> list[RateSeen]:
    """The rates that these entries say were set."""
    ids = {entry.subject_id for entry in entries if entry.subject_kind == "rate"}
    return [row.seen() for row in Rate.objects.filter(pk__in=ids)] if ids else []


def _concerned(rate: RateSeen, book: RateBook) -> Iterator[Rated]:
    match rate.kind:
        case RateKind.PEOPLE:
            rows = Escalation.objects.filter(state__in=DECIDED, ended_at__gte=rate.since)
            rows = rows.filter(unit__in=unit_ids_below(rate.unit)) if rate.unit else rows
            for ids in batched(list(rows.values_list("pk", flat=True)), CHUNK, strict=False):
                yield from human_costs_rated(decisions_seen(ids), book)
        case RateKind.AGENT:
            yield from claim_costs_rated(claims().filter(agent__slug=rate.agent, created_at__gte=rate.since), book)
            own = Action.objects.filter(agent__slug=rate.agent, run_id__isnull=False)
            yield from ((cost, by) for cost, by in _of_actions(own, rate, book) if cost.kind == CostKind.AGENT)
        case RateKind.OPERATION:
            rows_of = Action.objects.filter(operation=rate.operation, environment=Environment.LIVE)
            yield from ((cost, by) for cost, by in _of_actions(rows_of, rate, book) if cost.kind == CostKind.CONNECTOR)
        case RateKind.CURRENCY:
            yield from _abroad(rate, book)


def _abroad(rate: RateSeen, book: RateBook) -> Iterator[Rated]:
    """What may have been incurred in the other currency since then; more than that is no harm.

    In which currency an agent spoke no column says: of its words those that were not counted otherwise are read.
    """
    money = rate.of_currency
    rated = [one for one in book.rates if one.currency == money]
    own = BusinessUnit.objects.filter(currency=money).values("pk")
    items = Escalation.objects.filter(state__in=DECIDED, ended_at__gte=rate.since)
    if not any(one.kind == RateKind.PEOPLE for one in rated):
        items = items.filter(unit__in=own)
    for ids in batched(list(items.values_list("pk", flat=True)), CHUNK, strict=False):
        yield from human_costs_rated(decisions_seen(ids), book)
    agents = {one.agent for one in rated if one.kind == RateKind.AGENT}
    yield from claim_costs_rated(claims().filter(agent__slug__in=agents, created_at__gte=rate.since), book)
    charged = Operation.objects.filter(connector__unit__in=own).values("slug")
    calls = {one.operation for one in rated if one.kind == RateKind.OPERATION}
    words = CostItem.objects.filter(priced_by__in=[PricedBy.UNPRICED, PricedBy.REPORTED], incurred_at__gte=rate.since)
    about = Q(operation__in=charged) | Q(operation__in=calls) | Q(pk__in=_sources(words, CostKind.AGENT))
    yield from _of_actions(Action.objects.filter(about), rate, book)
    priced = CostItem.objects.filter(model__in=_models_priced_in(money), incurred_at__gte=rate.since)
    told = _sources(words.filter(reported_currency__in=[money, ""]) | priced, CostKind.LLM)
    used = Entry.objects.filter(name=USED, subject_id__in=told).order_by("id")
    for some in batched(used.iterator(chunk_size=CHUNK), CHUNK, strict=False):
        yield from usage_costs_rated(some, book)


def _models_priced_in(currency: str) -> QuerySet[PriceBook, str]:
    return PriceBook.objects.filter(currency=currency).values_list("model", flat=True)


def _sources(costs: QuerySet[CostItem], kind: CostKind) -> QuerySet[CostItem, UUID]:
    return costs.filter(kind=kind).values_list("source_id", flat=True)


def _of_actions(actions: Any, rate: RateSeen, book: RateBook) -> Iterator[Rated]:
    ends = Entry.objects.filter(name__in=ACTION_ENDS, occurred_at__gte=rate.since, subject_id__in=actions.values("pk"))
    for some in batched(ends.order_by("id").iterator(chunk_size=CHUNK), CHUNK, strict=False):
        yield from action_costs_rated(some, book)


def _stored(costs: Sequence[CostSeen]) -> dict[tuple[str, UUID], tuple[int, str]]:
    """What is counted now of these, by kind and source."""
    found: dict[tuple[str, UUID], tuple[int, str]] = {}
    for some in batched(costs, CHUNK, strict=False):
        rows = CostItem.objects.filter(source_id__in=[one.source_id for one in some], simulated=False)
        found |= {(row.kind, row.source_id): (row.amount_micro, row.priced_by) for row in rows}
    return found


def _simulated(runs: set[UUID]) -> set[UUID]:
    return set(RunFact.objects.filter(run_id__in=runs, simulated=True).values_list("run_id", flat=True))


def _read(per: str, since: datetime, amount: Decimal, currency: str, about: dict[str, str]) -> RateSeen:
    """The rate that was said. Raises InvalidError with everything that does not fit."""
    if per not in set(Per):
        raise InvalidError(errors={"per": [_("One of %s.") % ", ".join(Per)]})
    named = {name: slug for name, slug in about.items() if slug}
    kind = KIND_OF[Per(per)]
    wrong = _names_wrong(per, kind, named)
    if problem := _no_amount(Per(per), amount):
        wrong["amount_minor"] = [problem]
    if not FIRST <= since < LAST:
        wrong["from"] = [_("A day from 2000 to 2100.")]
    money = currency or reporting_currency()
    if not CURRENCY.fullmatch(money):
        wrong["currency"] = [_("A currency of ISO 4217, such as EUR.")]
    elif kind == RateKind.CURRENCY and money != reporting_currency():
        wrong["currency"] = [_("Another currency is worth so much of the reporting one, %s.") % reporting_currency()]
    if wrong:
        raise InvalidError(errors=wrong)
    digits = DIGITS_OF_CURRENCY if kind == RateKind.CURRENCY else DIGITS
    return RateSeen(per=per, since=since, minor=round(amount, digits), currency=money, **named)


def _names_wrong(per: str, kind: RateKind, named: dict[str, str]) -> dict[str, list[str]]:
    """What does not fit in what it says it is about, by field."""
    wrong = {name: [_("A rate per %s names none.") % per] for name in named if name not in ABOUT[kind]}
    if kind in {RateKind.AGENT, RateKind.OPERATION} and kind not in named:
        wrong[str(kind)] = [_("Say which.")]
    if kind == RateKind.FIXED and len(named) > 1:
        wrong["workflow"] = [_("Of a unit or of a workflow, not of both.")]
    if kind == RateKind.CURRENCY and (problem := _no_other_currency(named.get("of_currency", ""))):
        wrong["of_currency"] = [problem]
    return wrong


def _no_other_currency(code: str) -> str:
    """Why there is no rate of exchange of it; empty where there may be one."""
    if not code:
        return _("Say which.")
    if code not in EXPONENTS:
        return _("A currency of ISO 4217, such as EUR.")
    if code == reporting_currency():
        return _("Figures are in this currency: it is always worth itself.")
    return ""


def _no_amount(per: Per, amount: Decimal) -> str:
    """Why it is none; empty where it is one."""
    below = LARGEST.get(per, MOST)
    told = {"below": f"{below:,}"}
    if per == Per.UNIT:
        if (
            not amount.is_finite()
            or not 0 < amount < below
            or amount != round(amount, DIGITS_OF_CURRENCY)
            or len(amount.normalize().as_tuple().digits) > MOST_DIGITS
        ):
            return (
                _("Above 0, below %(below)s, with at most eight digits after the point and 15 in all, in minor units.")
                % told
            )
    elif not amount.is_finite() or not 0 <= amount < below or amount != round(amount, DIGITS):
        return _("From 0 on, below %(below)s, with at most four digits after the point.") % told
    return ""


def _require_known(rate: RateSeen) -> None:
    """Raises InvalidError for a name that names nothing."""
    for name in THINGS:
        if (slug := getattr(rate, name)) and not KNOWN[name].objects.filter(slug=slug).exists():
            raise InvalidError(errors={name: [_("There is none of this name.")]})


def _same(rate: RateSeen, *, for_update: bool = False) -> Rate | None:
    """The rate of the same subject that begins at the same time."""
    rows = Rate.objects.select_for_update() if for_update else Rate.objects.all()
    about = {name: getattr(rate, name) for name in NAMED}
    return rows.filter(kind=rate.kind, valid_from=rate.since, **about).first()
