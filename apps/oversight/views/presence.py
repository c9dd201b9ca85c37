"""Who else looks at an item."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from apps.core.errors import NotFoundError
from apps.core.http import Request
from apps.core.presence import beat
from apps.oversight.selectors import people_for, require_shown

SHOWN = 3


@require_POST
def presence(request: Request, escalation_id: UUID) -> HttpResponse:
    """A heartbeat of an open item: the others who look at it; 204 where they are the same as before.

    A page that was left open while its person lost the right is told to ask no more: the element that asks is removed.
    """
    try:
        require_shown(request.user, escalation_id)
    except NotFoundError:
        if not request.htmx:
            raise
        return HttpResponse(headers={"HX-Reswap": "delete"})
    keys = [key for key in beat(request.user, f"item:{escalation_id}") if key != str(request.user.pk)]
    names = sorted(str(person) for person in people_for(request.user, keys)) if keys else []
    known = ",".join(names)
    if known == request.POST.get("known", ""):
        return HttpResponse(status=204)
    context = {"names": names[:SHOWN], "more": len(names) - SHOWN, "known": known}
    return render(request, "oversight/_presence.html", context)
