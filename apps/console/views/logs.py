"""What agents wrote in their logs."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.console.views.spans import SINCE, SINCE_WORDS, SIZE, VIEW, uuid_in
from apps.core.errors import NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request
from apps.core.pages import page_of
from apps.telemetry.rules.severities import WORDS
from apps.telemetry.selectors import LONGEST_TEXT, MOST_SEARCHED, REJECTED_DAYS, LogFilter, logs_for, rejected_logs_for

ASKED = ("agent", "service", "run", "trace", "level", "text", "since")


@require_GET
def logs(request: Request) -> HttpResponse:
    """Log records, the last received first; filters are in the address, and what does not fit is left out."""
    if not holds(request.user, VIEW):
        raise NotAllowedError
    asked = {name: request.GET.get(name, "").strip() for name in ASKED}
    page = page_of(request, logs_for(request.user, _filter_of(asked)), order=("-id",), size=SIZE)
    context = {
        "page": page,
        "asked": asked,
        "filtered": any(asked.values()),
        "since": list(SINCE_WORDS.items()),
        "levels": [("warn", _("Warnings and worse")), ("error", _("Errors and worse")), ("info", _("No debugging"))],
        "rejected": rejected_logs_for(request.user) if page.is_first else [],
        "searched": MOST_SEARCHED,
        "rejected_days": REJECTED_DAYS,
    }
    return render(request, "console/logs.html", context)


def _filter_of(asked: dict[str, str]) -> LogFilter:
    age = SINCE.get(asked["since"])
    return LogFilter(
        agent=asked["agent"],
        service=asked["service"],
        run=uuid_in(asked["run"]),
        trace=asked["trace"],
        severity=WORDS.get(asked["level"], 0),
        text=asked["text"][:LONGEST_TEXT],
        since=timezone.now() - age if age else None,
    )
