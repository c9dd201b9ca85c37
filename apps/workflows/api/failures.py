"""The doors of runs that failed: put together by cause, and having those begin anew that safely can."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictSerializer, Text, known_params
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS
from apps.workflows.rules.retrying import Unsafe
from apps.workflows.selectors.failures import DAYS, Group, failures_for
from apps.workflows.services import retry_runs
from apps.workflows.services.retrying import MOST_AT_ONCE
from apps.workflows.services.runs import MAX_REASON

WEEK = 7
FILTERS = [
    OpenApiParameter("days", int, enum=DAYS, default=WEEK),
    OpenApiParameter("workflow", str, description="Of one workflow alone."),
]


class FailureCauseSerializer(serializers.Serializer[Any]):
    """Runs that failed of one cause, the largest group first."""

    workflow = serializers.CharField()
    step = serializers.CharField(help_text="Empty where no step failed.")
    code = serializers.CharField(help_text="Of the error.")
    failed = serializers.IntegerField()
    first_at = serializers.DateTimeField(allow_null=True)
    safe = serializers.ListField(child=serializers.UUIDField(), help_text="Runs that you may have begin anew.")
    not_safe = serializers.DictField(
        child=serializers.IntegerField(), help_text=f"How many by why: {', '.join(Unsafe)}."
    )
    not_yours = serializers.IntegerField(help_text="Safe ones in which you may not intervene.")
    retries = serializers.DictField(child=serializers.IntegerField(), help_text="How many by what became of them.")


class FailuresSerializer(serializers.Serializer[Any]):
    """The groups. ``cut``: more runs failed than are looked at; the newest are."""

    results = FailureCauseSerializer(many=True)
    cut = serializers.BooleanField()


class RetrySerializer(StrictSerializer):
    """Which failed runs begin anew, and why."""

    runs = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE)
    reason = Text(max_length=MAX_REASON)


class RetriedSerializer(serializers.Serializer[Any]):
    """How many begin anew; the others are not there, not safe, not yours, or were asked for already."""

    begin = serializers.IntegerField()
    left = serializers.IntegerField()


def group_json(group: Group) -> dict[str, Any]:
    """The group as ``FailureCauseSerializer`` describes it."""
    workflow, step, code = group.cause
    return {
        "workflow": workflow,
        "step": step,
        "code": code,
        "failed": len(group.runs),
        "first_at": group.first_at,
        "safe": group.safe,
        "not_safe": dict(group.not_safe),
        "not_yours": group.not_theirs,
        "retries": dict(group.retries),
    }


class RunFailures(PlaneView):
    """``/runs/failures/``."""

    @extend_schema(
        operation_id="list_run_failures", parameters=FILTERS, responses={200: FailuresSerializer, **PROBLEMS}
    )
    def get(self, request: Request) -> Response:
        """What fails, by cause, of the last 1, 7 or 30 days."""
        known_params(request, "days", "workflow")
        asked = request.query_params.get("days", str(WEEK))
        if asked not in {str(one) for one in DAYS}:
            raise InvalidError(errors={"days": [f"One of {', '.join(map(str, DAYS))}."]})
        found = failures_for(self.actor, days=int(asked), workflow=request.query_params.get("workflow", ""))
        return Response({"results": [group_json(one) for one in found.groups], "cut": found.is_cut})


class RunsRetry(PlaneView):
    """``/runs/retry/``."""

    @extend_schema(operation_id="retry_runs", request=RetrySerializer, responses={202: RetriedSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Have failed runs begin anew, each once: only those of which nothing can be done twice."""
        body = self.body(RetrySerializer)

        def answer() -> tuple[int, Any]:
            begin = retry_runs(self.actor, run_ids=body["runs"], reason=body["reason"])
            return 202, {"begin": begin, "left": len(set(body["runs"])) - begin}

        return self.once(answer)
