"""Rates: what people's time, agents' work, calls and months cost, what another rate changes, and other currencies."""

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.access.models import HOURLY_RATE_MINOR
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.http import Request
from apps.kpis.forms import PERS, RateForm
from apps.kpis.models import Rate, rate_book
from apps.kpis.models.clock import database_now, reporting_currency, reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.formats import micro_per_minor, rate_text
from apps.kpis.rules.rates import Per
from apps.kpis.selectors.prices import may_set_prices
from apps.kpis.selectors.rates import hourly_units_for, names_for, rates_for
from apps.kpis.services import save_rate, weigh_rate
from apps.kpis.services.rates import Rerating


def _page(request: Request, *, status: int = 200, form: RateForm | None = None, **more: Any) -> HttpResponse:
    may_manage = may_set_prices(request.user)
    if form is None and may_manage:
        form = _form(request)
    context = {
        "rates": _told(list(rates_for(request.user))),
        "hourly": [
            (
                unit,
                rate_text(Decimal(unit.hourly_rate_minor), unit.currency),
                unit.hourly_rate_minor == HOURLY_RATE_MINOR,
            )
            for unit in hourly_units_for(request.user)
        ],
        "currency": reporting_currency(),
        "may_manage": may_manage,
        "form": form,
        **more,
    }
    return render(request, "kpis/rates.html", context, status=status)


def _form(request: Request, data: Any = None) -> RateForm:
    return RateForm(data, names=names_for(request.user), prefix="rate")


def _told(rows: list[Rate]) -> list[dict[str, Any]]:
    """Each rate in words; of each subject the newest comes first, and the one that holds now is marked."""
    now, zone, seen, book = database_now(), reporting_zone(), set[str](), rate_book()
    found = []
    for row in rows:
        holds = row.valid_from <= now and row.name not in seen
        if holds:
            seen.add(row.name)
        found.append(
            {
                "row": row,
                "what": PERS[Per(row.per)],
                "amount": rate_text(row.amount_minor, row.currency),
                "since": local_day(row.valid_from, zone).isoformat(),
                "holds": holds,
                "abroad": book.is_abroad(row.seen(), reporting_currency()),
            }
        )
    return found


@require_GET
def rates(request: Request) -> HttpResponse:
    """Every rate that the reader may see."""
    return _page(request)


@require_POST
def set_rate(request: Request) -> HttpResponse:
    """Say what something costs from a day on: first what that would change, then, with ``confirm``, so."""
    if not may_set_prices(request.user):
        raise NotAllowedError
    form = _form(request, request.POST)
    if not form.is_valid():
        return _page(request, status=422, form=form)
    said, is_confirmed = form.said(), "confirm" in request.POST
    try:
        if not is_confirmed:
            source = said.pop("source")
            found = weigh_rate(request.user, **said)
            return _page(request, form=form, change=found, source=source, **_shown(found))
        save_rate(request.user, **said)
    except InvalidError as error:
        for field, problems in error.errors.items():
            name = {"amount_minor": "amount"}.get(field, field)
            form.add_error(name if name in form.fields else None, problems)
        return _page(request, status=422, form=form)
    messages.success(request, _("Set. What it is about is counted again within seconds."))
    return redirect("kpis:rates")


def _shown(change: Rerating) -> dict[str, Any]:
    minor = micro_per_minor(reporting_currency())
    return {
        "before": change.before_micro / minor,
        "after": change.after_micro / minor,
        "fixed_before": change.fixed_before_micro / minor,
        "fixed_after": change.fixed_after_micro / minor,
    }
