"""How many requests this process answered and how fast, for /metrics. Loaded only where somebody may read that."""

from collections.abc import Callable
from time import perf_counter

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
REQUESTS = Counter("acp_http_requests", "Requests answered.", ["method", "status"])
SECONDS = Histogram("acp_http_request_duration_seconds", "How long answers took.", ["method"])


class RequestCountsMiddleware:
    """Count by method and status alone: an address would name runs and people."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on and note its answer."""
        began = perf_counter()
        response = self.get_response(request)
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(method, str(response.status_code)).inc()
        SECONDS.labels(method).observe(perf_counter() - began)
        return response
