"""What is handed to the ledger of a refusal: by whom, at which door, why; never what was sent."""

from time import time
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework.request import Request

from apps.core.errors import DomainError, InvalidError, UnavailableError
from apps.core.http import caller_address
from apps.core.models import User

log = structlog.get_logger(__name__)
READING = {"GET", "HEAD", "OPTIONS"}
UNFIT_EVERY_S, UNFIT_AT_MOST = 60, 60


def note_refused(request: Request | HttpRequest, user: object, refusal: DomainError) -> None:
    """Leave a line in the ledger where somebody whom the plane knows was refused a write, by the API or on a page."""
    if request.method in READING or isinstance(refusal, UnavailableError) or not isinstance(user, User):
        return
    _note(settings.ON_REFUSAL, request, refusal, actor=user)


def note_unfit(request: HttpRequest, user: object) -> None:
    """Leave a line where a page's form found by itself that what somebody typed does not fit, and nobody refused it.

    At most one a minute for each person and page, and sixty in all: who types sends a form often, and what they sent
    the time before last says nothing more.
    """
    who = f"{getattr(user, 'pk', '')}:{request.path}"
    if is_worth_a_line("unfit", who, every_s=UNFIT_EVERY_S, at_most=UNFIT_AT_MOST):
        note_refused(request, user, InvalidError())


def note_stranger(request: Request | HttpRequest, refusal: DomainError) -> None:
    """Leave a line where somebody came with what opens nothing: at most one a minute for each address."""
    _note(settings.ON_STRANGER, request, refusal, address=caller_address(request))


def _note(hook: str, request: Request | HttpRequest, refusal: DomainError, **who: Any) -> None:
    try:
        import_string(hook)(
            **who,
            code=refusal.code,
            status=refusal.status,
            method=str(request.method),
            path=request.path,
            request_id=getattr(request, "request_id", ""),
        )
    except (DatabaseError, InterfaceError):
        # It stays refused, whether or not the ledger could be asked: an answer of 500 would say less of it, not more.
        log.exception("refusal_not_recorded", code=refusal.code, path=request.path)


def is_worth_a_line(kind: str, who: str, *, every_s: int, at_most: int) -> bool:
    """Whether ``who`` was not written down within ``every_s`` seconds, nor ``at_most`` of this kind altogether.

    The sum is asked first: who comes under many names fills no cache either. It may be a little beyond ``at_most``
    where several come at once.
    """
    together = f"{kind}s:{int(time() // every_s)}"
    if cache.get(together, 0) >= at_most or not cache.add(f"{kind}:{who}", 1, every_s):
        return False
    cache.add(together, 0, 2 * every_s)
    try:
        return bool(cache.incr(together) <= at_most)
    except ValueError:  # dropped by the cache since: it begins anew
        cache.set(together, 1, 2 * every_s)
        return True
