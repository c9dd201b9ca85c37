"""Who holds what and why; giving and taking roles."""

from collections import defaultdict
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.access.selectors import (
    grant_for,
    grants_for,
    people_for,
    person_for,
    queues_for,
    roles_for,
    rotas_for,
    units_for,
)
from apps.access.services import grant_role, revoke_role
from apps.console import selectors
from apps.console.forms import AbsenceForm, GrantRoleForm, RevokeRoleForm
from apps.console.views.absences import absences_context, planned
from apps.core.errors import NotAllowedError
from apps.core.gate import holds, scope_for
from apps.core.http import Request
from apps.core.models import User
from apps.core.pages import page_of

PERM = "access.manage_access"
SHOWN_PEOPLE, STATES = 50, ("active", "left")


@require_GET
def access(request: Request) -> HttpResponse:
    """People, roles, units and queues."""
    if not holds(request.user, PERM):
        raise NotAllowedError
    roles = roles_for(request.user)
    asked = {name: request.GET.get(name, "").strip() for name in ("q", "role", "state")}
    page = page_of(request, _fitting(request, asked), order=("username",), size=SHOWN_PEOPLE)
    held = defaultdict(list)
    for grant in grants_for(request.user).filter(user__in=page.rows):
        held[grant.user_id].append(grant)
    context = {
        "page": page,
        "people": [(person, held[person.pk]) for person in page.rows],
        "asked": asked,
        "filtered": any(asked.values()),
        "roles": roles,
        "units": units_for(request.user),
        "queues": queues_for(request.user),
        "may_make": scope_for(request.user, PERM).everywhere,
        "rota_slugs": set(rotas_for(request.user).values_list("slug", flat=True)),
    }
    return render(request, "console/access.html", context)


def _fitting(request: Request, asked: dict[str, str]) -> QuerySet[User]:
    """The people whom the address asks for; what it names and there is not narrows nothing but a role."""
    rows = people_for(request.user)
    if asked["q"]:
        words = Q(username__icontains=asked["q"]) | Q(name__icontains=asked["q"]) | Q(email__icontains=asked["q"])
        rows = rows.filter(words)
    if asked["role"]:
        rows = rows.filter(pk__in=grants_for(request.user).filter(role__slug=asked["role"]).values("user"))
    if asked["state"] in STATES:
        rows = rows.filter(is_active=asked["state"] == "active")
    return rows


@require_GET
def roles(request: Request) -> HttpResponse:
    """Which role may do what, in one table, and who holds it."""
    if not holds(request.user, PERM):
        raise NotAllowedError
    matrix = selectors.role_matrix_for(request.user)
    everywhere = scope_for(request.user, PERM).everywhere
    return render(request, "console/roles.html", {"matrix": matrix, "everywhere": everywhere})


def _person(
    request: Request,
    username: str,
    *,
    form: GrantRoleForm | None = None,
    absence_form: AbsenceForm | None = None,
    take_form: RevokeRoleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    person = person_for(request.user, username)
    context = {
        "person": person,
        "grants": grants_for(request.user).filter(user=person),
        "rights": selectors.rights_of(request.user, person),
        "form": form or _form(request),
        "take_form": take_form,
        "may_plan": scope_for(request.user, PERM).everywhere,
        **absences_context(request, person, form=absence_form),
    }
    return render(request, "console/person.html", context, status=status)


def _form(request: Request, *bound: object) -> GrantRoleForm:
    return GrantRoleForm(*bound, roles=roles_for(request.user), units=units_for(request.user))


@require_GET
def person(request: Request, username: str) -> HttpResponse:
    """One person: what they hold, and why each right is theirs."""
    return _person(request, username)


@require_POST
def plan(request: Request, username: str) -> HttpResponse:
    """Say that somebody else is away."""
    form = planned(request, person_for(request.user, username))
    if form is None:
        return redirect("console:person", username=username)
    return _person(request, username, absence_form=form, status=422)


@require_POST
def give(request: Request, username: str) -> HttpResponse:
    """Give a role."""
    holder = person_for(request.user, username)
    form = _form(request, request.POST)
    if not form.is_valid():
        return _person(request, username, form=form, status=422)
    asked = form.cleaned_data
    grant_role(request.user, user=holder, role=asked["role"], unit=asked["unit"], until=asked["until"])
    messages.success(request, _("Granted. It holds from their next request on."))
    return redirect("console:person", username=username)


@require_POST
def take(request: Request, grant_id: UUID) -> HttpResponse:
    """Take a role away."""
    grant = grant_for(request.user, grant_id)
    form = RevokeRoleForm(request.POST, auto_id=f"why-{grant.pk}-%s")
    if not form.is_valid():
        return _person(request, grant.user.username, status=422, take_form=form)
    revoke_role(request.user, grant=grant, reason=form.cleaned_data["reason"])
    messages.success(request, _("Revoked. It is gone from their next request on."))
    return redirect("console:person", username=grant.user.username)
