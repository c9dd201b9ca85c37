"""Turns an error that escaped a page into the page that explains it."""

from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.core.errors import DomainError, UnavailableError


class DomainErrorMiddleware:
    """Answer a page's refusal with its own status, message and what to do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Translate refusals and a database that does not answer; leave bugs alone."""
        if isinstance(error, OperationalError | InterfaceError):
            error = UnavailableError()
        if not isinstance(error, DomainError):
            return None
        fragment = getattr(request, "htmx", None) and not request.htmx.boosted  # type: ignore[attr-defined] # django-htmx
        template = "errors/_refused.html" if fragment else "errors/refused.html"
        return render(request, template, {"error": error}, status=error.status)
