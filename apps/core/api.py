"""What every endpoint shares: strict JSON in, problem details out, keyset pages, answers given once."""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, cast
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.db.models import Model, QuerySet
from django.http import Http404, JsonResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from apps.core import errors
from apps.core.authentication import bearer_of, challenge_of
from apps.core.gate import refuse_agents, refuse_people
from apps.core.keysets import behind, plain
from apps.core.models import User
from apps.core.noting import READING, note_refused, note_stranger
from apps.core.rules import MAX_WAIT_S, digest_of, misplaced_secrets
from apps.core.services import answer_once
from apps.core.unanswered import database_error_of, note_unanswered

MAX_KEY = 200
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
PROBLEM = "application/problem+json"
REASON = OpenApiParameter("reason", str, description="Why; people must say.")


class ErasedMark(serializers.Serializer[Any]):
    """When what people and agents wrote here was erased, and by whom."""

    at = serializers.DateTimeField()
    by = serializers.CharField()


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt limit must not pass as no limit."""

    def to_internal_value(self, data: Any) -> Any:
        """The validated values."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({str(name): ["Unknown field."] for name in unknown})
        return super().to_internal_value(data)


class EmptyBody(StrictSerializer):
    """Nothing is said with it."""


class StrictInteger(serializers.IntegerField):
    """An integer, not text that looks like one, nor 1.0, nor true."""

    def to_internal_value(self, data: Any) -> int:
        """The integer."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBoolean(serializers.BooleanField):
    """``true`` or ``false``, not text, a number or null that could be taken for it."""

    def to_internal_value(self, data: Any) -> bool:
        """The boolean."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Text(serializers.CharField):
    """Text, not a number that could be printed."""

    def to_internal_value(self, data: Any) -> str:
        """The text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class AnyJson(serializers.JSONField):
    """Any JSON value as it came."""


class JsonObject(serializers.JSONField):
    """A JSON object."""

    default_error_messages: ClassVar[dict[str, Any]] = {"object": "An object is wanted."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The object."""
        if not isinstance(data, dict):
            self.fail("object")
        return data


class DeleteBody(StrictSerializer):
    """All that is ever said with a DELETE; most say it in the query, or nothing."""

    reason = AnyJson(required=False)


