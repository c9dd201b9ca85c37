"""One decision for many: the page that lists what would be decided, and the page that says what became of each."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from apps.core.errors import InvalidError
from apps.core.formats import money
from apps.core.gate import require, require_human
from apps.core.http import Request, wants_fragment
from apps.core.models import User
from apps.core.pages import page_of
from apps.oversight import services
from apps.oversight.forms import FATES, BulkForm, InboxFilter, uuid_of
from apps.oversight.models import Escalation, Job, JobItem
from apps.oversight.rules import MAX_BULK, BulkVerdict, EscalationState, InboxView, JobItemState, JobState
from apps.oversight.selectors import (
    apart_for,
    escalations_for,
    failed_for,
    fates_for,
    job_for,
    jobs_for,
    left_out_for,
    matching_for,
    results_for,
)
from apps.oversight.selectors.words import REASONS
from apps.oversight.views.decisions import UNFIT
from apps.oversight.views.detail import query_of
from apps.oversight.views.lists import VIEW, rows_of


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is put before the person, of how many. ``later``, ``others``: see ``Matching``.

    ``changed``: what is not any more what they saw when they decided the first time.
    """

    items: list[Escalation]
    later: int = 0
    others: int = 0
    changed: frozenset[UUID] = frozenset()


@require_http_methods(["GET", "POST"])
def bulk(request: Request) -> HttpResponse:
    """GET lists the items with their amounts and the total; POST starts the job. A GET decides nothing.

    GET: the ticked items (``ids``), all that match the filters (``all``), or what an earlier job left (``job``). What
    the page lists is what POST names, item by item: what arrives meanwhile is not among it.
    """
    require(request.user, VIEW)
    require_human(request.user)
    if request.method == "GET":
        form, chosen = _asked(request)
        return _confirm(request, form, chosen)
    form = BulkForm(request.POST)
    if form.is_valid() and (job := _start(request, form)):
        return redirect("oversight:job", job_id=job.pk)
    return _confirm(request, form, _named(request, form), status=UNFIT)


def _start(request: Request, form: BulkForm) -> Job | None:
    """The job; None where it does not start, with what is wrong beside its field."""
    said = form.cleaned_data
    span = said["for_s"] if said["verdict"] == BulkVerdict.SNOOZE else None
    try:
        return services.start_bulk(
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
        return None


def _asked(request: Request) -> tuple[BulkForm, Chosen]:
    form = BulkForm(request.GET)
    if key := uuid_of(request.GET.get("job")):
        job = job_for(request.user, key)
        said = QueryDict(mutable=True)
        said.update({"verdict": job.verdict, "reason": job.reason, "reason_code": job.reason_code})
        return BulkForm(said), _again(request, job)
    if not request.GET.get("all"):
        return form, _named(request, form)
    filters = InboxFilter(request.GET)
    if filters.wanted["view"] == InboxView.DECIDED:
        return form, Chosen([])
    rows = rows_of(request.user, filters)
    found = matching_for(request.user, rows, request.GET.get("verdict", ""))
    return form, Chosen(found.items, found.later, found.others)


def _again(request: Request, job: Job) -> Chosen:
    items, changed = failed_for(request.user, job)
    return Chosen(items, changed=changed)


def _named(request: Request, form: BulkForm) -> Chosen:
    wanted = form.ids[:MAX_BULK]
    found = {item.pk: item for item in escalations_for(request.user).filter(pk__in=wanted)}
    return Chosen([found[pk] for pk in wanted if pk in found])


def _confirm(request: Request, form: BulkForm, chosen: Chosen, *, status: int = 200) -> HttpResponse:
    verdict, items = form.data.get("verdict", ""), chosen.items
    problem, left_out, aside = "", frozenset[UUID](), frozenset[UUID]()
    if verdict == BulkVerdict.APPROVE:
        aside = chosen.changed  # nobody approves in passing what they have not seen
        problem, left_out = left_out_for(request.user, [item for item in items if item.pk not in aside])
    apart = apart_for(request.user, items) if problem else {}
    counted = [item for item in items if item.pk not in left_out | aside]
    context: dict[str, Any] = {
        "form": form,
        "verdict": verdict if verdict in list(BulkVerdict) else "",
        "items": items,
        "later": chosen.later,
        "others": chosen.others,
        "left_out": left_out,
        "changed": chosen.changed,
        "aside": aside,
        "problem": problem,
        "apart": apart,
        "going": [item.pk for item in items if item.state == EscalationState.PENDING and item.pk not in apart],
        "n": len(counted),
        "total": _total(counted),
        "reasons": REASONS,
        "list_query": query_of(request),
        "too_many": len(form.ids) > MAX_BULK,
        "max": MAX_BULK,
        "is_bound": request.method == "POST",
    }
    return render(request, "oversight/bulk.html", context, status=status)


def _total(items: list[Escalation]) -> str:
    """The sum as people read it, where all amounts are in one currency."""
    amounts = [(item.action.amount_minor, item.action.currency) for item in items if item.action]
    currencies = {currency for amount, currency in amounts if amount is not None}
    if len(currencies) != 1:
        return ""
    return money(sum(amount or 0 for amount, _ in amounts), currencies.pop())


@require_GET
def jobs(request: Request) -> HttpResponse:
    """One's own jobs, newest first."""
    require(request.user, VIEW)
    return render(request, "oversight/jobs.html", {"page": page_of(request, jobs_for(request.user), order=("-id",))})


@require_GET
def job(request: Request, job_id: UUID) -> HttpResponse:
    """What became of each item; asks again every two seconds until all are done."""
    found = job_for(request.user, job_id)
    rows = results_for(request.user, found)
    is_running = found.state == JobState.RUNNING
    _tell_fates(request.user, found, rows)
    context = {
        "fate_words": dict(FATES),
        "job": found,
        "rows": rows,
        "done": sum(row.state != JobItemState.WAITING for row in rows),
        "failed": [row for row in rows if row.state in {JobItemState.FAILED, JobItemState.EXCLUDED}],
        "again": 0 if is_running else _to_try_again(request, found),
        "is_running": is_running,
    }
    template = "oversight/_job.html" if wants_fragment(request) else "oversight/job.html"
    return render(request, template, context)


def _tell_fates(actor: User, job: Job, rows: list[JobItem]) -> None:
    """Say on each row that was decided what became of it since; what was put aside waits."""
    done = [row.escalation_id for row in rows if row.state == JobItemState.DONE and job.verdict != BulkVerdict.SNOOZE]
    fates = fates_for(actor, done) if done else {}
    for row in rows:
        row.fate = fates.get(row.escalation_id)  # type: ignore[attr-defined] # what became of it


def _to_try_again(request: Request, job: Job) -> int:
    """How many of the job's items can be told the same once more."""
    again = _again(request, job)
    return len(again.items) - (len(again.changed) if job.verdict == BulkVerdict.APPROVE else 0)
