"""A span for every request. Loaded only where traces are sent."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from apps.core.tracing import TRACEPARENT, SpanKind, current_ids, span

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNSEEN = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds by whoever watches."""


class TracedMiddleware:
    """Name a request by its route, never by its address: that may hold a token, and a name that somebody searched."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Go on in the caller's trace where it names one; whether it is kept is not for the caller to say."""
        if request.path.startswith(UNSEEN):
            return self.get_response(request)
        method = request.method if request.method in METHODS else "other"
        caller = request.headers.get(TRACEPARENT, "")
        told = {"http.request.method": str(method)}
        with span(str(method), kind=SpanKind.SERVER, parent=caller, is_outside=True, attributes=told) as found:
            request.trace_ids = current_ids()  # type: ignore[attr-defined] # read by the log
            response = self.get_response(request)
            if found is not None:
                if request.resolver_match is not None:
                    found.rename(f"{method} /{request.resolver_match.route}")
                    found.say("http.route", f"/{request.resolver_match.route}")
                found.say("http.response.status_code", response.status_code)
                found.say("acp.request.id", response.headers.get("X-Request-Id", ""))
                if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    found.fail(str(response.status_code))
            return response
