"""What the system of record holds beside what is proposed: fetched when looked at, never in the way of a decision."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.connectors.services import read_on_file
from apps.core.differences import differences
from apps.core.errors import NotFoundError
from apps.core.http import Request, wants_fragment
from apps.oversight.selectors import escalation_for
from apps.oversight.selectors.sheets import ordered_values_for
from apps.oversight.selectors.veils import sight_of


@require_GET
def on_file(request: Request, escalation_id: UUID) -> HttpResponse:
    """On file, proposed, and when it was read; as a part of the item, or as a page of its own."""
    item = escalation_for(request.user, escalation_id)
    found = read_on_file(request.user, action=item.action, trail=item.trail) if item.action else None
    if found is None:
        raise NotFoundError
    proposed, notes = ordered_values_for(request.user, item)
    held = {name: found.values[name] for name in proposed if name in found.values} if found.values else {}
    sight = sight_of(request.user, item)
    rows = differences(sight.values(held), proposed, notes=notes)
    context = {
        "item": item,
        "found": found,
        "rows": rows,
        "differing": sum(row.had and row.kind != "same" for row in rows),
        "compared": len(held),
    }
    template = "oversight/detail/_on_file.html" if wants_fragment(request) else "oversight/on_file.html"
    return render(request, template, context)
