"""Drills: what is announced, and turning them on and off."""

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.access.models import Queue
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import holds
from apps.core.http import Request
from apps.oversight import services
from apps.oversight.forms import DrillForm
from apps.oversight.models import DrillPlan
from apps.oversight.selectors import drill_plan_of, drill_plans_for, drill_queues_for, own_drills_for

UNFIT = 422


@require_GET
def drills(request: Request) -> HttpResponse:
    """What drills are, where they are among one's own items, and for those who may: where they are turned on."""
    return _page(request, {})


@require_POST
def plan_drills(request: Request, queue: str) -> HttpResponse:
    """Announce drills in a queue, or change what was announced."""
    found = _queue(request, queue)
    form = DrillForm(request.POST, prefix=found.slug)
    if form.is_valid():
        try:
            services.plan_drills(request.user, queue=found, **form.cleaned_data)
        except InvalidError as error:
            form.place(error.errors)
        else:
            messages.success(request, _("Announced. The first drill comes a day from now at the earliest."))
            return redirect("oversight:drills")
    return _page(request, {found.slug: form}, status=UNFIT)


@require_POST
def end_drills(request: Request, queue: str) -> HttpResponse:
    """Turn them off; those that wait are gone at once."""
    try:
        services.end_drills(request.user, queue=_queue(request, queue))
    except ConflictError as error:
        messages.info(request, str(error.message))
    else:
        messages.success(request, _("Turned off. What waited of them is gone."))
    return redirect("oversight:drills")


def _queue(request: Request, slug: str) -> Queue:
    if found := drill_queues_for(request.user).filter(slug=slug).first():
        return found
    raise NotFoundError


def _page(request: Request, typed: dict[str, DrillForm], status: int = 200) -> HttpResponse:
    managed = []
    for queue in drill_queues_for(request.user):
        plan = drill_plan_of(queue)
        managed.append((queue, plan, typed.get(queue.slug) or _form(queue, plan)))
    context = {
        "mine": drill_plans_for(request.user),
        "own": own_drills_for(request.user, Q()),
        "shows_results": holds(request.user, "kpis.view_kpi"),
        "managed": managed,
    }
    return render(request, "oversight/drills.html", context, status=status)


def _form(queue: Queue, plan: DrillPlan | None) -> DrillForm:
    said = {name: getattr(plan, name) for name in ("per_week", "announcement", "critical")} if plan else None
    return DrillForm(prefix=queue.slug, initial=said)
