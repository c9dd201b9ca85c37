"""One decision for many: the page that lists what would be decided, and the page that says what became of each."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from apps.core.errors import InvalidError
from apps.core.formats import money
from apps.core.gate import require, require_human
from apps.core.http import Request, wants_fragment
from apps.oversight import services
from apps.oversight.forms import REASONS, BulkForm
from apps.oversight.models import Escalation
from apps.oversight.rules import MAX_BULK, BulkVerdict, JobItemState, JobState
from apps.oversight.selectors import escalations_for, job_for, left_out_for, results_for
from apps.oversight.views.decisions import UNFIT
from apps.oversight.views.detail import query_of

VIEW = "oversight.view_escalation"


@require_http_methods(["GET", "POST"])
def bulk(request: Request) -> HttpResponse:
    """GET lists the ticked items with their amounts and the total; POST starts the job. A GET decides nothing."""
    require(request.user, VIEW)
    require_human(request.user)
    form = BulkForm(request.POST if request.method == "POST" else request.GET)
    is_valid = form.is_valid()
    if request.method == "GET":
        return _confirm(request, form)
    if not is_valid:
        return _confirm(request, form, status=UNFIT)
    said = form.cleaned_data
    span = said["for_s"] if said["verdict"] == BulkVerdict.SNOOZE else None
    try:
        job = services.start_bulk(
            request.user,
            verdict=said["verdict"],
            ids=form.ids,
            reason=said["reason"],
            reason_code=said["reason_code"],
            versions=form.versions,
            until=timezone.now() + timedelta(seconds=span) if span else None,
        )
    except InvalidError as error:
        for path, texts in error.errors.items():
            for text in texts:
                form.add_error(path if path in form.fields else None, text)
        return _confirm(request, form, status=UNFIT)
    return redirect("oversight:job", job_id=job.pk)


def _confirm(request: Request, form: BulkForm, *, status: int = 200) -> HttpResponse:
    verdict = form.data.get("verdict", "")
    items = _chosen(request, form)
    problem, left_out = left_out_for(request.user, items) if verdict == BulkVerdict.APPROVE else ("", frozenset())
    counted = [item for item in items if item.pk not in left_out]
    context: dict[str, Any] = {
        "form": form,
        "verdict": verdict if verdict in list(BulkVerdict) else "",
        "items": items,
        "left_out": left_out,
        "problem": problem,
        "n": len(counted),
        "total": _total(counted),
        "reasons": REASONS,
        "list_query": query_of(request),
        "too_many": len(form.ids) > MAX_BULK,
        "max": MAX_BULK,
        "is_bound": request.method == "POST",
    }
    return render(request, "oversight/bulk.html", context, status=status)


def _chosen(request: Request, form: BulkForm) -> list[Escalation]:
    wanted = form.ids[:MAX_BULK]
    found = {item.pk: item for item in escalations_for(request.user).filter(pk__in=wanted)}
    return [found[pk] for pk in wanted if pk in found]


def _total(items: list[Escalation]) -> str:
    """The sum as people read it, where all amounts are in one currency."""
    amounts = [(item.action.amount_minor, item.action.currency) for item in items if item.action]
    currencies = {currency for amount, currency in amounts if amount is not None}
    if len(currencies) != 1:
        return ""
    return money(sum(amount or 0 for amount, _ in amounts), currencies.pop())


@require_GET
def job(request: Request, job_id: UUID) -> HttpResponse:
    """What became of each item; asks again every two seconds until all are done."""
    found = job_for(request.user, job_id)
    rows = results_for(request.user, found)
    context = {
        "job": found,
        "rows": rows,
        "done": sum(row.state != JobItemState.WAITING for row in rows),
        "failed": [row for row in rows if row.state in {JobItemState.FAILED, JobItemState.EXCLUDED}],
        "is_running": found.state == JobState.RUNNING,
    }
    template = "oversight/_job.html" if wants_fragment(request) else "oversight/job.html"
    return render(request, template, context)
