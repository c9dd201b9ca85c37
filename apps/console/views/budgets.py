"""Budgets: what is left of each, and how they are made, changed and ended."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console import selectors
from apps.console.forms import BudgetForm
from apps.core.errors import InvalidError, NotFoundError
from apps.core.gate import holds, require
from apps.core.http import Request
from apps.policies.models import Budget
from apps.policies.selectors.budgets import budget_for, budgets_for, used_of
from apps.policies.services.budgets import end_budget, save_budget

VIEW, CHANGE = "policies.view_policy", "policies.publish_policy"


@require_GET
def budgets(request: Request) -> HttpResponse:
    """Every budget, with what of its present day or month is used."""
    require(request.user, VIEW)
    found = list(budgets_for(request.user))
    used = used_of(found)
    rows = [(budget, used[budget.pk], used[budget.pk].spent + used[budget.pk].reserved) for budget in found]
    return render(request, "console/budgets.html", {"rows": rows, "may_change": holds(request.user, CHANGE)})


@require_http_methods(["GET", "POST"])
def new_budget(request: Request) -> HttpResponse:
    """Make a budget."""
    require(request.user, CHANGE)
    form = BudgetForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and (slug := _made(request, form)):
        messages.success(request, _("Saved. It counts from the next request on."))
        return redirect("console:budget", slug=slug)
    return render(request, "console/budget_form.html", {"form": form}, status=422 if form.errors else 200)


def _made(request: Request, form: BudgetForm) -> str:
    said = form.cleaned_data
    if Budget.objects.filter(slug=said["slug"]).exists():
        form.refuse({"slug": [_("There is one with this short name already.")]})
        return ""
    about = {name: said[name] for name in ("slug", "name", "scope", "target", "owner")}
    try:
        unit = selectors.halt_target_for(request.user, said["scope"], said["target"])
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
    may_change = holds(request.user, CHANGE, found) if found.unit else holds(request.user, CHANGE)
    form = BudgetForm(request.POST if request.method == "POST" else None, budget=found)
    if form.is_valid():
        said = form.cleaned_data
        about = {"slug": slug, "scope": found.scope, "target": found.target}
        about["name"], owner = said["name"], said["owner"]
        try:
            save_budget(request.user, unit=found.unit, owner=owner, terms=form.terms(), **about)
        except InvalidError as error:
            form.refuse(error.errors)
        else:
            messages.success(request, _("Saved. It counts from the next request on."))
            return redirect("console:budget", slug=slug)
    used = used_of([found])[found.pk]
    context = {"budget": found, "used": used, "taken": used.spent + used.reserved, "form": form}
    context["left"] = max(found.cap - used.spent - used.reserved, 0)
    return render(
        request, "console/budget.html", {**context, "may_change": may_change}, status=422 if form.errors else 200
    )


@require_POST
def end(request: Request, slug: str) -> HttpResponse:
    """Count no more under a budget."""
    end_budget(request.user, budget=budget_for(request.user, slug))
    messages.success(request, _("Ended. It stops nothing any more."))
    return redirect("console:budgets")
