"""The price book: what models cost, and what another price would change before it does."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import InvalidError, NotAllowedError
from apps.core.http import Request
from apps.kpis.forms import AMOUNTS, PriceForm
from apps.kpis.models import PriceBook
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.selectors.prices import (
    RECENT_DAYS,
    ModelPrices,
    Repricing,
    may_set_prices,
    price_book_for,
    repricing_for,
)
from apps.kpis.services import save_price


def _page(request: Request, *, status: int = 200, **more: Any) -> HttpResponse:
    book, zone = price_book_for(request.user), reporting_zone()
    context = {
        "book": [
            (
                one,
                _minor(one.cost_micro),
                [(row, local_day(row.valid_from, zone).isoformat(), _plain(row)) for row in one.prices],
            )
            for one in book
        ],
        "days": RECENT_DAYS,
        "currency": reporting_currency(),
        "unpriced": sum(one.unpriced for one in book),
        "may_manage": may_set_prices(request.user),
        "form": PriceForm(prefix="price", initial=_asked(request, book)),
        **more,
    }
    return render(request, "kpis/prices.html", context, status=status)


def _asked(request: Request, book: list[ModelPrices]) -> dict[str, Any]:
    """The model that the address names, where there is such a one, with what it costs now."""
    found = next((one for one in book if one.model == request.GET.get("model")), None)
    if found is None:
        return {}
    row = found.current
    said = {"currency": row.currency, **dict(zip(AMOUNTS, _plain(row), strict=True))} if row else {}
    return {"model": found.model, **said}


def _plain(row: PriceBook) -> list[str]:
    """Its amounts without the zeros that say nothing."""
    amounts = [getattr(row, name) for name in AMOUNTS]
    return ["" if amount is None else f"{amount.normalize():f}" for amount in amounts]


def _minor(micro: int) -> float:
    return micro / micro_per_minor(reporting_currency())


@require_GET
def prices(request: Request) -> HttpResponse:
    """Every model with its prices and its use."""
    return _page(request)


@require_POST
def set_price(request: Request) -> HttpResponse:
    """Say what a model costs from a day on: first what that would change, then, with ``confirm``, so."""
    if not may_set_prices(request.user):
        raise NotAllowedError
    form = PriceForm(request.POST, prefix="price")
    if not form.is_valid():
        return _page(request, status=422, form=form)
    said = form.cleaned_data
    if "confirm" not in request.POST:
        about = {name: said[name] for name in ("model", "valid_from", "currency")}
        found = repricing_for(request.user, price=form.price(), **about)
        return _page(request, form=form, change=found, **_shown(found))
    try:
        save_price(request.user, **said)
    except InvalidError as error:
        for name, problems in error.errors.items():
            form.add_error(name, problems)
        return _page(request, status=422, form=form)
    messages.success(request, _("Set. What was used since then is priced again within seconds."))
    return redirect("kpis:prices")


def _shown(change: Repricing) -> dict[str, Any]:
    before, after = _minor(change.before_micro), _minor(change.after_micro)
    return {"before": before, "after": after}