class PlaneView(APIView):
    """An endpoint: authenticated, strict, and thin. It reads through selectors and writes through services."""

    permission_classes = [IsAuthenticated]
    for_agents: ClassVar[bool] = False
    """Whether agents have business here. Nothing else takes their writes, whatever they were granted."""
    for_people: ClassVar[bool] = True
    """Whether people have. Nothing else takes theirs, nor an administrator's."""
    is_read = False  # whether what was sent was looked at: what nobody looks at is refused, not passed over

    def check_permissions(self, request: Request) -> None:
        """Whoever has no business here is refused before what they name is looked up and what they send is read."""
        super().check_permissions(request)
        is_write = request.method not in READING and hasattr(self, (request.method or "").lower())
        if is_write and not self.for_agents:
            refuse_agents(self.actor)
        if is_write and not self.for_people:
            refuse_people(self.actor)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who asks and whether they may; then no secret in the query of a write, of which the ledger keeps parts."""
        super().initial(request, *args, **kwargs)
        said = {name: " ".join(values) for name, values in request.query_params.lists()}  # each may be said twice
        if request.method not in READING and (found := misplaced_secrets(said)):
            raise errors.misplaced_error(found)
        if request.method == "DELETE":
            self.only(DeleteBody)

    @cached_property
    def actor(self) -> User:
        """Who asks."""
        return cast("User", self.request.user)

    def body(self, serializer: type[StrictSerializer], **context: Any) -> dict[str, Any]:
        """The validated body. Raises InvalidError with the fields' paths."""
        self.is_read = True
        form = serializer(data=self.request.data, context={"view": self, **context})
        if not form.is_valid():
            raise errors.InvalidError(errors=flatten(form.errors))
        return cast("dict[str, Any]", form.validated_data)

    def only(self, serializer: type[StrictSerializer]) -> None:
        """Refuse what a door that takes no body, or hardly any, is told besides. What is no JSON is not read at all."""
        if not self.is_read and (self.request.content_type or "").startswith("application/json"):
            self.body(serializer)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer with problem details; a refused write leaves a line in the ledger."""
        response = super().handle_exception(exc)
        found = domain_error_of(exc)
        if found is not None:
            note_refused(self.request, getattr(self.request, "_user", None), found)
            is_no_key = found.code == errors.NotAuthenticatedError.code and bearer_of(self.request) is not None
            if is_no_key or found.code == "csrf_failed":
                note_stranger(self.request, found)
        return response

    def once(self, answer: Callable[[], tuple[int, Any]], *, required: bool = False) -> Response:
        """Answer a write; with ``Idempotency-Key`` the same key and body get the stored answer.

        What was tried with a test key is no answer to a live one, nor the other way round; nor is what somebody did
        themselves one to a token that carries only some of their rights.
        """
        self.only(EmptyBody)
        key = self.request.headers.get("Idempotency-Key", "")
        if not key:
            if required:
                raise errors.MalformedError("Send an Idempotency-Key header.", code="idempotency_key_required")
            code, content = answer()
            return Response(content, status=code, content_type=_type_of(code))
        if len(key) > MAX_KEY or not key.isprintable():
            raise errors.InvalidError(errors={"Idempotency-Key": [f"At most {MAX_KEY} printable characters."]})
        apart = getattr(self.request.auth, "apart", "")  # of a key or token that may do less than its holder
        code, content, replayed = answer_once(
            self.actor,
            scope=f"{apart}{self.request.method} {self.request.path}"[:MAX_KEY],
            key=key,
            digest=digest_of(self.request.data),
            answer=lambda: _as_sent(*answer()),
        )
        headers = {"Idempotency-Replayed": "true"} if replayed else None
        return Response(content, status=code, headers=headers, content_type=_type_of(code))


def _type_of(code: int) -> str | None:
    """A refusal that was a change all the same is answered like any other refusal."""
    return PROBLEM if code >= status.HTTP_400_BAD_REQUEST else None


@extend_schema(exclude=True)
class NowhereView(PlaneView):
    """Every address below ``/api/v1/`` that is no endpoint: a problem document, as agents expect of all refusals."""

    for_agents = True

    def check_permissions(self, request: Request) -> None:
        """Whoever may ask at all is told that there is nothing here, whatever the method."""
        super().check_permissions(request)
        raise errors.NotFoundError("There is no such address; each ends with a slash, and ids are UUIDs.")

    def get(self, request: Request, rest: str) -> Response:
        """Never reached; it makes GET a method of this view."""
        raise errors.NotFoundError


def _as_sent(code: int, content: Any) -> tuple[int, Any]:
    """The answer as it goes over the wire, so that what is kept for a repeat is the same to the last digit."""
    return code, json.loads(json.dumps(content, cls=JSONEncoder))


def page_of[M: Model](
    request: Request, rows: QuerySet[M], serialize: Callable[[M], Any], *, order: tuple[str, ...] = ("-id",)
) -> Response:
    """One keyset page ``{results, next}`` of ``rows`` in ``order`` (unique as a whole). Cursors are signed."""
    return page_at_once(request, rows, lambda found: [serialize(row) for row in found], order=order)


def page_at_once[M: Model](
    request: Request, rows: QuerySet[M], serialize: Callable[[list[M]], list[Any]], *, order: tuple[str, ...] = ("-id",)
) -> Response:
    """``page_of`` where what is said of a row is read for all rows of the page together, not row by row."""
    limit = limit_param(request)
    rows = rows.order_by(*order)
    if values := cursor_param(request, len(order)):
        rows = rows.filter(behind(order, values))
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = following_url(request, [getattr(last, name.lstrip("-")) for name in order])
    return Response({"results": serialize(found[:limit]), "next": following})


def following_url(request: Request, values: list[Any]) -> str:
    """The same list behind the row with these values of its order."""
    cursor = signing.dumps([plain(value) for value in values], salt="cursor", compress=True)
    query = {**request.query_params.dict(), "cursor": cursor}
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")


def cursor_param(request: Request, length: int) -> list[Any] | None:
    """The values behind which the page begins, None at the beginning. Raises InvalidError."""
    cursor = request.query_params.get("cursor")
    if not cursor:
        return None
    try:
        values = signing.loads(cursor, salt="cursor")
    except signing.BadSignature as error:
        raise errors.InvalidError(errors={"cursor": ["This is not a cursor of ours."]}) from error
    if len(values) != length:
        raise errors.InvalidError(errors={"cursor": ["This cursor belongs to another list."]})
    return cast("list[Any]", values)


def limit_param(request: Request) -> int:
    """How many rows a page holds. Raises InvalidError."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_LIMIT:
        raise errors.InvalidError(errors={"limit": [f"A number from 1 to {MAX_LIMIT}."]})
    return int(text)


