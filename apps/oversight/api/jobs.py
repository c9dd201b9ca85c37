"""Many items told the same at once, and what became of each."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import JsonObject, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS, WAIT
from apps.oversight.api.people import PersonView
from apps.oversight.rules import MAX_BULK, MAX_REASON, BulkVerdict, JobItemState, JobState
from apps.oversight.selectors.jobs import job_for, job_json, jobs_for
from apps.oversight.services import start_bulk


class BulkBody(StrictSerializer):
    """What many items are told. ``versions``: ``{id: version}`` as you saw them; those that changed are reported."""

    verdict = serializers.ChoiceField([verdict.value for verdict in BulkVerdict])
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_BULK)
    reason = Text(max_length=MAX_REASON, required=False, allow_blank=True)
    reason_code = Text(max_length=40, required=False, allow_blank=True)
    versions = JsonObject(required=False)
    until = serializers.DateTimeField(required=False)

    def validate_versions(self, value: dict[str, Any]) -> dict[UUID, int]:
        """Ids and whole numbers."""
        found: dict[UUID, int] = {}
        for name, version in value.items():
            if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= MAX_INTEGER:
                raise serializers.ValidationError("Versions are numbers from 1.")
            try:
                found[UUID(name)] = version
            except ValueError as error:
                raise serializers.ValidationError("Name each item by its id.") from error
        return found


class JobResultSerializer(serializers.Serializer[Any]):
    """What became of one item."""

    escalation = serializers.UUIDField()
    title = serializers.CharField()
    amount_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    version = serializers.IntegerField()
    digest = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField([state.value for state in JobItemState])
    outcome = serializers.CharField(allow_null=True, help_text="The state of the item after its vote.")
    code = serializers.CharField(allow_null=True, help_text="Why it failed or was left out: a problem code, `outlier`.")
    detail = serializers.CharField(allow_null=True)


class JobRowSerializer(serializers.Serializer[Any]):
    """A job in a list."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in JobState])
    verdict = serializers.ChoiceField([verdict.value for verdict in BulkVerdict])
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="How many were not decided, those left out among them.")
    created_at = serializers.DateTimeField()
    done_at = serializers.DateTimeField(allow_null=True)


class JobSerializer(JobRowSerializer):
    """A job and its results."""

    results = JobResultSerializer(many=True)


class JobPage(serializers.Serializer[Any]):
    """A page of jobs."""

    results = JobRowSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class Bulk(PersonView):
    """``/escalations/bulk/``."""

    @extend_schema(operation_id="decide_many", request=BulkBody, responses={202: JobSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Approve like items as far as their rules let them be together, reject or put aside any; each in your name."""
        said = self.body(BulkBody)
        if len(set(said["ids"])) != len(said["ids"]):
            raise InvalidError(errors={"ids": ["Name each item once."]})

        def answer() -> tuple[int, Any]:
            return 202, job_json(self.actor, start_bulk(self.actor, **said))

        response = self.once(answer)
        response["Location"] = f"/api/v1/jobs/{response.data['id']}/"
        return response


class Jobs(PersonView):
    """``/jobs/``."""

    @extend_schema(
        operation_id="list_jobs",
        responses={200: JobPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """The jobs that you asked for, newest first."""
        known_params(request)
        return page_of(request, jobs_for(self.actor), lambda job: dict(JobRowSerializer(job).data), order=("-id",))


class JobDetail(PersonView):
    """``/jobs/{id}/``."""

    @extend_schema(operation_id="get_job", responses={200: JobSerializer, **PROBLEMS}, parameters=WAIT)
    def get(self, request: Request, job_id: UUID) -> Response:
        """A job that you asked for, with one result per item."""
        return Response(job_json(self.actor, job_for(self.actor, job_id)))
