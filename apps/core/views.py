"""The style guide and the place where browsers report what our policy stopped."""

from datetime import timedelta

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.csrf import csrf_failure
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.core import samples
from apps.core.errors import NotAllowedError
from apps.core.noting import note_stranger
from apps.core.rules import Risk

log = structlog.get_logger(__name__)

MAX_REPORT_BYTES = 4_096


@csrf_exempt
@login_not_required
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """A page wanted something that it may not have: one line in the log, bounded and never shown."""
    log.warning("csp_violation", report=request.body[:MAX_REPORT_BYTES].decode("utf-8", "replace"))
    return HttpResponse(status=204)


def not_from_here(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that no page of ours sent, or an old one: 403, and a line in the ledger.

    Another site can have it sent as often as it likes, by whoever looks at it: so the line is a stranger's.
    """
    note_stranger(request, NotAllowedError(code="csrf_failed"))
    return csrf_failure(request, reason)


@login_not_required
@require_GET
def styleguide(request: HttpRequest) -> HttpResponse:
    """Every component in every state; also what the visual tests photograph."""
    now = timezone.now()
    return render(
        request,
        "core/styleguide.html",
        {
            "risks": list(Risk),
            "states": samples.STATES,
            "fates": samples.FATES,
            "tokens": samples.TOKENS,
            "before": samples.BEFORE,
            "after": samples.AFTER,
            "agent_words": samples.AGENT_WORDS,
            "figure": samples.FIGURE,
            "soon": now + timedelta(minutes=12),
            "later": now + timedelta(hours=3, minutes=40),
            "past": now - timedelta(minutes=4),
            "problem": _("Give a reason: the agent learns from it."),
        },
    )
