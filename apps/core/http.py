"""What pages need of HTTP."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from apps.core.models import User


class Request(HttpRequest):
    """A request that passed sign-in and HtmxMiddleware."""

    user: User  # anonymous visitors are turned away before a view runs
    htmx: HtmxDetails


def is_prefetch(request: HttpRequest) -> bool:
    """Whether a browser or a scanner only looks ahead: nobody has the page before their eyes."""
    said = (request.headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return any("prefetch" in words or "prerender" in words or "preview" in words for words in said)


def wants_fragment(request: Request) -> bool:
    """Whether to answer with a fragment instead of the whole page."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request
