"""Which groups of a directory hold which role: listed, made, changed, ended; who gains and loses is said first."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from apps.access.models import GroupMapping
from apps.access.selectors import roles_for, units_for
from apps.access.selectors.mappings import (
    Change,
    Follows,
    consequences_of,
    known_groups_for,
    mapping_for,
    mappings_for,
    people_in_groups_for,
    sees_whole_groups,
)
from apps.access.services.directory import remove_mapping, save_mapping
from apps.console.forms import GroupMappingForm
from apps.core.errors import ConflictError
from apps.core.gate import require, scope_for
from apps.core.http import Request
from apps.core.rules import digest_of

PERM = "access.manage_access"


@require_GET
def mappings(request: Request) -> HttpResponse:
    """Every mapping, with how many are in its group; and the groups that grant nothing."""
    require(request.user, PERM)
    rows = list(mappings_for(request.user))
    people = people_in_groups_for(request.user, (row.group for row in rows))
    mapped = {row.group for row in rows}
    context = {
        "mappings": [(row, people.get(row.group)) for row in rows],
        "is_whole": sees_whole_groups(request.user),
        "idle": [(name, count) for name, count in known_groups_for(request.user) if name not in mapped],
    }
    return render(request, "console/mappings.html", context)


@require_http_methods(["GET", "POST"])
def new_mapping(request: Request) -> HttpResponse:
    """Say that a group holds a role."""
    require(request.user, PERM)
    return _edited(request, None)


@require_http_methods(["GET", "POST"])
def mapping(request: Request, slug: str) -> HttpResponse:
    """Change one."""
    return _edited(request, mapping_for(request.user, slug))


def _edited(request: Request, found: GroupMapping | None) -> HttpResponse:
    if request.method == "GET":
        return _page(request, found, _form(request, found))
    form = _form(request, found, request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    change = Change(**form.cleaned_data)
    others = GroupMapping.objects.filter(group=change.group, role=change.role, unit=change.unit)
    if others.exclude(pk__in=[found.pk] if found else []).exists():
        form.add_error(None, _("This group holds this role there already."))
        return _page(request, found, form, status=422)
    gains, losses = consequences_of(request.user, mapping=found, change=change)
    seen = _digest(gains, losses, change)
    if request.POST.get("seen") != seen:  # nobody has read yet what follows, or it has changed since
        return _page(request, found, form, change=change, gains=gains, losses=losses, seen=seen)
    try:
        save_mapping(
            request.user,
            slug=found.slug if found else _slug_of(change),
            group=change.group,
            role=change.role,
            unit=change.unit,
            is_new=found is None,
        )
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, found, form, status=error.status)
    messages.success(request, _("Saved. Who gained and who lost a role stands in the audit trail."))
    return redirect("console:group-mappings")


def _form(request: Request, found: GroupMapping | None, *bound: Any) -> GroupMappingForm:
    initial = {"group": request.GET.get("group", "")[:200]}
    if found:
        initial = {"group": found.group, "role": found.role.slug, "unit": found.unit.slug if found.unit else ""}
    everywhere = scope_for(request.user, PERM).everywhere
    roles, units = roles_for(request.user), units_for(request.user)
    return GroupMappingForm(*bound, initial=initial, roles=roles, units=units, everywhere=everywhere)


def _page(
    request: Request, found: GroupMapping | None, form: GroupMappingForm, *, status: int = 200, **follows: Any
) -> HttpResponse:
    change: Change | None = follows.get("change")
    groups = known_groups_for(request.user)
    unknown = change is not None and change.group not in people_in_groups_for(request.user, [change.group])
    about = {"groups": groups, "is_unknown": unknown, "is_whole": sees_whole_groups(request.user)}
    context = {"mapping": found, "form": form, **about, **follows}
    return render(request, "console/mapping_form.html", context, status=status)


def _digest(gains: list[Follows], losses: list[Follows], change: Change | None) -> str:
    """What somebody has read, so that nothing else is saved."""
    told = [[[one.person.username, *_where(one)] for one in follows] for follows in (gains, losses)]
    return str(digest_of([told, change and [change.group, *_where(change)]]))


def _where(one: Follows | Change) -> list[str]:
    return [one.role.slug, one.unit.slug if one.unit else ""]


def _slug_of(change: Change) -> str:
    """A name for documents, from the group and the role, that no other mapping has."""
    base = slugify(f"{change.group} {change.role.slug}")[:55].strip("-") or "group"
    taken = set(GroupMapping.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (base, *numbered) if slug not in taken)


@require_http_methods(["GET", "POST"])
def end_mapping(request: Request, slug: str) -> HttpResponse:
    """What ending one means, and for whom; sent: it is gone."""
    found = mapping_for(request.user, slug)
    gains, losses = consequences_of(request.user, mapping=found, change=None)
    seen = _digest(gains, losses, None)
    if request.method == "POST" and request.POST.get("seen") == seen:
        remove_mapping(request.user, mapping=found)
        messages.success(request, _("Ended. Who lost a role stands in the audit trail."))
        return redirect("console:group-mappings")
    context = {"mapping": found, "losses": losses, "seen": seen, "is_whole": sees_whole_groups(request.user)}
    return render(request, "console/mapping_end.html", context)
