"""Rotas and calendars: who is on duty when, and when nobody is there."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.access.models import Calendar, Rota
from apps.access.selectors import (
    calendar_for,
    calendars_for,
    names_asking_rota,
    names_using_calendar,
    people_for,
    rota_for,
    units_for,
)
from apps.access.services import save_calendar, save_rota, swap_duty, unswap_duty
from apps.access.services.removals import remove_calendar, remove_rota
from apps.console import selectors
from apps.console.forms import DAY_NAMES, CalendarForm, RotaForm, SwapForm
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds, require, scope_for
from apps.core.http import Request

PERM = "access.manage_access"


@require_GET
def rotas(request: Request) -> HttpResponse:
    """Every rota, with who is on duty now and who comes next."""
    require(request.user, PERM)
    return render(request, "console/rotas.html", {"rosters": selectors.rosters_for(request.user)})


def _rota(request: Request, slug: str, *, form: SwapForm | None = None, status: int = 200) -> HttpResponse:
    roster = selectors.roster_for(request.user, slug)
    context = {"roster": roster, "rota": roster.rota, "form": form or _swap_form(request, roster.rota)}
    return render(request, "console/rota.html", context, status=status)


def _swap_form(request: Request, rota: Rota, *bound: object) -> SwapForm:
    return SwapForm(*bound, rota=rota, people=people_for(request.user).filter(is_active=True))


@require_GET
def rota(request: Request, slug: str) -> HttpResponse:
    """One rota: now, next, the coming weeks, swaps, who asks it."""
    return _rota(request, slug)


@require_http_methods(["GET", "POST"])
def new_rota(request: Request) -> HttpResponse:
    """Make a rota."""
    require(request.user, PERM)
    return _rota_form(request, None)


@require_http_methods(["GET", "POST"])
def edit_rota(request: Request, slug: str) -> HttpResponse:
    """Change a rota."""
    return _rota_form(request, rota_for(request.user, slug))


def _rota_form(request: Request, rota: Rota | None) -> HttpResponse:
    form = RotaForm(_sent(request), rota=rota, units=units_for(request.user))

    def save() -> str:
        said = form.cleaned_data
        slug = rota.slug if rota else said.pop("slug")
        if rota is None and Rota.objects.filter(slug=slug).exists():
            raise InvalidError(errors={"slug": [_("There is one with this short name already.")]})
        return save_rota(request.user, slug=slug, **said, exceptions=None)[0].slug

    if (slug := _saved(form, save)) is not None:
        messages.success(request, _("Saved."))
        return redirect("console:rota", slug=slug)
    return _form_page(request, form, {"rota": rota, "template": "console/rota_form.html"})


@require_POST
def swap(request: Request, slug: str) -> HttpResponse:
    """Put somebody else on duty for a while."""
    rota = rota_for(request.user, slug)
    form = _swap_form(request, rota, request.POST)
    if _saved(form, lambda: swap_duty(request.user, rota=rota, **form.cleaned_data).slug) is None:
        return _rota(request, slug, form=form, status=422)
    messages.success(request, _("Saved. It begins and ends by itself."))
    return redirect("console:rota", slug=slug)


@require_POST
def unswap(request: Request, slug: str) -> HttpResponse:
    """Take a swap back."""
    rota = rota_for(request.user, slug)
    named = {name: request.POST.get(name, "") for name in ("begins", "ends", "username")}
    unswap_duty(request.user, rota=rota, **named)
    messages.success(request, _("Taken back. The turns hold again."))
    return redirect("console:rota", slug=slug)


@require_GET
def calendars(request: Request) -> HttpResponse:
    """Every calendar, and whether it is open now."""
    require(request.user, PERM)
    rows = calendars_for(request.user)
    context = {"open_now": selectors.open_now_for(request.user, rows), "may_change": _manages_all(request)}
    return render(request, "console/calendars.html", context)


@require_GET
def calendar(request: Request, slug: str) -> HttpResponse:
    """One calendar: its week, the holidays of the coming year, what counts by it."""
    found = calendar_for(request.user, slug)
    sheet = selectors.sheet_for(request.user, found)
    week = [(DAY_NAMES[name], slots) for name, slots in sheet.week]
    context = {"sheet": sheet, "calendar": found, "week": week, "may_change": _manages_all(request)}
    return render(request, "console/calendar.html", context)


@require_http_methods(["GET", "POST"])
def new_calendar(request: Request) -> HttpResponse:
    """Make a calendar."""
    return _calendar_form(request, None)


@require_http_methods(["GET", "POST"])
def edit_calendar(request: Request, slug: str) -> HttpResponse:
    """Change a calendar."""
    return _calendar_form(request, calendar_for(request.user, slug))


def _calendar_form(request: Request, calendar: Calendar | None) -> HttpResponse:
    if not _manages_all(request):
        raise NotAllowedError(_("Several units count by a calendar, so only who manages access everywhere changes it."))
    form = CalendarForm(_sent(request), calendar=calendar)

    def save() -> str:
        said = {name: form.cleaned_data[name] for name in ("name", "timezone", "region", "holidays")}
        slug = calendar.slug if calendar else form.cleaned_data["slug"]
        if calendar is None and Calendar.objects.filter(slug=slug).exists():
            raise InvalidError(errors={"slug": [_("There is one with this short name already.")]})
        return save_calendar(request.user, slug=slug, hours=form.hours(), **said)[0].slug

    if (slug := _saved(form, save)) is not None:
        messages.success(request, _("Saved. What is due already keeps its time."))
        return redirect("console:calendar", slug=slug)
    return _form_page(request, form, {"calendar": calendar, "template": "console/calendar_form.html"})


@require_http_methods(["GET", "POST"])
def remove_rota_page(request: Request, slug: str) -> HttpResponse:
    """What removing a rota means, and what keeps it; sent: it is gone."""
    rota = rota_for(request.user, slug)
    context = {"thing": rota, "back": reverse("console:rota", args=[slug]), "is_rota": True}
    return _removal(request, context, lambda: names_asking_rota(rota), lambda: remove_rota(request.user, rota=rota))


@require_http_methods(["GET", "POST"])
def remove_calendar_page(request: Request, slug: str) -> HttpResponse:
    """What removing a calendar means, and what keeps it; sent: it is gone."""
    found = calendar_for(request.user, slug)
    if not _manages_all(request):
        raise NotAllowedError(_("Several units count by a calendar, so only who manages access everywhere changes it."))
    context = {"thing": found, "back": reverse("console:calendar", args=[slug]), "is_rota": False}
    return _removal(
        request, context, lambda: names_using_calendar(found), lambda: remove_calendar(request.user, calendar=found)
    )


def _removal(
    request: Request, context: dict[str, object], users: Callable[[], list[str]], remove: Callable[[], object]
) -> HttpResponse:
    if request.method == "POST":
        try:
            remove()
        except ConflictError:
            return render(request, "console/remove.html", {**context, "users": users()}, status=409)
        messages.success(request, _("Removed. The audit trail keeps that it was there."))
        return redirect("console:rotas" if context["is_rota"] else "console:calendars")
    return render(request, "console/remove.html", {**context, "users": users()})


def _sent(request: Request) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _manages_all(request: Request) -> bool:
    return holds(request.user, PERM) and scope_for(request.user, PERM).everywhere


def _saved(form: RotaForm | SwapForm | CalendarForm, save: Callable[[], str]) -> str | None:
    """The short name of what was saved; None where the form was not sent, or something in it is wrong."""
    if not form.is_valid():
        return None
    try:
        return save()
    except InvalidError as error:
        form.refuse(error.errors)
    return None


def _form_page(request: Request, form: RotaForm | CalendarForm, context: dict[str, object]) -> HttpResponse:
    template = str(context.pop("template"))
    return render(request, template, {**context, "form": form}, status=422 if form.errors else 200)