def uuid_param(request: Request, name: str) -> UUID | None:
    """The query parameter as a UUID, None when absent. Raises InvalidError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise errors.InvalidError(errors={name: ["This is not an id."]}) from error


def known_params(request: Request, *names: str) -> None:
    """Refuse query parameters that the endpoint does not know."""
    known = {*names, "cursor", "limit", "format"}
    if unknown := sorted(set(request.query_params) - known):
        raise errors.InvalidError(errors={name: ["Unknown parameter."] for name in unknown})
    if cut := [name for name, value in request.query_params.items() if "\x00" in value]:
        raise errors.InvalidError(errors={name: ["The character U+0000."] for name in cut})


def reason_of(request: Request) -> str:
    """The reason of a DELETE: in the query, or in a body."""
    body = request.data if isinstance(request.data, dict) else {}
    found = request.query_params.get("reason") or body.get("reason", "")
    if not isinstance(found, str):
        raise errors.InvalidError(errors={"reason": ["Not text."]})
    return found


def wait_params(request: Request) -> None:
    """The parameters of a detail that can be waited for: ``wait`` in whole seconds, and the ``state`` that it is in."""
    known_params(request, "wait", "state")
    text = request.query_params.get("wait", "0")
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_WAIT_S)) + 1:
        raise errors.InvalidError(errors={"wait": [f"Whole seconds; more than {MAX_WAIT_S} count as {MAX_WAIT_S}."]})


def flatten(found: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested errors as ``{path: [message]}``."""
    if isinstance(found, dict):
        flat: dict[str, list[str]] = {}
        for name, inner in found.items():
            at = path if name == "non_field_errors" else f"{path}.{name}".lstrip(".")
            flat |= flatten(inner, at)
        return flat
    if isinstance(found, list) and any(isinstance(inner, dict) for inner in found):
        return {
            at: messages
            for index, inner in enumerate(found)
            for at, messages in flatten(inner, f"{path}.{index}".lstrip(".")).items()
        }
    return {path or "body": [str(message) for message in (found if isinstance(found, list) else [found])]}


def problem_of(error: errors.DomainError, request_id: str = "") -> dict[str, Any]:
    """The RFC 9457 document of an error."""
    document: dict[str, Any] = {
        "type": f"/help/problems/#{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": str(error.message),
        "code": error.code,
    }
    if error.errors:
        document |= errors.told_errors(error.errors)
    return {**document, **error.members, "request_id": request_id}


TRANSLATED: dict[type[Exception], Callable[[Any], errors.DomainError | None]] = {
    exceptions.NotAuthenticated: lambda e: errors.NotAuthenticatedError(),
    exceptions.AuthenticationFailed: lambda e: errors.NotAuthenticatedError(str(e.detail)),
    exceptions.PermissionDenied: lambda e: errors.NotAllowedError(str(e.detail)),
    PermissionDenied: lambda e: errors.NotAllowedError(),
    exceptions.NotFound: lambda e: errors.NotFoundError(),
    Http404: lambda e: errors.NotFoundError(),
    exceptions.ParseError: lambda e: errors.MalformedError(str(e.detail)),
    exceptions.ValidationError: lambda e: errors.InvalidError(errors=flatten(e.detail)),
    exceptions.Throttled: lambda e: errors.RateLimitedError(),
    DatabaseError: database_error_of,
    InterfaceError: database_error_of,
}


def domain_error_of(error: Exception) -> errors.DomainError | None:
    """Our error for what Django, DRF or the database raised; None for what is a bug."""
    if isinstance(error, errors.DomainError):
        return error
    for kind, translate in TRANSLATED.items():
        if isinstance(error, kind):
            return translate(error)
    if isinstance(error, exceptions.APIException):
        code = {405: "method_not_allowed", 406: "not_acceptable", 415: "unsupported_media_type"}.get(error.status_code)
        found = errors.DomainError(str(error.detail), code=code or "refused")
        found.status = error.status_code
        return found
    return None


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: problem details for refusals, Django's 500 for bugs."""
    note_unanswered(error)
    found = domain_error_of(error)
    if found is None:
        return None
    request = context.get("request")
    response = Response(
        problem_of(found, getattr(request, "request_id", "")), status=found.status, content_type=PROBLEM
    )
    if found.status == status.HTTP_401_UNAUTHORIZED:
        response["WWW-Authenticate"] = challenge_of(request)
    if found.status in {status.HTTP_429_TOO_MANY_REQUESTS, status.HTTP_503_SERVICE_UNAVAILABLE}:
        response["Retry-After"] = str(found.members.get("retry_after_s", 1))
    response.exception = True
    return response


def problem_json(error: errors.DomainError, request_id: str = "") -> JsonResponse:
    """The same outside DRF: for handlers that answer below ``/api/``."""
    return JsonResponse(problem_of(error, request_id), status=error.status, content_type=PROBLEM)
