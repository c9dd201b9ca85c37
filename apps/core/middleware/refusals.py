"""Turns an error that escaped a page into the page that explains it."""

import sys
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.defaults import server_error

from apps.core.api import problem_json
from apps.core.errors import DomainError, InvalidError, NotFoundError, UnavailableError, misplaced_error
from apps.core.noting import note_refused
from apps.core.rules import OF_SECRETS, misplaced_secrets, without_secrets
from apps.core.unanswered import database_error_of, note_unanswered


class DomainErrorMiddleware:
    """Answer a page's refusal with its own status, message and what to do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; where somebody opens an address that only takes forms, say so and lead to its page."""
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and request.method == "GET":
            page = render(request, "405.html", {"above": _page_above(request.path)}, status=response.status_code)
            page["Allow"] = response["Allow"]
            return page
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Refuse U+0000 in an address, which nothing is called, and secrets in fields that others read."""
        if "\x00" in request.path:
            return self._answer(request, NotFoundError())
        if cut := [name for name, values in request.GET.lists() if "\x00" in name + "".join(map(str, values))]:
            return self._answer(request, InvalidError(errors={name: ["The character U+0000."] for name in cut}))
        if request.method == "POST" and not request.path.startswith(
            ("/api/", "/accounts/", "/oauth/", "/v1/", "/otlp/", "/csp-report/")
        ):
            typed = {name: "\n".join(map(str, values)) for name, values in request.POST.lists()}
            if cut := [name for name, text in typed.items() if "\x00" in name + text]:
                return self._answer(request, InvalidError(errors={name: ["The character U+0000."] for name in cut}))
            if found := misplaced_secrets(typed):
                request.sent_again = _without(request.POST, typed, found)  # type: ignore[attr-defined] # for the page below
                return self._answer(request, misplaced_error(found))
        return None

    def _answer(self, request: HttpRequest, error: DomainError) -> HttpResponse | None:
        if request.path.startswith("/api/"):
            return problem_json(error, getattr(request, "request_id", ""))
        return self.process_exception(request, error)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Translate refusals, a database that does not answer and two who make the same at once; leave bugs alone."""
        note_unanswered(error)
        found = database_error_of(error)
        if isinstance(found, UnavailableError):
            return unanswered(request)
        error = found or error
        if not isinstance(error, DomainError):
            return None
        note_refused(request, getattr(request, "user", None), error)
        fragment = getattr(request, "htmx", None) and not request.htmx.boosted  # type: ignore[attr-defined] # django-htmx
        template = "errors/_refused.html" if fragment else "errors/refused.html"
        again = getattr(request, "sent_again", None)
        context = {"error": error, "came_from": _came_from(request, error), "again": again}
        return render(request, template, context, status=error.status)


def unanswered(request: HttpRequest) -> HttpResponse:
    """503 where the database does not answer: neither the page nor what stands around it may ask it anything."""
    error, request_id = UnavailableError(), getattr(request, "request_id", "")
    if request.path.startswith(("/api/", "/v1/")):
        response: HttpResponse = problem_json(error, request_id)
    else:
        is_fragment = request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"
        template = "errors/_refused.html" if is_fragment else "503.html"
        words = render_to_string(template, {"error": error, "request_id": request_id})
        response = HttpResponse(words, status=error.status)
    response["Retry-After"] = "1"
    return response


def broken(request: HttpRequest) -> HttpResponse:
    """What escaped everything else, also on its way to a view or back: a database that does not answer, or a bug."""
    error = sys.exc_info()[1]
    if isinstance(database_error_of(error), UnavailableError):
        note_unanswered(error)
        return unanswered(request)
    return server_error(request)


def _without(sent: QueryDict, typed: dict[str, str], found: list[str]) -> dict[str, Any] | None:
    """What was typed, to be looked at and sent again; None where a field's own name is a secret.

    The fields in which one stood come without it; of those in which secrets belong, the names alone.
    """
    if "" in found:
        return None
    rest = [name for name in typed if name not in {*found, "csrfmiddlewaretoken"}]
    return {
        "shown": [(name, name.replace("_", " ").capitalize(), without_secrets(typed[name])) for name in found],
        "secret": [(name, name.capitalize()) for name in rest if name in OF_SECRETS],
        "kept": [(name, text) for name in rest if name not in OF_SECRETS for text in sent.getlist(name)],
    }


def _page_above(path: str) -> str:
    """The nearest address above ``path`` that there is; empty where only the start page is above."""
    above = path.rstrip("/")
    while above := above.rpartition("/")[0]:
        try:
            resolve(f"{above}/")
        except Resolver404:
            continue
        return f"{above}/"
    return ""


def _came_from(request: HttpRequest, error: DomainError) -> str:
    """The page with the form that was refused, where the browser still has what was typed.

    Of an address that asks for what cannot be, without such a page, the same without what it asks; else empty.
    """
    asks = request.method == "GET" and bool(request.GET) and error.status == InvalidError.status
    page = request.headers.get("Referer", "") if asks or request.method == "POST" else ""
    if url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure()):
        return page
    return request.path if asks else ""
