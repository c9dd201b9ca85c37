"""A name for every request, in its answer, its log lines and its problem documents."""

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from uuid_utils.compat import uuid7


class RequestIdMiddleware:
    """Give each request an id of our own; what a client sends is not trusted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on and name it in the answer."""
        request.request_id = str(uuid7())  # type: ignore[attr-defined] # read by the problem documents
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined] # as above
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.clear_contextvars()
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined] # as above
        return response
