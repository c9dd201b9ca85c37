"""Baselines and targets: what figures are held against."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import DomainError
from apps.core.gate import holds
from apps.core.http import Request
from apps.kpis.forms import BaselineForm, GoalForm, TargetForm
from apps.kpis.models import Baseline, Target
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.figures import value_text
from apps.kpis.selectors import baseline_for, baselines_for, target_for, targets_for
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.services import delete_goal, save_baseline, save_target

MANAGE = "kpis.manage_target"


def _page(request: Request, *, status: int = 200, **forms: Any) -> HttpResponse:
    names = workflows_for(request.user)
    context = {
        "baselines": [
            _told(row, names) for row in baselines_for(request.user).order_by("workflow", "kpi", "valid_from")
        ],
        "targets": [_told(row, names) for row in targets_for(request.user).order_by("workflow", "kpi")],
        "may_manage": holds(request.user, MANAGE),
        "baseline_form": BaselineForm(workflows=names, prefix="baseline"),
        "target_form": TargetForm(workflows=names, prefix="target"),
        **forms,
    }
    return render(request, "kpis/goals.html", context, status=status)


def _told(row: Baseline | Target, names: dict[str, str]) -> dict[str, Any]:
    definition = DEFINITIONS[row.kpi]
    text = value_text(definition, float(row.value), reporting_currency())
    return {
        "row": row,
        "workflow": names.get(row.workflow, row.workflow) or _("All workflows"),
        "kpi": _(definition.label),
        "value": _("%(value)s a day") % {"value": text} if definition.per_day else text,
    }


@require_GET
def goals(request: Request) -> HttpResponse:
    """Every baseline and target."""
    return _page(request)


@require_POST
def set_baseline(request: Request) -> HttpResponse:
    """Say how a KPI was."""
    form = BaselineForm(request.POST, workflows=workflows_for(request.user), prefix="baseline")
    return _set(request, form, "baseline_form", save_baseline)


@require_POST
def set_target(request: Request) -> HttpResponse:
    """Say how a KPI should be."""
    form = TargetForm(request.POST, workflows=workflows_for(request.user), prefix="target")
    return _set(request, form, "target_form", save_target)


def _set(request: Request, form: GoalForm, name: str, save: Any) -> HttpResponse:
    if form.is_valid():
        try:
            save(request.user, **form.cleaned_data)
        except DomainError as error:
            if error.status not in {409, 422}:
                raise
            form.add_error(None, str(error.message))
        else:
            messages.success(request, _("Set. The dashboards hold against it from now on."))
            return redirect("kpis:goals")
    return _page(request, status=422, **{name: form})


@require_POST
def remove_goal(request: Request, kind: str, slug: str) -> HttpResponse:
    """Remove a baseline or a target; the ledger keeps what it said."""
    goal: Baseline | Target = (
        baseline_for(request.user, slug) if kind == "baselines" else target_for(request.user, slug)
    )
    delete_goal(request.user, goal=goal)
    messages.success(request, _("Removed. The ledger keeps what it said."))
    return redirect("kpis:goals")
