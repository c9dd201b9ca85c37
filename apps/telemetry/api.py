"""The endpoint for usage."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text
from apps.core.rules import MAX_COST_MINOR
from apps.core.schema import PROBLEMS
from apps.telemetry.models import UsageRecord
from apps.telemetry.services import record_usage

MOST_TOKENS = 10**10


class UsageBody(StrictSerializer):
    """What one call of a model used. Exactly one of ``run``, ``task`` and ``action`` says for what."""

    model = Text(max_length=120)
    input_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, help_text="Cached tokens included.")
    output_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, help_text="Reasoning included.")
    cache_read_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, required=False)
    cache_write_tokens = StrictInteger(min_value=0, max_value=MOST_TOKENS, required=False)
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

    @extend_schema(operation_id="report_usage", request=UsageBody, responses={201: UsageSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Report what a model call used, for a run, task or action of your own."""
        body = self.body(UsageBody)
        named = {f"{name}_id": body.pop(name) for name in ("run", "task", "action") if name in body}

        def answer() -> tuple[int, Any]:
            return 201, usage_json(record_usage(self.actor, **body, **named))

        return self.once(answer)
