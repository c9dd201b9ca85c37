"""How a request is read and a session believed. DRF loads these while it loads itself: no views here."""

from typing import Any

from django.conf import settings
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication as DrfSession
from rest_framework.parsers import BaseParser

from apps.core import errors
from apps.core.rules import ValueProblem, check_values, misplaced_secrets, strict_json

MAX_BODY = 1024 * 1024
RESOURCE_PATH = "/api/v1/"


def resource_of_api() -> str:
    """How tokens call the API for which they are (RFC 8707)."""
    return f"{settings.ACP_URL}{RESOURCE_PATH}"


def challenge_of(request: Any) -> str:
    """``WWW-Authenticate`` of a 401: where tokens are had (RFC 9728), and that the one sent is none (RFC 6750)."""
    said = []
    if settings.ACP_URL:
        said.append(f'resource_metadata="{settings.ACP_URL}/.well-known/oauth-protected-resource{RESOURCE_PATH}"')
    if request is not None and bearer_of(request) is not None:
        said.append('error="invalid_token"')
    return " ".join(["Bearer", ", ".join(said)]).strip()


class StrictJSONParser(BaseParser):
    """JSON as agents must send it; what parses and does not fit is 422, what cannot be read is 400."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The parsed body. Raises MalformedError, InvalidError or TooLargeError."""
        raw = stream.read(MAX_BODY + 1)
        if len(raw) > MAX_BODY:
            raise errors.TooLargeError
        try:
            value = strict_json(raw)
        except ValueProblem as problem:
            raise errors.MalformedError(str(problem)) from problem
        try:
            check_values(value)
        except ValueProblem as problem:
            raise errors.InvalidError(errors={problem.path or "body": [str(problem)]}) from problem
        if found := misplaced_secrets(value):
            raise errors.misplaced_error(found)
        return value


class SessionAuthentication(DrfSession):
    """A person's session, with a CSRF token on every write."""

    def enforce_csrf(self, request: Any) -> None:
        """Name the reason as the interface does. The token comes in a header: what is sent is not read for it."""
        try:
            super().enforce_csrf(request._request)
        except exceptions.PermissionDenied as error:
            raise errors.NotAllowedError(str(error.detail), code="csrf_failed") from error


def bearer_of(request: Any) -> str | None:
    """The bearer token of a request; None when it carries none."""
    kind, _space, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
