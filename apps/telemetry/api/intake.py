"""The endpoints for usage, spans and logs."""

from abc import ABC, abstractmethod
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text
from apps.core.errors import MalformedError, TooLargeError
from apps.core.rules import MAX_COST_MINOR
from apps.core.schema import PROBLEMS
from apps.telemetry.models import UsageRecord
from apps.telemetry.rules import otlp
from apps.telemetry.services import record_usage, take_logs, take_spans

MOST_TOKENS = 10**10


class UsageBody(StrictSerializer):
    """What one call of a model used. Exactly one of ``run``, ``task`` and ``action`` says for what."""

    model = Text(max_length=120)
    input_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, help_text="Cached tokens included.")
    output_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, help_text="Reasoning included.")
    cache_read_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, required=False)
    cache_write_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, required=False)
    reasoning_tokens = StrictInteger(
        min_value=0, max_value=MOST_TOKENS, required=False, help_text="Of the output tokens."
    )
    cost_minor = StrictInteger(
        min_value=0,
        max_value=MAX_COST_MINOR,
        required=False,
        allow_null=True,
        help_text="Your own word, kept beside ours.",
    )
    run = serializers.UUIDField(required=False)
    task = serializers.UUIDField(required=False)
    action = serializers.UUIDField(required=False)


class UsageSerializer(serializers.Serializer[Any]):
    """What was kept."""

    id = serializers.UUIDField()
    model = serializers.CharField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    run = serializers.UUIDField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    action = serializers.UUIDField(allow_null=True)


def usage_json(usage: UsageRecord) -> dict[str, Any]:
    """The record as ``UsageSerializer`` describes it."""
    named = {name: getattr(usage, name) for name in ("id", "model", "input_tokens", "output_tokens")}
    return {**named, "run": usage.run_id, "task": usage.task_id, "action": usage.action_id}


class Usage(PlaneView):
    """``/usage/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="report_usage", request=UsageBody, responses={201: UsageSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Report what a model call used, for a run, task or action of your own."""
        body = self.body(UsageBody)
        named = {f"{name}_id": body.pop(name) for name in ("run", "task", "action") if name in body}

        def answer() -> tuple[int, Any]:
            return 201, usage_json(record_usage(self.actor, **body, **named))

        return self.once(answer)


class AnyAnswer(DefaultContentNegotiation):
    """Exporters ask for the type that they send and get it; a refusal is a problem document whatever they ask for."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """The only one."""
        return renderers[0], renderers[0].media_type


class Taking(PlaneView, ABC):
    """An address of OTLP, outside ``/api/v1/``: where exporters of OpenTelemetry send what they have."""

    for_agents = True
    for_people = False

    content_negotiation_class = AnyAnswer

    def post(self, request: Request) -> HttpResponse:
        """Take rows in protobuf or JSON, plain or packed by gzip; answered once all of it is kept."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind not in {otlp.PROTOBUF, otlp.JSON}:
            raise exceptions.UnsupportedMediaType(kind)
        if not request.headers.get("Content-Length"):
            raise MalformedError("Say how long the body is: Content-Length.")
        raw = request._request.read(otlp.MAX_BODY + 1)
        try:
            body = otlp.unpack(raw, request.headers.get("Content-Encoding", "").strip().lower())
            answer = self.take(body, kind)
        except otlp.TooMuchError as error:
            raise TooLargeError from error
        except otlp.UnreadableError as error:
            raise MalformedError(str(error)) from error
        return HttpResponse(answer, content_type=kind)

    @abstractmethod
    def take(self, body: bytes, kind: str) -> bytes:
        """Keep what a body holds; the answer to it."""


@extend_schema(exclude=True)  # OTLP describes it
class Traces(Taking):
    """``/v1/traces``."""

    def take(self, body: bytes, kind: str) -> bytes:
        """Spans."""
        spans, unreadable = otlp.read_traces(body, kind)
        taken = take_spans(self.actor, spans=spans, unreadable=unreadable)
        why = "Spans without ids, of times long past or to come, of too long a trace, or under a blocked service.name."
        return otlp.answer_of(kind, rejected=taken.rejected, why=why)


@extend_schema(exclude=True)  # OTLP describes it
class Logs(Taking):
    """``/v1/logs``."""

    def take(self, body: bytes, kind: str) -> bytes:
        """Log records."""
        taken = take_logs(self.actor, records=otlp.read_logs(body, kind))
        why = "Records of times long past or to come, more in a day than are kept, or under a blocked service.name."
        return otlp.answer_to_logs(kind, rejected=taken.rejected, why=why)
