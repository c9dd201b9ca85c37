"""Trying what is proposed without effect: when looked at, never in the way of a decision."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.connectors.services import try_out
from apps.core.errors import NotFoundError
from apps.core.http import Request, wants_fragment
from apps.oversight.selectors import escalation_for


@require_GET
def dry_run(request: Request, escalation_id: UUID) -> HttpResponse:
    """What the system says of it, and when; as a part of the item, or as a page of its own."""
    item = escalation_for(request.user, escalation_id)
    tried = try_out(request.user, action=item.action, trail=item.trail) if item.action else None
    if tried is None:
        raise NotFoundError
    template = "oversight/detail/_dry_run.html" if wants_fragment(request) else "oversight/dry_run.html"
    return render(request, template, {"item": item, "tried": tried})
