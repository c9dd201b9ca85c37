"""Access reviews: the campaigns, one with its rights, deciding them alone or together, and the evidence."""

import csv
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.access.selectors import units_for
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, scope_for
from apps.core.http import Request
from apps.core.models import ClockTimestamp
from apps.core.pages import page_of
from apps.core.rules import as_cell
from apps.oversight import services
from apps.oversight.forms import LineForm, ReviewForm, TogetherForm
from apps.oversight.models import AccessReview
from apps.oversight.models.access_reviews import ENDS_SOON
from apps.oversight.rules.access_reviews import MAX_AT_ONCE, LineState, ReviewState, RightKind, Use
from apps.oversight.selectors.access_reviews import (
    AGENTS,
    MANAGE,
    READ,
    evidence_rows_for,
    line_for,
    lines_for,
    mine_for,
    progress_for,
    review_for,
    reviews_for,
    reviews_waiting_for,
    shown_for,
    undecidable_of,
)
from apps.oversight.services.access_reviews.deciding import Less

UNFIT = 422
ENDS = ("soon", "never")
TOGETHER = {"keep_used": ("keep", Use.USED), "revoke_unused": ("revoke", Use.UNUSED)}
SAMPLE = 50


@require_GET
def reviews(request: Request) -> HttpResponse:
    """The campaigns whose rights one may see; first those that wait for the reader."""
    if not any(holds(request.user, perm) for perm in (MANAGE, AGENTS, READ)):
        raise NotAllowedError
    context = {
        "waiting": reviews_waiting_for(request.user)[:MAX_AT_ONCE],
        "page": page_of(request, reviews_for(request.user), order=("-id",)),
        "may_open": holds(request.user, MANAGE),
    }
    return render(request, "oversight/access/reviews.html", context)


@require_http_methods(["GET", "POST"])
def new_review(request: Request) -> HttpResponse:
    """Open a campaign."""
    if not holds(request.user, MANAGE):
        raise NotAllowedError
    form = ReviewForm(request.POST or None, units=units_for(request.user))
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["unit"] is None and not scope_for(request.user, MANAGE).everywhere:
            form.add_error("unit", _("You manage access in some units only: choose one."))
            return render(request, "oversight/access/new_review.html", {"form": form}, status=UNFIT)
        try:
            review = services.open_access_review(request.user, **form.cleaned_data)
        except InvalidError as error:
            form.place(error.errors)
        else:
            messages.success(request, _("Opened. The reviewers are told."))
            if alone := undecidable_of(review):
                said = ngettext(
                    "%d right has no reviewer: only its holder could take it away.",
                    "%d rights have no reviewer: only their holders could take them away.",
                    alone,
                )
                messages.warning(request, said % alone)
            return redirect("oversight:access-review", review_id=review.pk)
    status = UNFIT if form.is_bound else 200
    return render(request, "oversight/access/new_review.html", {"form": form}, status=status)


@require_GET
def review(request: Request, review_id: UUID) -> HttpResponse:
    """One campaign: how far it is, and its rights, page by page."""
    return _page(request, review_for(request.user, review_id))


def _page(request: Request, found: AccessReview, *, refused: str = "", status: int = 200) -> HttpResponse:
    asked = {name: request.GET.get(name, "") for name in ("show", "kind", "use", "end")}
    is_open = found.state == ReviewState.OPEN
    rows = mine_for(request.user, found) if asked["show"] == "mine" else lines_for(request.user, found)
    if asked["show"] in set(LineState):
        rows = rows.filter(state=asked["show"])
    if asked["kind"] in set(RightKind):
        rows = rows.filter(kind=asked["kind"])
    if asked["use"] in set(Use):
        rows = rows.filter(use=asked["use"])
    if asked["end"] in ENDS:
        rows = (
            rows.filter(until__lte=ClockTimestamp() + ENDS_SOON) if asked["end"] == "soon" else rows.filter(until=None)
        )
    page = page_of(request, rows, order=("id",))
    context = {
        "review": found,
        "is_open": is_open,
        "page": page,
        "rows": shown_for(request.user, page.rows),
        "asked": asked,
        "is_filtered": any(asked.values()),
        "progress": progress_for(request.user, found),
        "states": list(LineState),
        "kinds": list(RightKind),
        "uses": list(Use),
        "refused": refused,
        "may_close": is_open and holds(request.user, MANAGE) and _manages(request, found),
    }
    return render(request, "oversight/access/review.html", context, status=status)


