"""The weekly report: a page per week and unit, and whether one gets it by mail."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.access.models import BusinessUnit
from apps.console.forms import ReportForm
from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.http import Request, pdf_of
from apps.kpis.rules.weeks import Week, week_named
from apps.kpis.selectors.lines import line_heads_for, verdict_criteria_for
from apps.kpis.selectors.paper import printed_report_for
from apps.kpis.selectors.reports import last_week_for, path_of, pdf_path_of, report_for
from apps.kpis.services.letters import name_of
from apps.notifications.selectors.reports import subscription_for
from apps.notifications.services import save_subscription

VIEW = "kpis.view_kpi"
MORNING = 7


@require_GET
def weekly(request: Request) -> HttpResponse:
    """The week that ended last has an address of its own."""
    return redirect(path_of(last_week_for(request.user), request.GET.get("unit", "")))


@require_GET
def report(request: Request, week: str) -> HttpResponse:
    """One week's report; with ``unit`` of that unit and below."""
    return _page(request, week, request.GET.get("unit", ""))


@require_GET
def printed(request: Request, week: str) -> HttpResponse:
    """The same as PDF."""
    found = report_for(request.user, week=_week_of(week), unit=request.GET.get("unit", ""))
    return pdf_of(name_of(found), printed_report_for(request.user, found))


@require_POST
def subscribe(request: Request) -> HttpResponse:
    """Have it by mail every week, or no more."""
    require(request.user, VIEW)
    form = ReportForm(request.POST, units=_units(request))
    if not form.is_valid():
        return _page(request, str(last_week_for(request.user)), "", form)
    save_subscription(request.user, **form.cleaned_data)
    said = _("It comes from the end of this week on.") if form.cleaned_data["is_on"] else _("It comes no more.")
    messages.success(request, said)
    return redirect(f"{path_of(last_week_for(request.user), '')}#by-mail")


def _page(request: Request, name: str, unit: str, form: ReportForm | None = None) -> HttpResponse:
    week = _week_of(name)
    found = report_for(request.user, week=week, unit=unit)
    last = last_week_for(request.user)
    context = {
        "report": found,
        "page": found.page,
        "asked": found.page.answer.asked,
        "heads": line_heads_for(request.user),
        "criteria": verdict_criteria_for(request.user),
        "earlier": path_of(week.moved(-1), unit),
        "later": path_of(week.moved(1), unit) if week < last else "",
        "is_over": week <= last,
        "form": form or ReportForm(initial=_chosen(request, unit), units=_units(request)),
        "is_on": bool((chosen := subscription_for(request.user)) and chosen.is_on and not chosen.is_of_removed_unit),
        "mail_is_set_up": bool(settings.MAIL["host"]),
        "permalink": f"{settings.ACP_URL}{found.path}",
        "pdf": pdf_path_of(week, unit),
        "here": reverse("console:weekly"),
    }
    return render(request, "console/report.html", context, status=422 if form else 200)


def _week_of(name: str) -> Week:
    try:
        return week_named(name)
    except ValueError as error:
        raise NotFoundError from error


def _units(request: Request) -> Any:
    return visible(request.user, VIEW, BusinessUnit.objects.all()).order_by("name")


def _chosen(request: Request, unit: str) -> dict[str, Any]:
    """What was chosen last; else Monday morning, of the unit that is shown."""
    chosen = subscription_for(request.user)
    if chosen is None:
        return {"unit": unit, "weekday": 0, "hour": MORNING, "timezone": settings.ACP_REPORTING_TZ}
    slug = chosen.unit.slug if chosen.unit else ""
    chosen_at = {"weekday": chosen.weekday, "hour": chosen.hour, "timezone": chosen.timezone}
    return {"is_on": chosen.is_on and not chosen.is_of_removed_unit, "unit": slug, **chosen_at}
