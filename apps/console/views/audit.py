"""Searching the ledger, and one entry with its whole trail."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.agents.selectors import tried_trails_for
from apps.audit.selectors import entries_for, entry_for, seal_of, trail_for
from apps.console.forms import AuditFilterForm, NotedRootForm
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds, scope_for
from apps.core.http import Request, wants_fragment

PAGE = 50


@require_GET
def audit(request: Request) -> HttpResponse:
    """Entries, newest first; all filters are in the address."""
    if not holds(request.user, "audit.view_entry"):
        raise NotAllowedError
    form = AuditFilterForm(request.GET or None)
    asked = form.cleaned_data if form.is_bound and form.is_valid() else {}
    rows = entries_for(
        request.user,
        trail=asked.get("trail"),
        actor_name=asked.get("actor", ""),
        subject=asked.get("subject", ""),
        name=asked.get("name", ""),
        since=asked.get("since"),
        until=asked.get("until"),
    )
    if form.is_bound and form.errors:
        rows = rows.none()  # entries that nobody asked for would look like an answer
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit():
        rows = rows.filter(pk__lt=int(before[:18]))
    found = list(rows[: PAGE + 1])
    entries = found[:PAGE]
    following = entries[-1].pk if len(found) > PAGE else None
    context = {
        "form": form,
        "entries": entries,
        "following": following,
        "tried": tried_trails_for(request.user, {entry.trail_id for entry in entries}),
        "filtered": any(asked.values()) or bool(form.errors),
        "may_erase": holds(request.user, "audit.erase_payload"),
    }
    status = 422 if form.is_bound and form.errors else 200
    template = "console/_entries.html" if wants_fragment(request) else "console/audit.html"
    return render(request, template, context, status=status)


@require_GET
def entry(request: Request, entry_id: int) -> HttpResponse:
    """One entry, and everything that happened on its trail."""
    found = entry_for(request.user, entry_id)
    form = NotedRootForm(request.GET if "size" in request.GET or "root" in request.GET else None)
    noted = form.cleaned_data if form.is_bound and form.is_valid() else {}
    try:
        seal = seal_of(request.user, found, in_tree=request.GET.get("seal") == "check", **noted)
    except InvalidError as error:
        form.add_error("size", str(error.errors["size"][0]))
        seal = seal_of(request.user, found)
    context = {
        "seal": seal,
        "noted_form": form,
        "reads_all": scope_for(request.user, "audit.view_entry").everywhere,
        "entry": found,
        "commitment": bytes(found.commitment).hex(),
        "trail": trail_for(request.user, found.trail_id),
        "is_test": bool(tried_trails_for(request.user, [found.trail_id])),
        "may_erase": holds(request.user, "audit.erase_payload"),
    }
    return render(request, "console/entry.html", context, status=422 if form.is_bound and form.errors else 200)
