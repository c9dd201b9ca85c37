"""A session that ended while a page was open, and one in which somebody still does something."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.module_loading import import_string

ASIDE = {"arrivals", "bell", "presence"}
"""Parts that ask by themselves: they never take away the page on which somebody is typing."""


class SessionEndedMiddleware:
    """Send the whole page to sign-in when a fragment needs it; a form inside a fragment would look like the page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; a redirect to sign-in becomes 401 with the way there."""
        response = self.get_response(request)
        if request.headers.get("HX-Request") != "true" or not isinstance(response, HttpResponseRedirect):
            return response
        if not response.url.startswith(settings.LOGIN_URL):
            return response
        if request.headers.get("HX-Target") in ASIDE:
            return HttpResponse(status=401)
        here = urlsplit(request.headers.get("HX-Current-URL", ""))
        back = urlencode({"next": f"{here.path}?{here.query}" if here.query else here.path or "/"})
        return HttpResponse(status=401, headers={"HX-Redirect": f"{settings.LOGIN_URL}?{back}"})


class SessionSeenMiddleware:
    """Note that a person does something; a page that stands open and asks by itself is nobody."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Who is signed in is known by now."""
        if request.user.is_authenticated and not asks_by_itself(request):
            import_string(settings.ON_SESSION_SEEN)(request.session)


def asks_by_itself(request: HttpRequest) -> bool:
    """Whether a part of an open page renews itself."""
    target = request.headers.get("HX-Target", "")
    own = bool(target) and target == request.headers.get("HX-Trigger")
    return request.path.startswith("/live/") or own or target in ASIDE
