"""Budgets: what is left of each, how they are made, changed and ended, and what waits for a second person."""

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.access.selectors import queues_near_for
from apps.console import selectors
from apps.console.forms import BudgetForm
from apps.console.views.answers import answered
from apps.core.errors import InvalidError, NotFoundError
from apps.core.gate import holds, require
from apps.core.http import Request
from apps.policies.models import Budget
from apps.policies.rules import ProposalState
from apps.policies.rules.budgets import BudgetScope
from apps.policies.selectors.budgets import (
    budget_for,
    budgets_for,
    change_for,
    may_release_change,
    open_changes_for,
    releasers_of,
    returnable_for,
    used_of,
    waiting_of,
)
from apps.policies.services.budgets import PROPOSED, end_budget, return_spent, save_budget
from apps.policies.services.changes import decline_change, release_change

SHOWN_MAX = 50
VIEW, CHANGE = "policies.view_policy", "policies.publish_policy"
SAVED_WORDS = gettext_lazy("Saved. It counts from the next request on.")
PROPOSED_WORDS = gettext_lazy("Proposed. It lets more through, so nothing changes until somebody else has released it.")


@require_GET
def budgets(request: Request) -> HttpResponse:
    """Every budget, with what of its present day or month is used."""
    require(request.user, VIEW)
    found = list(budgets_for(request.user))
    used = used_of(found)
    changes = open_changes_for(request.user, found)
    rows = [
        (budget, used[budget.pk], used[budget.pk].spent + used[budget.pk].reserved, changes[budget.pk])
        for budget in found
    ]
    return render(request, "console/budgets.html", {"rows": rows, "may_change": holds(request.user, CHANGE)})


@require_http_methods(["GET", "POST"])
def new_budget(request: Request) -> HttpResponse:
    """Make a budget."""
    require(request.user, CHANGE)
    form = _form(request)
    if form.is_valid() and (slug := _made(request, form)):
        messages.success(request, SAVED_WORDS)
        return redirect("console:budget", slug=slug)
    return render(request, "console/budget_form.html", {"form": form}, status=422 if form.errors else 200)


def _form(request: Request, found: Budget | None = None) -> BudgetForm:
    queues = queues_near_for(request.user, CHANGE)
    targets = [] if found else selectors.nameable_for(request.user, BudgetScope)
    data = request.POST if request.method == "POST" else None
    return BudgetForm(data, queues=queues, targets=targets, budget=found)


def _made(request: Request, form: BudgetForm) -> str:
    said = form.cleaned_data
    if Budget.objects.filter(slug=said["slug"]).exists():
        form.refuse({"slug": [_("There is one with this short name already.")]})
        return ""
    about = {name: said[name] for name in ("slug", "name", "scope", "target", "owner")}
    try:
        unit = selectors.halt_target_for(request.user, said["scope"], said["target"], perm=CHANGE)
        return save_budget(request.user, unit=unit, terms=form.terms(), **about)[0].slug
    except NotFoundError:
        form.refuse({"target": [_("There is none with this short name.")]})
    except InvalidError as error:
        form.refuse(error.errors)
    return ""


@require_http_methods(["GET", "POST"])
def budget(request: Request, slug: str) -> HttpResponse:
    """One budget: what is used, and how to change it."""
    found = budget_for(request.user, slug)
    form = _form(request, found)
    if form.is_valid():
        said = form.cleaned_data
        about = {"slug": slug, "scope": found.scope, "target": found.target}
        about["name"], owner = said["name"], said["owner"]
        try:
            about["reason"] = said["reason"]
            outcome = save_budget(request.user, unit=found.unit, owner=owner, terms=form.terms(), **about)[1]
        except InvalidError as error:
            form.refuse(error.errors)
        else:
            messages.success(request, PROPOSED_WORDS if outcome == PROPOSED else SAVED_WORDS)
            return redirect("console:budget", slug=slug)
    return _page(request, found, form=form, status=422 if form.errors else 200)


def _page(
    request: Request, found: Budget, *, form: BudgetForm | None = None, status: int = 200, **refused: object
) -> HttpResponse:
    may_change = holds(request.user, CHANGE, found) if found.unit else holds(request.user, CHANGE)
    used = used_of([found])[found.pk]
    form = form or BudgetForm(queues=queues_near_for(request.user, CHANGE), budget=found)
    context = {"budget": found, "used": used, "taken": used.spent + used.reserved, "form": form, **refused}
    context["waiting"] = waiting_of(request.user, {found.pk: used})[found.pk]
    context["left"] = max(found.cap - used.spent - used.reserved, 0)
    context["changes"] = [
        (change, may_release_change(request.user, change), releasers_of(request.user, change))
        for change in open_changes_for(request.user, [found])[found.pk]
    ]
    if may_change:
        context["at_word"] = returnable_for(request.user, found).exclude(changes__state=ProposalState.OPEN)[:SHOWN_MAX]
    return render(request, "console/budget.html", {**context, "may_change": may_change}, status=status)


@require_POST
def end(request: Request, slug: str) -> HttpResponse:
    """Propose to count no more under a budget."""
    found = budget_for(request.user, slug)
    reason = request.POST.get("reason", "")
    return answered(
        request,
        "console:budget",
        slug,
        lambda: end_budget(request.user, budget=found, reason=reason),
        str(PROPOSED_WORDS),
        show=partial(_page, request, found),
        at="id_end",
    )


@require_POST
def give_back(request: Request, slug: str, action_id: UUID) -> HttpResponse:
    """Propose that what an agent says has failed counts as spent no more."""
    found = budget_for(request.user, slug)
    reason = request.POST.get("reason", "")
    return answered(
        request,
        "console:budget",
        slug,
        lambda: return_spent(request.user, budget=found, action_id=action_id, reason=reason),
        str(PROPOSED_WORDS),
        show=partial(_page, request, found),
        at="why-",
        of=action_id,
    )


@require_POST
def release(request: Request, slug: str, change_id: UUID) -> HttpResponse:
    """Let what somebody else proposed act."""
    found = change_for(request.user, slug, change_id)
    said = _("Released. It acts on the next request.")
    show = partial(_page, request, found.budget)
    answer = answered(
        request, "console:budget", slug, lambda: release_change(request.user, change=found), said, show=show
    )
    return redirect("console:budgets") if budgets_for(request.user).filter(slug=slug).first() is None else answer


@require_POST
def decline(request: Request, slug: str, change_id: UUID) -> HttpResponse:
    """End what was proposed without a release."""
    found = change_for(request.user, slug, change_id)
    reason = request.POST.get("reason", "")
    said = _("Declined. The budget stays as it is.")
    return answered(
        request,
        "console:budget",
        slug,
        lambda: decline_change(request.user, change=found, reason=reason),
        said,
        show=partial(_page, request, found.budget),
        at="id_decline-",
        of=found.pk,
    )
