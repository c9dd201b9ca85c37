"""What is worth a look: hours out of line, missed targets, SLAs, backlogs."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import InvalidError
from apps.core.gate import holds
from apps.core.http import Request
from apps.kpis.forms import MuteForm
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_midnight
from apps.kpis.selectors.anomalies import anomalies_for, anomaly_for
from apps.kpis.services import mute_anomaly, unmute_anomaly

MANAGE = "kpis.manage_target"


@require_GET
def anomalies(request: Request) -> HttpResponse:
    """What goes on, and what was found in 60 days."""
    return _page(request)


@require_POST
def mute(request: Request, anomaly_id: UUID) -> HttpResponse:
    """Tell nobody of the like of it until a day, with a reason."""
    row, form = anomaly_for(request.user, anomaly_id), MuteForm(request.POST)
    if form.is_valid():
        until = local_midnight(form.cleaned_data["until"], reporting_zone())
        try:
            mute_anomaly(request.user, anomaly=row, until=until, reason=form.cleaned_data["reason"])
        except InvalidError as error:
            for field, said in error.errors.items():
                form.add_error(field, said)
        else:
            messages.success(request, _("Muted. It is still found and listed here; nobody is told."))
            return redirect("kpis:anomalies")
    return _page(request, status=422, form=form, tried=row.pk)


@require_POST
def unmute(request: Request, anomaly_id: UUID) -> HttpResponse:
    """Tell of the like of it again."""
    if unmute_anomaly(request.user, anomaly=anomaly_for(request.user, anomaly_id)):
        messages.success(request, _("Not muted any more: the owner is told when the like of it begins."))
    else:
        messages.info(request, _("It was not muted any more."))
    return redirect("kpis:anomalies")


def _page(
    request: Request, *, status: int = 200, form: MuteForm | None = None, tried: UUID | None = None
) -> HttpResponse:
    context = {
        "seen": anomalies_for(request.user),
        "may_manage": holds(request.user, MANAGE),
        "form": form or MuteForm(),
        "blank": MuteForm(),
        "tried": tried,
    }
    return render(request, "kpis/anomalies.html", context, status=status)
