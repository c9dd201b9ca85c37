"""One look at a person's rights for each page that only reads."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.core.gate import remember

READING = {"GET", "HEAD"}


class ReadOnceMiddleware:
    """Remember what the gate says of a signed-in person while one page is read; never while anything is written."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """The person is known by now, and the view has not begun."""
        if request.method in READING and request.user.is_authenticated:
            remember(request.user)
