"""What pages need of HTTP."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from apps.core.models import User


class Request(HttpRequest):
    """A request that passed sign-in and HtmxMiddleware."""

    user: User  # anonymous visitors are turned away before a view runs
    htmx: HtmxDetails


def wants_fragment(request: Request) -> bool:
    """Whether to answer with a fragment instead of the whole page."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request
