"""Who may do what, and why."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.access.rules import PERMISSIONS
from apps.access.selectors import units_for
from apps.console.selectors.who import OBJECTS, askable_for, asked_for, who_may_for
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request

PERM = "access.manage_access"
PLACES = ("unit", "operation", "workflow")


@require_GET
def who(request: Request) -> HttpResponse:
    """Everybody who holds a permission somewhere; the question is in the address."""
    if not holds(request.user, PERM):
        raise NotAllowedError
    given = {name: request.GET.get(name, "").strip() for name in ("permission", *PLACES)}
    context = {
        "given": given,
        "permissions": PERMISSIONS.items(),
        "units": units_for(request.user),
        "on_objects": sorted(OBJECTS),
        **askable_for(request.user),
    }
    if not given["permission"]:
        return render(request, "console/who.html", context)
    try:
        asked = asked_for(request.user, **given)
    except InvalidError as error:
        refused = " ".join(text for texts in error.errors.values() for text in texts)
        return render(request, "console/who.html", {**context, "refused": refused}, status=error.status)
    return render(request, "console/who.html", {**context, "asked": asked, "found": who_may_for(request.user, asked)})
