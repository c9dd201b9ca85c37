"""Workflows: which there are, what one does, its versions."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.core.gate import holds
from apps.core.http import Request
from apps.workflows import services
from apps.workflows.forms import RollbackForm
from apps.workflows.models import Workflow
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.definition import Definition
from apps.workflows.selectors import version_for, versions_for, workflow_for
from apps.workflows.selectors.drawings import Picture, kind_word, picture_for, zoom_of
from apps.workflows.selectors.overview import agents_of, workflow_lines_for


@require_GET
def workflows(request: Request) -> HttpResponse:
    """Every workflow that one may see, with the numbers of its runs."""
    return render(request, "workflows/workflows.html", {"lines": workflow_lines_for(request.user)})


@require_GET
def workflow(request: Request, slug: str) -> HttpResponse:
    """One workflow: its drawing, its steps, its versions; ``?version=`` shows an earlier one."""
    return _page(request, workflow_for(request.user, slug))


def _page(request: Request, row: Workflow, *, status: int = 200, form: RollbackForm | None = None) -> HttpResponse:
    asked = form.data.get("version", "") if form else request.GET.get("version", "")
    versions = list(versions_for(request.user, row)[:50])
    shown = next((version for version in versions if str(version.number) == asked), None)
    shown = shown or next((version for version in versions if version.pk == row.active_id), None)
    shown = shown or (versions[0] if versions else None)
    definition = definition_of_version(shown.pk) if shown else None
    steps = list(definition.steps.values()) if definition else []
    chosen = next((step for step in steps if step.name == request.GET.get("step")), None)
    context = {
        "workflow": row,
        "here": reverse("workflows:workflow", args=[row.slug]),
        "versions": versions,
        "shown": shown,
        "steps": [(step, kind_word(step.kind)) for step in steps],
        "chosen": chosen,
        "picture": _picture(request, definition, chosen.name if chosen else "") if definition else None,
        "source": version_for(request.user, row, shown.number).source if shown else "",
        "agents": agents_of(request.user, row),
        "may_publish": holds(request.user, "workflows.publish_workflow", row),
        "form": form,
    }
    return render(request, "workflows/workflow.html", context, status=status)


def _picture(request: Request, definition: Definition, chosen: str) -> Picture | None:
    return picture_for(request.user, definition, chosen=chosen, zoom=zoom_of(request.GET.get("zoom", "")))


@require_POST
def rollback(request: Request, slug: str) -> HttpResponse:
    """Put an earlier version back in force."""
    row = workflow_for(request.user, slug)
    form = RollbackForm(request.POST)
    if not form.is_valid():
        return _page(request, row, status=422, form=form)
    version = services.rollback_workflow(
        request.user, workflow=row, number=form.cleaned_data["version"], reason=form.cleaned_data["reason"]
    )
    messages.success(request, _("Version %d is in force. Open runs keep theirs.") % version.number)
    return redirect("workflows:workflow", slug=slug)
