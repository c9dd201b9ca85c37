"""A session that ended while a page was open."""

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

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
