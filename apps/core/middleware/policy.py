"""What a browser may do with our answers: load our own files, show them in no frame, keep nothing."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.core.rules import HEADERS


class SecurityHeadersMiddleware:
    """Send them with every answer of the application: pages, problems, files, refusals."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on and protect its answer."""
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.setdefault(name, value)
        return response