def _manages(request: Request, found: AccessReview) -> bool:
    scope = scope_for(request.user, MANAGE)
    return scope.everywhere or found.unit_id in scope.units


@require_http_methods(["GET", "POST"])
def line(request: Request, review_id: UUID, line_id: UUID) -> HttpResponse:
    """One right: what it was, its use, what it is now; a POST decides."""
    found = review_for(request.user, review_id)
    row = line_for(request.user, found, line_id)
    form = LineForm(request.POST, kind=row.kind) if request.method == "POST" else None
    refused, status = "", 200 if form is None else UNFIT
    if form is not None and form.is_valid():
        said = form.cleaned_data
        less = Less(until=said.get("until"), limit=said["limit"])
        try:
            done = services.decide_right(
                request.user, line=row, say=said["say"], reason=said["reason"], seen=said["seen"], less=less
            )
        except InvalidError as error:
            form.place({name.partition(".")[0]: texts for name, texts in error.errors.items()})
        except ConflictError as error:
            refused, status = str(error.message), error.status
            row.refresh_from_db()
        else:
            if done.state == LineState.GONE:
                messages.info(request, _("It had ended already: there was nothing left to decide."))
            else:
                messages.success(request, _("Decided. It acts at once."))
            return redirect("oversight:access-review", review_id=found.pk)
    (shown,) = shown_for(request.user, [row])
    if form is None or status == ConflictError.status:
        form = LineForm(kind=row.kind, initial={"seen": shown.seen})
    context = {"review": found, "row": shown, "form": form, "refused": refused, "is_open": found.state == "open"}
    return render(request, "oversight/access/line.html", context, status=status)


@require_http_methods(["GET", "POST"])
def together(request: Request, review_id: UUID, act: str) -> HttpResponse:
    """Keep all that are used, or revoke all that are unused: first what that would be, then it is done."""
    if act not in TOGETHER:
        raise NotFoundError
    found = review_for(request.user, review_id)
    say, use = TOGETHER[act]
    rows = mine_for(request.user, found).filter(use=use)
    form = TogetherForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        chosen = list(rows.filter(pk__in=_ids(request))[:MAX_AT_ONCE])
        told = services.decide_lines(
            request.user, review=found, lines=chosen, say=say, reason=form.cleaned_data["reason"]
        )
        done = sum(not one.problem for one in told)
        messages.success(request, ngettext("%d right decided.", "%d rights decided.", done) % done)
        for one in [one for one in told if one.problem][:SAMPLE]:
            messages.warning(request, f"{one.line}: {one.problem}")
        return redirect("oversight:access-review", review_id=found.pk)
    shown = shown_for(request.user, rows[:MAX_AT_ONCE])
    context = {
        "review": found, "act": act, "say": say, "form": form, "more": max(rows.count() - MAX_AT_ONCE, 0),
        "rows": [one for one in shown if one.now and not one.is_changed],
        "changed": [one for one in shown if one.is_changed or not one.now],
    }  # fmt: skip
    return render(request, "oversight/access/together.html", context, status=UNFIT if form.is_bound else 200)


def _ids(request: Request) -> list[UUID]:
    """What was on the page that was confirmed; what is no id is left out."""
    found = []
    for text in request.POST.getlist("ids")[:MAX_AT_ONCE]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


@require_POST
def close(request: Request, review_id: UUID) -> HttpResponse:
    """End a campaign before its time."""
    found = review_for(request.user, review_id)
    try:
        services.close_access_review(request.user, review=found)
    except ConflictError as error:
        return _page(request, found, refused=str(error.message), status=error.status)
    messages.success(request, _("Closed. What nobody decided is reported as left."))
    return redirect("oversight:access-review", review_id=found.pk)


@require_GET
def export(request: Request, review_id: UUID) -> HttpResponse:
    """The evidence as CSV: who reviewed what, when, with which evidence, and what was changed."""
    found = review_for(request.user, review_id)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="access-review-{str(found.pk)[-8:]}.csv"'
    writer = csv.writer(answer)
    for row in evidence_rows_for(request.user, found):
        writer.writerow([as_cell(value) for value in row])
    return answer
