"""What agents reported: spans, those that belong to nothing, those that were not taken."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from apps.agents.selectors import actions_for
from apps.console.forms import LinkSpanForm
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds
from apps.core.http import Request
from apps.core.pages import page_of
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.selectors.traces import cost_of_span_for
from apps.telemetry.models import Span
from apps.telemetry.rules.rejections import Rejection
from apps.telemetry.selectors import (
    LATE_DAYS,
    LONGEST_TEXT,
    MOST_SEARCHED,
    REJECTED_DAYS,
    Rejected,
    SpanFilter,
    rejected_for,
    span_for,
    spans_for,
    unlinked_for,
    versions_at_work_for,
)
from apps.telemetry.services import link_by_hand
from apps.telemetry.services.usage import DOLLAR
from apps.workflows.selectors import run_for, runs_for

VIEW, OPERATE = "agents.view_agent", "workflows.operate_run"
SIZE = 50
LINKED = {"yes": True, "no": False}
SINCE = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}
SINCE_WORDS = {"1h": gettext_lazy("Last hour"), "1d": gettext_lazy("Last day"), "7d": gettext_lazy("Last 7 days")}
WHY = {
    Rejection.UNREADABLE: gettext_lazy("No ids or times"),
    Rejection.OUT_OF_TIME: gettext_lazy("Too old, or of a time to come"),
    Rejection.OF_OTHERS: gettext_lazy("Named work that is not the agent's own, when that was not kept yet"),
    Rejection.OVERFULL: gettext_lazy("Too long a trace"),
    Rejection.BLOCKED: gettext_lazy("Under a name that people blocked"),
}
MISNAMED = gettext_lazy("Kept, but named work that is not the agent's own")
ASKED = ("agent", "service", "run", "trace", "linked", "errors", "since", "version", "text")


def _misnamed(one: Rejected) -> list[tuple[Any, int]]:
    return [(MISNAMED, one.misnamed)] if one.misnamed else []


@require_GET
def spans(request: Request) -> HttpResponse:
    """Spans, newest first; filters are in the address, and what does not fit is left out."""
    if not holds(request.user, VIEW):
        raise NotAllowedError
    asked = {name: request.GET.get(name, "").strip() for name in ASKED}
    rows = spans_for(request.user, _filter_of(asked)).defer("attributes")
    page = page_of(request, rows, order=("-id",), size=SIZE)
    context = {
        "page": page,
        "asked": asked,
        "filtered": any(asked.values()),
        "since": list(SINCE_WORDS.items()),
        "unlinked": unlinked_for(request.user) if page.is_first else [],
        "late_days": LATE_DAYS,
        "searched": MOST_SEARCHED,
        "rejected": [
            (one, [*((words, one.why[why]) for why, words in WHY.items() if one.why[why]), *_misnamed(one)])
            for one in (rejected_for(request.user) if page.is_first else [])
        ],
        "rejected_days": REJECTED_DAYS,
    }
    return render(request, "console/spans.html", context)


def _filter_of(asked: dict[str, str]) -> SpanFilter:
    age = SINCE.get(asked["since"])
    return SpanFilter(
        agent=asked["agent"],
        service=asked["service"],
        run=uuid_in(asked["run"]),
        trace=asked["trace"],
        linked=LINKED.get(asked["linked"]),
        failed=True if asked["errors"] == "yes" else None,
        since=timezone.now() - age if age else None,
        version=asked["version"][:LONGEST_TEXT],
        text=asked["text"][:LONGEST_TEXT],
    )


def uuid_in(text: str) -> UUID | None:
    """An id that somebody typed; None for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None


@require_GET
def span(request: Request, span_id: UUID) -> HttpResponse:
    """One span with its attributes and what it belongs to."""
    return _page(request, span_for(request.user, span_id))


def _page(request: Request, found: Span, *, form: LinkSpanForm | None = None, status: int = 200) -> HttpResponse:
    told = (found.tokens or {}).get("reported_micro")
    is_loose = not (found.run_id or found.task_id or found.action_id)
    known = actions_for(request.user).in_bulk(
        [pk for pk in (found.action_id, found.governed_by, found.despite_action) if pk]
    )
    context: dict[str, Any] = {
        "span": found,
        "took_s": max(0.0, (found.ended_at - found.started_at).total_seconds()),
        "run": runs_for(request.user).filter(pk=found.run_id).first() if found.run_id else None,
        "action": known.get(found.action_id) if found.action_id else None,
        "governed_by": known.get(found.governed_by) if found.governed_by else None,
        "despite_action": known.get(found.despite_action) if found.despite_action else None,
        "worked_as": ", ".join(map(str, versions_at_work_for(request.user, found))),
        "cost": cost_of_span_for(request.user, found),
        "currency": reporting_currency(),
        "told_minor": None if told is None else told / micro_per_minor(DOLLAR),
        "dollar": DOLLAR,
        "may_link": is_loose
        and found.created_at > timezone.now() - timedelta(days=LATE_DAYS)
        and holds(request.user, OPERATE),
        "form": form or LinkSpanForm(),
    }
    return render(request, "console/span.html", context, status=status)


@require_POST
def link(request: Request, span_id: UUID) -> HttpResponse:
    """Say to which run the span's trace belongs."""
    found = span_for(request.user, span_id)
    form = LinkSpanForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form=form, status=422)
    try:
        run = run_for(request.user, form.cleaned_data["run"])
        linked = link_by_hand(request.user, span=found, run=run, reason=form.cleaned_data["reason"])
    except NotFoundError:
        form.add_error("run", _("There is no such run."))
        return _page(request, found, form=form, status=422)
    except InvalidError as error:
        for name, problems in error.errors.items():
            form.add_error(name, problems)
        return _page(request, found, form=form, status=422)
    except (ConflictError, NotAllowedError) as error:
        form.add_error(None, str(error.message))
        return _page(request, found, form=form, status=error.status)
    said = ngettext("%(n)d span belongs to the run now.", "%(n)d spans belong to the run now.", linked)
    messages.success(request, said % {"n": linked})
    return redirect("console:span", span_id=span_id)
