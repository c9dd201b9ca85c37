"""Classes of data: what is kept of each, why, until when, and how they are made and changed."""

import csv

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from apps.classification.models import DataClass
from apps.classification.selectors import MANAGE, READ, data_class_for
from apps.classification.services import save_data_class
from apps.console.forms import DataClassForm
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds, require, scope_for
from apps.core.http import Request
from apps.core.models import database_now
from apps.core.rules import as_cell
from apps.workflows.selectors.retention import COLUMNS, cells_of, kept_actions_for, kept_of, report_for

LISTED = 50


def _may_change(request: Request) -> bool:
    return scope_for(request.user, MANAGE).everywhere


@require_GET
def data_classes(request: Request) -> HttpResponse:
    """Every class, with what is kept of it in one's units."""
    if not (holds(request.user, READ) or holds(request.user, MANAGE)):
        raise NotAllowedError
    context = {"rows": report_for(request.user), "may_change": _may_change(request)}
    return render(request, "console/data_classes.html", context)


@require_GET
def export(request: Request) -> HttpResponse:
    """The report as CSV."""
    require(request.user, READ)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="data-classes.csv"'
    writer = csv.writer(answer)
    writer.writerow(COLUMNS)
    writer.writerows([as_cell(cell) for cell in cells_of(kept)] for kept in report_for(request.user))
    return answer


@require_http_methods(["GET", "POST"])
def new_data_class(request: Request) -> HttpResponse:
    """Make a class."""
    if not _may_change(request):
        raise NotAllowedError
    form = DataClassForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _saved(request, form, form.cleaned_data["slug"], is_new=True):
        return redirect("console:data-class", slug=form.cleaned_data["slug"])
    return render(request, "console/data_class_form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def data_class(request: Request, slug: str) -> HttpResponse:
    """One class: who sees it, what carries it, what is kept, and how to change it."""
    found = data_class_for(request.user, slug)
    form = DataClassForm(request.POST if request.method == "POST" else None, found=found)
    if form.is_valid() and _saved(request, form, slug, is_new=False):
        return redirect("console:data-class", slug=slug)
    rows = list(kept_actions_for(request.user, found)[: LISTED + 1])
    context = {
        "found": found,
        "kept": kept_of(request.user, found, now=database_now()),
        "actions": [(action, found.kept_until(action.finished_at)) for action in rows[:LISTED]],
        "has_more": len(rows) > LISTED,
        "form": form,
        "may_change": _may_change(request),
    }
    return render(request, "console/data_class.html", context, status=422 if form.errors else 200)


def _saved(request: Request, form: DataClassForm, slug: str, *, is_new: bool) -> bool:
    said = {name: value for name, value in form.cleaned_data.items() if name != "slug"}
    if is_new and DataClass.objects.filter(slug=slug).exists():
        form.refuse({"slug": [_("There is one with this short name already.")]})
        return False
    try:
        save_data_class(request.user, slug=slug, **said)
    except InvalidError as error:
        form.refuse(error.errors)
        return False
    messages.success(request, _("Saved. It acts on the next request."))
    return True
