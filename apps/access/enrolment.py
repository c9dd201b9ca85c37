"""A second factor, demanded: a session that proved none opens the pages on which one is set up, and nothing else.

Of whom it is demanded says ``settings.ACP_SECOND_FACTOR``; what counts as one, ``has_proven_factor``
(docs/adr/0035-a-second-factor-is-demanded-of-sessions.md).
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.access.accounts import BY_PROVIDER
from apps.access.selectors import is_factor_demanded_of
from apps.core.api import problem_json
from apps.core.errors import NotAllowedError
from apps.core.middleware.sessions import ASIDE

PAGE = "second-factor"
ALWAYS_OPEN = {
    PAGE, "account_logout", "account_reauthenticate", "healthz", "readyz", "core:csp_report",
    "single-sign-on", "single-sign-on-callback",
    "saml-sign-on", "saml-sign-on-acs", "saml-sign-on-done",
}  # fmt: skip
"""Confirm who one is, leave; and what says nothing of the plane."""
OPEN_TO_SET_UP = {"mfa_activate_totp", "mfa_add_webauthn"}
"""For whoever has none. Who has one proves it: a password alone adds no other beside it."""
OPEN_TO_CONFIRM = {"mfa_reauthenticate", "mfa_reauthenticate_webauthn"}


def has_proven_factor(request: Any) -> bool:
    """Whether this session gave a code or a passkey, or a provider said that it asked for more than a password."""
    records = get_authentication_records(request, request.user)
    return any(one["method"] == "mfa" or (one["method"] in BY_PROVIDER and one["is_strong"]) for one in records)


def lacks_factor(request: Any) -> bool:
    """Whether a second factor is demanded of whoever is signed in, and their session proved none."""
    person = request.user
    return bool(person.is_authenticated and not has_proven_factor(request) and is_factor_demanded_of(person))


class SecondFactorMiddleware:
    """Lead whoever lacks a second factor to where one is set up; refuse what leads nowhere: the API, parts, streams.

    Asked at each request: who is given such a right while signed in is led there at the next one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """None where the way is open."""
        if not lacks_factor(request):
            return None
        request.lacks_factor = True  # type: ignore[attr-defined] # pages show no menu that leads nowhere
        name = request.resolver_match.view_name if request.resolver_match else ""
        if name in ALWAYS_OPEN:
            return None
        if name in (OPEN_TO_CONFIRM if is_mfa_enabled(request.user) else OPEN_TO_SET_UP):
            return None
        return _refusal(request)


def _refusal(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(("/api/", "/scim/", "/v1/", "/otlp/")):
        text = _("A second factor is demanded of you, and this session proved none: set one up on the plane's page.")
        error = NotAllowedError(text, code="second_factor_needed")
        return problem_json(error, getattr(request, "request_id", ""))
    is_part = request.headers.get("HX-Request") == "true"
    if request.path.startswith("/live/") or (is_part and request.headers.get("HX-Target") in ASIDE):
        return HttpResponse(status=403)
    if is_part:
        return HttpResponse(status=403, headers={"HX-Redirect": reverse(PAGE)})
    onwards = request.get_full_path() if request.method == "GET" else "/"
    back = f"?{urlencode({'next': onwards})}" if onwards != "/" else ""
    return HttpResponseRedirect(f"{reverse(PAGE)}{back}")
