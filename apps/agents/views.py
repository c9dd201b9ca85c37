"""The OAuth 2 door: tokens for agents, and the documents by which clients find it (RFC 6749, 7009, 8414, 9728)."""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.agents.models import AgentCredential
from apps.agents.rules.assertions import ALGORITHMS, KIND
from apps.agents.services.access_tokens import (
    LASTS_S,
    WrongClaimsError,
    authenticate_by_assertion,
    authenticate_by_secret,
    hand_back_token,
    issue_token,
)
from apps.agents.services.rates import count_failure
from apps.core.authentication import RESOURCE_PATH, resource_of_api
from apps.core.errors import DomainError, NotAuthenticatedError, NotFoundError, RateLimitedError, UnavailableError
from apps.core.http import caller_address
from apps.core.noting import note_stranger
from apps.core.unanswered import database_error_of, note_unanswered

log = structlog.get_logger(__name__)

TOKEN_PATH, REVOKE_PATH = "/oauth/token", "/oauth/revoke"
RESOURCE_DOCUMENT = f".well-known/oauth-protected-resource{RESOURCE_PATH}"
FORM = "application/x-www-form-urlencoded"
MAX_BODY, MAX_FIELDS, MAX_FIELD = 16_384, 20, 4_500
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
ENTRIES: dict[type[DomainError], tuple[str, int]] = {
    NotAuthenticatedError: ("invalid_client", 401),
    WrongClaimsError: ("invalid_client", 401),
    NotFoundError: ("invalid_request", 404),
    RateLimitedError: ("temporarily_unavailable", 429),
    UnavailableError: ("temporarily_unavailable", 503),
}
"""What a refusal is called in RFC 6749, 5.2, and its status. The last two have no name there."""


class FormError(Exception):
    """A request that is not as the RFC wants it; ``code`` is one of its names."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def oauth_door(view: Callable[[HttpRequest, dict[str, str]], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A POST with a form, answered as RFC 6749 says, whatever happens. No cookie is looked at."""

    @csrf_exempt
    @login_not_required
    @require_POST
    def door(request: HttpRequest) -> HttpResponse:
        try:
            _require_configured()
            return view(request, _form(request))
        except FormError as error:
            return _problem(error.code, str(error), 400, {})
        except (DomainError, DatabaseError, InterfaceError) as error:
            note_unanswered(error)
            found = error if isinstance(error, DomainError) else database_error_of(error)
            if not isinstance(found, DomainError):
                raise
            return _refusal(request, found)

    return door


def _require_configured() -> None:
    """Without an address of its own the server cannot say for whom an assertion has to be."""
    if not settings.ACP_URL:
        raise NotFoundError("Tokens are not set up here: ACP_URL is missing.")


