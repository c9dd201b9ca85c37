"""What monitoring reads, with a token of its own: this process's figures, and those of the work."""

import os
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from apps.access.selectors import METRICS
from apps.core.authentication import bearer_of
from apps.core.errors import NotFoundError
from apps.core.models import User, database_now
from apps.core.services import system_user
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.exposition import Ended, exposition
from apps.kpis.selectors.exposition import ended_for, standing_for

KEPT_S = 15
"""For how long an answer is given again: for all processes the same one, so that no counter runs backwards."""
COUNTED_FOR_S = 3600
"""For how long what ended more than an hour ago is not counted again: a scrape reads some thousand rows, not all."""

type Page = Callable[[HttpRequest], HttpResponse]


def _with_token(page: Page) -> Page:
    """Answer whoever has ``ACP_METRICS_TOKEN``; 404 where there is none."""

    @login_not_required
    @require_safe
    @wraps(page)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not settings.ACP_METRICS_TOKEN:
            raise NotFoundError
        said = bearer_of(request) or ""
        if not secrets.compare_digest(said.encode(), settings.ACP_METRICS_TOKEN.encode()):
            return HttpResponse("A token is needed.\n", "text/plain", 401, headers={"WWW-Authenticate": "Bearer"})
        answer = page(request)
        patch_cache_control(answer, no_store=True)
        return answer

    return guarded


@_with_token
def process_figures(request: HttpRequest) -> HttpResponse:
    """Of this process; with ``PROMETHEUS_MULTIPROC_DIR``, what all processes that share the folder counted."""
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library does not say
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


@_with_token
def kpi_figures(request: HttpRequest) -> HttpResponse:
    """The work: what ended, what it cost, what waits."""
    said = cache.get("kpi-figures")
    if said is None:
        said = _counted(system_user(METRICS))
        cache.set("kpi-figures", said, KEPT_S)
    return HttpResponse(said, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _counted(actor: User) -> bytes:
    until, before = _long_ended(actor)
    return exposition(
        before + ended_for(actor, since=until),
        standing_for(actor),
        currency=reporting_currency(),
    )


def _long_ended(actor: User) -> tuple[datetime, Ended]:
    """What ended before a moment an hour or two ago, and that moment."""
    found: tuple[datetime, Ended] | None = cache.get("kpi-figures-ended")
    if found is None:
        until = database_now() - timedelta(seconds=COUNTED_FOR_S)
        found = (until, ended_for(actor, until=until))
        cache.set("kpi-figures-ended", found, COUNTED_FOR_S)
    return found
