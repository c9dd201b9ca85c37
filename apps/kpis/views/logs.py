"""Event logs: what processes were like before, and the map that shows in them."""

from itertools import pairwise
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.access.models import BusinessUnit
from apps.access.selectors import queues_near_for
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds, visible
from apps.core.http import Request
from apps.kpis.forms import LogFileForm, WorkflowStartForm
from apps.kpis.models import EventLog
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.eventlogs import slug_for, way_digest
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.statistics import percentile
from apps.kpis.selectors import draft_for, event_log_for, event_logs_for
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.log_maps import log_map_for, share_of
from apps.kpis.selectors.uploads import left_upload_for
from apps.kpis.services import delete_event_log, keep_upload
from apps.kpis.services.goals import MANAGE
from apps.kpis.services.logs import MICRO, start_workflow
from apps.workflows.models import Workflow
from apps.workflows.services.definitions import PUBLISH

SHOWN = 100
ROWS, VARIANTS, VALUES = 20, 10, 10
"""Of each list the page shows so many; the API says all that are kept."""


@require_http_methods(["GET", "POST"])
def event_logs(request: Request) -> HttpResponse:
    """GET lists the logs; POST takes a file, and leads to how it would be read."""
    names = workflows_for(request.user)
    form = LogFileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            return redirect("kpis:read-log", upload_id=keep_upload(request.user, file=file, name=file.name).pk)
        except ConflictError as error:
            form.add_error("file", str(error.message))
    logs = [
        {"log": log, "workflow": names.get(log.workflow, log.workflow)} for log in event_logs_for(request.user)[:SHOWN]
    ]
    may_manage = holds(request.user, MANAGE)
    left = left_upload_for(request.user) if may_manage else None
    context = {"logs": logs, "form": form, "may_manage": may_manage, "left": left}
    return render(request, "kpis/event_logs.html", context, status=422 if form.errors else 200)


@require_GET
def event_log(request: Request, log_id: UUID) -> HttpResponse:
    """One log: its figures, what follows what, its variants, and who did how much."""
    log = event_log_for(request.user, log_id)
    return _page(request, log, _start_form(request, log))


def _page(request: Request, log: EventLog, form: WorkflowStartForm | None) -> HttpResponse:
    told, currency = log.figures["map"], reporting_currency()
    context: dict[str, Any] = {
        "log": log,
        "figures": log.figures,
        "activities": log.figures["activities"][:ROWS],
        "workflow": workflows_for(request.user).get(log.workflow, log.workflow),
        "cost_minor": cost["mean"] * MICRO / micro_per_minor(currency) if (cost := log.figures.get("cost")) else None,
        "currency": currency,
        "usual_week": _usual(log.figures["throughput_weekly"]),
        "path": _path(told),
        "map": log_map_for(request.user, log, share_of(request.GET.get("rare", ""))),
        "arrows": [{**one, "before": one["from"], "after": one["to"]} for one in told["arrows"][:ROWS]],
        "variants": [{**one, "digest": way_digest(one["activities"])} for one in told["variants"][:VARIANTS]],
        "weeks": log.figures["throughput_weekly"][: -ROWS - 1 : -1],
        "workload": told["workload"][:ROWS],
        "attributes": [_attribute(log, one) for one in log.figures.get("attributes", ())],
        "may_manage": holds(request.user, MANAGE),
        "form": form,
    }
    return render(request, "kpis/event_log.html", context, status=422 if form and form.errors else 200)


def _start_form(request: Request, log: EventLog) -> WorkflowStartForm | None:
    """How a workflow begins from the log; None for who may begin none anywhere."""
    units = visible(request.user, PUBLISH, BusinessUnit.objects.order_by("name"))
    mine = list(units[:2])
    if not mine:
        return None
    workflow = Workflow.objects.filter(slug=log.workflow, unit__in=units).select_related("unit").first()
    unit = workflow.unit.slug if workflow else mine[0].slug if len(mine) == 1 else ""
    first = {"slug": slug_for(log.name), "unit": unit}
    queues = queues_near_for(request.user, PUBLISH).order_by("name")
    sent = request.POST if request.method == "POST" else None
    return WorkflowStartForm(sent, initial=first, units=units, queues=queues)


def _usual(weeks: list[dict[str, Any]]) -> float | None:
    """Cases in the median week of those with any."""
    return percentile([week["cases"] for week in weeks], 0.5)


def _attribute(log: EventLog, told: dict[str, Any]) -> dict[str, Any]:
    """What the page says of an attribute: the values that most cases have; none where each case has its own."""
    values = told["values"][:VALUES] if told["cases"] > told["different"] else []
    return {**told, "values": values, "without": log.cases - told["cases"], "left_out": told["different"] - len(values)}


def _path(told: dict[str, Any]) -> dict[str, Any]:
    """The most frequent variant, with how long is waited before each of its activities."""
    first = told["variants"][0]
    waits = {(arrow["from"], arrow["to"]): arrow["wait_p50_s"] for arrow in told["arrows"]}
    steps = [
        {"activity": name, "wait_s": waits.get((before, name))} for before, name in pairwise(["", *first["activities"]])
    ]
    return {"share": first["share"], "took": first["cycle_time_p50_s"], "steps": steps}


@require_GET
def draft_from_log(request: Request, log_id: UUID) -> HttpResponse:
    """A workflow document to go on from, as a file."""
    log = event_log_for(request.user, log_id)
    headers = {"Content-Disposition": 'attachment; filename="draft.yaml"'}
    return HttpResponse(draft_for(request.user, log), content_type="application/yaml; charset=utf-8", headers=headers)


@require_POST
def start_workflow_from_log(request: Request, log_id: UUID) -> HttpResponse:
    """Make a draft of a workflow of the way that most cases took, and lead to it."""
    log = event_log_for(request.user, log_id)
    form = _start_form(request, log)
    if form is None:
        raise NotAllowedError
    if form.is_valid():
        try:
            version = start_workflow(request.user, log=log, **form.cleaned_data)
        except InvalidError as error:
            for path, texts in (error.errors or {"": [str(error.message)]}).items():
                form.add_error(path if path in form.fields else None, " ".join(texts))
        else:
            messages.success(request, _("Begun as a draft: nothing runs before somebody publishes it."))
            return redirect("workflows:workflow", slug=version.workflow.slug)
    return _page(request, log, form)


@require_POST
def remove_event_log(request: Request, log_id: UUID) -> HttpResponse:
    """Forget a log; baselines that were set from it stay."""
    delete_event_log(request.user, log=event_log_for(request.user, log_id))
    messages.success(request, _("Removed. Baselines that were set from it stay."))
    return redirect("kpis:event-logs")