def _form(request: HttpRequest) -> dict[str, str]:
    """The parameters, each once and none empty, as RFC 6749, 3.2 has it. What is unknown is ignored, as it also says.

    ``resource`` may come more than once (RFC 8707), and then it is more than one token is for.
    """
    if request.content_type != FORM:
        raise FormError("invalid_request", f"The body has to be {FORM}.")
    if len(request.body) > MAX_BODY:
        raise FormError("invalid_request", "The body is too large.")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise FormError("invalid_request", "The body cannot be read.") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise FormError("invalid_target" if name == "resource" else "invalid_request", "A parameter comes twice.")
        if len(value) > MAX_FIELD or "\x00" in value:
            raise FormError("invalid_request", "A parameter is too long, or is no text.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


@oauth_door
def token(request: HttpRequest, form: dict[str, str]) -> HttpResponse:
    """``POST /oauth/token``: a token of fifteen minutes for an agent that proves to be one."""
    if "grant_type" not in form:
        raise FormError("invalid_request", "grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise FormError("unsupported_grant_type", "Only client_credentials is known here.")
    resource = resource_of_api()
    if form.get("resource", resource) != resource:
        raise FormError("invalid_target", f"Tokens are for {resource} alone.")
    if "scope" in form:
        raise FormError("invalid_scope", "There are no scopes: what an agent may is said on its page.")
    issued = issue_token(_client(request, form), resource=resource)
    answer = {"access_token": issued.text, "token_type": "Bearer", "expires_in": LASTS_S}
    return JsonResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


@oauth_door
def revoke(request: HttpRequest, form: dict[str, str]) -> HttpResponse:
    """``POST /oauth/revoke``: the agent hands a token back. 200 also for what is no token, as RFC 7009 says."""
    if "token" not in form:
        raise FormError("invalid_request", "token is missing.")
    hand_back_token(_client(request, form), text=form["token"])
    return HttpResponse(status=200)


def _client(request: HttpRequest, form: dict[str, str]) -> AgentCredential:
    """Who asks, by exactly one way of proving it."""
    address = caller_address(request)
    basic = _basic(request)
    ways = [basic is not None, "client_secret" in form, "client_assertion" in form or "client_assertion_type" in form]
    if sum(ways) > 1:
        raise FormError("invalid_request", "Prove who you are in one way, not in several.")
    try:
        if ways[2]:
            return _signed(form, address)
        client, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        if form.get("client_id", client) != client:
            raise FormError("invalid_request", "Two clients are named.")
        return authenticate_by_secret(client=client, secret=secret, address=address)
    except NotAuthenticatedError as error:
        if error.code == NotAuthenticatedError.code and not isinstance(error, WrongClaimsError):
            note_stranger(request, error)
        count_failure(address)
        log.info("token_refused", code=error.code, address=address)
        raise


def _signed(form: dict[str, str], address: str) -> AgentCredential:
    if form.get("client_assertion_type") != KIND or "client_assertion" not in form:
        raise FormError("invalid_request", f"client_assertion comes with client_assertion_type {KIND}.")
    return authenticate_by_assertion(
        assertion=form["client_assertion"],
        client=form.get("client_id", ""),
        audiences=(settings.ACP_URL, settings.ACP_URL + TOKEN_PATH),
        address=address,
    )


def _basic(request: HttpRequest) -> tuple[str, str] | None:
    """Client and secret of HTTP Basic, each of them form-encoded before (RFC 6749, 2.3.1); None without it."""
    kind, _space, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise FormError("invalid_request", "The Authorization header cannot be read.") from error
    return (unquote_plus(client), unquote_plus(secret)) if colon else ("", "")


def _refusal(request: HttpRequest, error: DomainError) -> HttpResponse:
    code, status = ENTRIES.get(type(error), ("unauthorized_client", 400))
    headers = {}
    if isinstance(error, NotAuthenticatedError) and request.headers.get("Authorization"):
        headers["WWW-Authenticate"] = 'Basic realm="agents", charset="UTF-8"'
    if isinstance(error, RateLimitedError | UnavailableError):
        headers["Retry-After"] = str(error.members.get("retry_after_s", 1))
    return _problem(code, str(error.message), status, headers)


def _problem(code: str, text: str, status: int, headers: dict[str, str]) -> HttpResponse:
    """RFC 6749, 5.2: a description is printable ASCII without quotation marks and backslashes."""
    said = "".join(char for char in text if " " <= char <= "~" and char not in '"\\')
    answer = JsonResponse({"error": code, "error_description": said}, status=status, headers=headers)
    answer._has_been_logged = True  # type: ignore[attr-defined] # whoever asks is told; it is no error of ours
    return answer


@login_not_required
@require_GET
def authorization_server(request: HttpRequest) -> HttpResponse:
    """RFC 8414: where tokens are, and how an agent proves that it is one."""
    _require_configured()
    methods = [*SECRET_METHODS, "private_key_jwt"]
    proofs: dict[str, Any] = {
        f"{name}_endpoint_auth_{what}": values
        for name in ("token", "revocation")
        for what, values in (("methods_supported", methods), ("signing_alg_values_supported", list(ALGORITHMS)))
    }
    return JsonResponse(
        {
            "issuer": settings.ACP_URL,
            "token_endpoint": settings.ACP_URL + TOKEN_PATH,
            "revocation_endpoint": settings.ACP_URL + REVOKE_PATH,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "protected_resources": [resource_of_api()],
            **proofs,
        }
    )


@login_not_required
@require_GET
def protected_resource(request: HttpRequest) -> HttpResponse:
    """RFC 9728: which server gives tokens for the API."""
    _require_configured()
    return JsonResponse(
        {
            "resource": resource_of_api(),
            "authorization_servers": [settings.ACP_URL],
            "bearer_methods_supported": ["header"],
            "resource_name": "Autonomy Control Plane",
            "resource_documentation": f"{settings.ACP_URL}/api/docs/",
        }
    )
