"""Baselines and targets: what figures are held against."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import ConflictError, DomainError
from apps.core.gate import holds
from apps.core.http import Request
from apps.kpis import services
from apps.kpis.forms import BaselineForm, GoalForm, TargetForm
from apps.kpis.models import Baseline, Target
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.rules import Definition
from apps.kpis.rules.figures import value_text
from apps.kpis.selectors import baseline_for, baselines_for, target_for, targets_for
from apps.kpis.selectors.definitions import definitions_for
from apps.kpis.selectors.goals import correction_of, ended_baselines_for, waiting_for
from apps.kpis.selectors.kpis import holds_simulated_for
from apps.kpis.selectors.places import workflows_seen_for
from apps.kpis.selectors.standing import standing_filter_for, standings_for
from apps.kpis.services import delete_target, remove_baseline, save_baseline, save_target
from apps.kpis.services.baselines import PROPOSED
from apps.kpis.views.dashboards import span_of

MANAGE = "kpis.manage_target"
EARLIER = 100
"""So many versions that count no more are shown; the API has all."""


def _page(request: Request, *, status: int = 200, **forms: Any) -> HttpResponse:
    seen, known = workflows_seen_for(request.user), definitions_for(request.user)
    names, there = seen.names, seen.there
    behind, asked = waiting_for(request.user), standing_filter_for(request.user)
    was = list(baselines_for(request.user).order_by("workflow", "kpi", "valid_from"))
    aims = list(targets_for(request.user).order_by("workflow", "kpi"))
    now = standings_for(
        request.user, asked, {(row.workflow, row.kpi) for row in was} | {(row.workflow, row.kpi) for row in aims}
    )
    context = {
        "span": span_of(asked, database_now()),
        "simulated": holds_simulated_for(request.user, asked),
        "baselines": [
            {**_told_baseline(request, row, names, known), "counts": row.pk not in behind}
            | {"now": now.get((row.workflow, row.kpi))}
            for row in was
        ],
        "earlier": [_told(row, names, known) for row in ended_baselines_for(request.user)[:EARLIER]],
        "targets": [{**_told(row, names, known), "now": now.get((row.workflow, row.kpi))} for row in aims],
        "may_manage": holds(request.user, MANAGE),
        "baseline_form": BaselineForm(workflows=there, known=known, prefix="baseline"),
        "target_form": TargetForm(workflows=there, known=known, prefix="target"),
        **forms,
    }
    return render(request, "kpis/goals.html", context, status=status)


def _told(row: Baseline | Target, names: dict[str, str], known: dict[str, Definition]) -> dict[str, Any]:
    """A goal in words; what was said of a figure that is no more, by its name and number."""
    definition, where = known.get(row.kpi), names.get(row.workflow, row.workflow) or _("All workflows")
    if definition is None:
        return {"row": row, "workflow": where, "kpi": row.kpi, "value": f"{row.value.normalize():f}"}
    text = value_text(definition, float(row.value), reporting_currency())
    beside = float(getattr(row, "tolerance", 0))
    return {
        "row": row,
        "tolerance": value_text(definition, beside, reporting_currency()) if beside else "",
        "workflow": where,
        "kpi": _(definition.label),
        "value": _("%(value)s a day") % {"value": text} if definition.per_day else text,
    }


def _told_baseline(
    request: Request, row: Baseline, names: dict[str, str], known: dict[str, Definition]
) -> dict[str, Any]:
    """With what waits of it, and whether it is the reader who may not approve that."""
    correction = correction_of(request.user, row)
    entered = row.removal_by if row.removal_by_id else (correction or row).entered_by
    waits = bool(row.removal_by_id or correction or row.approved_at is None)
    return {
        **_told(row, names, known),
        "waits": waits,
        "number": (row if row.removal_by_id else correction or row).number,
        "is_own": waits and entered is not None and entered.pk == request.user.pk,
        "is_first": waits and (entered is None or not entered.is_human),
        "entered": entered,
        "correction": correction and _told(correction, names, known),
    }


@require_GET
def goals(request: Request) -> HttpResponse:
    """Every baseline and target."""
    return _page(request)


@require_POST
def set_baseline(request: Request) -> HttpResponse:
    """Say how a KPI was."""
    there, known = workflows_seen_for(request.user).there, definitions_for(request.user)
    form = BaselineForm(request.POST, workflows=there, known=known, prefix="baseline")
    return _set(request, form, "baseline_form", save_baseline)


@require_POST
def set_target(request: Request) -> HttpResponse:
    """Say how a KPI should be."""
    there, known = workflows_seen_for(request.user).there, definitions_for(request.user)
    form = TargetForm(request.POST, workflows=there, known=known, prefix="target")
    return _set(request, form, "target_form", save_target)


def _set(request: Request, form: GoalForm, name: str, save: Any) -> HttpResponse:
    if form.is_valid():
        try:
            _row, outcome = save(request.user, **form.cleaned_data)
        except DomainError as error:
            if error.status not in {409, 422}:
                raise
            for field, problems in error.errors.items():
                form.add_error(field if field in form.fields else None, problems)
            if not error.errors:
                form.add_error(None, str(error.message))
        else:
            said = _("Set. The dashboards hold against it from now on.")
            waits = _("It was approved before: the correction waits for somebody else.")
            messages.success(request, waits if outcome == PROPOSED else said)
            return redirect("kpis:goals")
    return _page(request, status=422, **{name: form})


@require_POST
def remove_goal(request: Request, kind: str, slug: str) -> HttpResponse:
    """Remove a baseline or a target, or ask somebody else to where it is approved; the ledger keeps what it said."""
    is_gone = True
    if kind == "baselines":
        is_gone = remove_baseline(request.user, slug=baseline_for(request.user, slug).slug)
    else:
        delete_target(request.user, target=target_for(request.user, slug))
    gone, asked = _("Removed. The ledger keeps what it said."), _("It was approved: somebody else has to remove it.")
    messages.success(request, gone if is_gone else asked)
    return redirect("kpis:goals")


@require_POST
def approve_baseline(request: Request, slug: str) -> HttpResponse:
    """Approve a baseline that somebody else entered, its correction, or that it is removed."""
    seen = request.POST.get("number", "")
    approve = partial(services.approve_baseline, number=int(seen[:9]) if seen.isascii() and seen.isdigit() else 0)
    first = _("A system had entered or asked for it: now you answer for it, and somebody else has to approve it.")
    return _answered(request, approve, slug, _("Approved."), first=first)


@require_POST
def decline_baseline(request: Request, slug: str) -> HttpResponse:
    """Leave an approved baseline as it is."""
    return _answered(request, services.decline_baseline, slug, _("Declined. It stays as it is."))


def _answered(request: Request, answer: Any, slug: str, said: str, first: str = "") -> HttpResponse:
    """``first``: what is said instead where the reader is the first of two."""
    try:
        row = answer(request.user, slug=baseline_for(request.user, slug).slug)
    except ConflictError as error:
        messages.error(request, str(error.message))
    else:
        is_first = first and request.user in ({row.removal_by} if row.removal_by_id else {row.entered_by})
        messages.success(request, first if is_first else said)
    return redirect("kpis:goals")
