"""What was seen: the evidence a person opens, and the view that a vote was cast on."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import NotFoundError
from apps.core.http import Request, wants_fragment
from apps.oversight import services
from apps.oversight.selectors import escalation_for, evidence_for, seen_for
from apps.oversight.views.detail import query_of


@require_GET
def seen(request: Request, escalation_id: UUID, vote_id: UUID) -> HttpResponse:
    """What somebody had before them when they voted."""
    item = escalation_for(request.user, escalation_id)
    found = seen_for(request.user, item, vote_id)
    return render(request, "oversight/seen.html", {"item": item, "seen": found, "vote": found.vote})


@require_POST
def evidence(request: Request, escalation_id: UUID) -> HttpResponse:
    """Open a piece of evidence; that one did is noted. Without script: the item again, the piece open in it."""
    digest = request.POST.get("digest", "")
    services.view_evidence(request.user, escalation_id=escalation_id, digest=digest)
    item = escalation_for(request.user, escalation_id)
    piece = next((piece for piece in evidence_for(request.user, item) if piece.digest == digest), None)
    if piece is None:
        raise NotFoundError
    if wants_fragment(request):
        context = {"item": item, "piece": piece, "is_open": True}
        return render(request, "oversight/detail/_piece.html", context)
    query = query_of(request)
    address = f"{reverse('oversight:item', args=[item.pk])}{query}{'&' if query else '?'}piece={piece.short}"
    return redirect(f"{address}#piece-{piece.short}")
