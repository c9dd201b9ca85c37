"""Runs that failed, by cause, and having those begin anew that safely can."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from apps.core.errors import NotFoundError
from apps.core.http import Request, wants_fragment
from apps.workflows.forms import RetryForm
from apps.workflows.rules.retrying import Unsafe
from apps.workflows.selectors import workflows_for
from apps.workflows.selectors.failures import DAYS, Failures, Group, changes_for, failures_for
from apps.workflows.services import retry_runs
from apps.workflows.services.retrying import MOST_AT_ONCE

WEEK = 7


def why_words() -> dict[Unsafe, str]:
    """Why a run is not begun anew, as one says it of several."""
    return {
        Unsafe.UNKNOWN: _("nobody knows yet whether something was done"),
        Unsafe.UNDER_WAY: _("something may still be done"),
        Unsafe.IRREVERSIBLE: _("something irreversible was done"),
        Unsafe.STANDS: _("something was done and not taken back"),
        Unsafe.UNPROVEN: _("only their agent says that something was not done"),
        Unsafe.REPLACED: _("a later run has their key"),
        Unsafe.ERASED: _("their input was erased"),
        Unsafe.SIMULATED: _("they were simulated"),
        Unsafe.RETRIED: _("they began anew already, or will"),
    }


def _days(request: Request) -> int:
    asked = request.GET.get("days", "")
    return int(asked) if asked in {str(one) for one in DAYS} else WEEK


@require_GET
def failures(request: Request) -> HttpResponse:
    """What fails, by cause, beside what changed."""
    days, workflow = _days(request), request.GET.get("workflow", "").strip()
    found = failures_for(request.user, days=days, workflow=workflow)
    words = {1: _("A day"), WEEK: _("7 days"), 30: _("30 days")}
    context = {
        "failures": found,
        "lines": [(group, _not_safe(group)) for group in found.groups],
        "is_moving": any(group.retries["waiting"] for group in found.groups),
        "changes": changes_for(request.user, days=days),
        "days": days,
        "periods": [(one, words[one], one == days) for one in DAYS],
        "workflows": workflows_for(request.user),
        "workflow": workflow,
    }
    template = "workflows/_failures.html" if wants_fragment(request) else "workflows/failures.html"
    return render(request, template, context)


def _not_safe(group: Group) -> list[tuple[int, str]]:
    words = why_words()
    found = [(group.not_safe[why], words[why]) for why in Unsafe if group.not_safe[why]]
    return [*found, *([(group.not_theirs, _("you may not intervene in them"))] if group.not_theirs else [])]


@require_http_methods(["GET", "POST"])
def retry_failed(request: Request) -> HttpResponse:
    """What it means to have the runs of one cause begin anew, and having them."""
    days = _days(request)
    workflow, step, code = (request.GET.get(name, "").strip() for name in ("workflow", "step", "code"))
    found = failures_for(request.user, days=days, cause=(workflow, step, code))
    group = _only(found)
    if request.method == "GET":
        return _confirm(
            request, group, days, RetryForm(initial={"runs": ",".join(map(str, group.safe[:MOST_AT_ONCE]))})
        )
    form = RetryForm(request.POST)
    if not form.is_valid():
        return _confirm(request, group, days, form, status=422)
    ids: list[UUID] = form.cleaned_data["runs"]
    count = retry_runs(request.user, run_ids=ids, reason=form.cleaned_data["reason"])
    said = ngettext("%d run begins anew.", "%d runs begin anew.", count) % count
    if left := len(ids) - count:
        said += " " + ngettext("%d is not safe any more.", "%d are not safe any more.", left) % left
    messages.success(request, said)
    return redirect(f"{reverse('workflows:failures')}?days={days}")


def _only(found: Failures) -> Group:
    if not found.groups:
        raise NotFoundError
    return found.groups[0]


def _confirm(request: Request, group: Group, days: int, form: RetryForm, *, status: int = 200) -> HttpResponse:
    context = {
        "group": group,
        "not_safe": _not_safe(group),
        "now": min(len(group.safe), MOST_AT_ONCE),
        "left": max(0, len(group.safe) - MOST_AT_ONCE),
        "days": days,
        "form": form,
    }
    return render(request, "workflows/retry.html", context, status=status)
