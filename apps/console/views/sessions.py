"""Where a person is signed in, what happened to their account lately, and ending sessions."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from apps.access.selectors import person_for, sessions_for
from apps.access.services import end_other_sessions, end_session, end_sessions_of
from apps.audit.selectors import own_account_entries_for
from apps.core.http import Request


def _here(request: Request) -> UUID | None:
    row = request.session.row  # type: ignore[attr-defined] # access.sessions keeps it
    return row.ref if row else None


@require_GET
def sessions(request: Request) -> HttpResponse:
    """One's sessions, this one first named, and what the ledger says of one's account."""
    context = {
        "sessions": sessions_for(request.user),
        "here": _here(request),
        "entries": own_account_entries_for(request.user),
    }
    return render(request, "console/sessions.html", context)


@require_POST
def end(request: Request, ref: UUID) -> HttpResponse:
    """Sign out in one browser; in this one, that is to sign out."""
    end_session(request.user, ref=ref)
    messages.success(request, _("Signed out there."))
    return redirect("console:own-sessions")


@require_POST
def end_others(request: Request) -> HttpResponse:
    """Sign out everywhere else."""
    ended = end_other_sessions(request.user, but=_here(request))
    messages.success(request, _said(ended))
    return redirect("console:own-sessions")


@require_POST
def end_of(request: Request, username: str) -> HttpResponse:
    """Sign somebody out everywhere."""
    ended = end_sessions_of(request.user, user=person_for(request.user, username))
    messages.success(request, _said(ended))
    return redirect("console:person", username=username)


def _said(ended: int) -> str:
    return ngettext("%d session ended.", "%d sessions ended.", ended) % ended
