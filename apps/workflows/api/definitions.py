"""The doors of workflows: documents in, versions, publication."""

from typing import Any

import yaml
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import JsonObject, PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.rules.source import Problem
from apps.workflows.selectors import version_for, versions_for, workflow_for, workflows_for
from apps.workflows.services import (
    check_source,
    publish_version,
    retire_workflow,
    rollback_workflow,
    save_draft,
)

MAX_SOURCE = 256 * 1024


class SourceBody(StrictSerializer):
    """A document: its text (YAML or JSON), or the document itself."""

    source = Text(  # type: ignore[assignment] # the interface's word
        max_length=MAX_SOURCE, required=False, trim_whitespace=False
    )
    document = JsonObject(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Exactly one of the two."""
        if len(attrs) != 1:
            raise serializers.ValidationError("Send “source” (text) or “document” (an object).")
        return attrs


class PublishWorkflowBody(StrictSerializer):
    """Which version (the newest draft, if none is named), and why."""

    version = StrictInteger(min_value=1, required=False)
    reason = Text(max_length=2000, required=False, allow_blank=True)


class RollbackBody(StrictSerializer):
    """Which version (the one before, if none is named), and why."""

    version = StrictInteger(min_value=1, required=False)
    reason = Text(max_length=2000)


class ProblemLine(serializers.Serializer[Any]):
    """One thing wrong with a document."""

    path = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)


class CheckedSerializer(serializers.Serializer[Any]):
    """Everything wrong with a document; nothing if it may be published."""

    problems = ProblemLine(many=True)


class WorkflowVersionSerializer(serializers.Serializer[Any]):
    """One version."""

    number = serializers.IntegerField()
    state = serializers.CharField()
    digest = serializers.CharField()
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)


class WorkflowLine(serializers.Serializer[Any]):
    """A workflow in a list."""

    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    unit = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    risk = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    retired = serializers.BooleanField()


class WorkflowSerializer(WorkflowLine):
    """A workflow with its versions and the text in force."""

    versions = WorkflowVersionSerializer(many=True)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment] # the interface's word


class WorkflowPage(serializers.Serializer[Any]):
    """A page of workflows."""

    results = WorkflowLine(many=True)
    next = serializers.CharField(allow_null=True)


def line_json(row: Workflow) -> dict[str, Any]:
    """The workflow as ``WorkflowLine`` describes it."""
    return {
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "unit": row.unit.slug,
        "owner": row.owner.username if row.owner else None,
        "risk": row.risk,
        "version": row.active.number if row.active else None,
        "retired": row.retired_at is not None,
    }


def version_json(version: WorkflowVersion) -> dict[str, Any]:
    """The version as ``WorkflowVersionSerializer`` describes it."""
    return {
        "number": version.number,
        "state": version.state,
        "digest": version.digest,
        "made_by": version.made_by.username,
        "created_at": version.created_at,
        "published_at": version.published_at,
    }


def workflow_json(actor: User, slug: str) -> dict[str, Any]:
    """The workflow as ``WorkflowSerializer`` describes it. Raises NotFoundError."""
    row = workflow_for(actor, slug)
    return {
        **line_json(row),
        "versions": [version_json(version) for version in versions_for(actor, row)[:50]],
        "source": row.active.source if row.active else None,
    }


def text_of(body: dict[str, Any]) -> str:
    """The text of a document, written out in the order of its keys if it came as an object."""
    if "source" in body:
        return str(body["source"])
    return yaml.safe_dump(body["document"], sort_keys=False, allow_unicode=True)


def problem_json(problem: Problem) -> dict[str, Any]:
    """The problem as ``ProblemLine`` describes it."""
    return {"path": problem.path, "message": problem.message, "line": problem.line, "column": problem.column}


class Workflows(PlaneView):
    """``/workflows/``."""

    @extend_schema(operation_id="list_workflows", responses={200: WorkflowPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Workflows, by slug."""
        known_params(request)
        rows = workflows_for(self.actor).select_related("active").defer("active__source", "active__compiled")
        return page_of(request, rows, line_json, order=("slug",))

    @extend_schema(operation_id="save_workflow", request=SourceBody, responses={201: WorkflowSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Keep a document as the next version of its workflow; nothing is in force before it is published."""
        text = text_of(self.body(SourceBody))

        def answer() -> tuple[int, Any]:
            version = save_draft(self.actor, source=text)
            return 201, workflow_json(self.actor, version.workflow.slug)

        return self.once(answer)


class WorkflowDetail(PlaneView):
    """``/workflows/{slug}/``."""

    @extend_schema(operation_id="get_workflow", responses={200: WorkflowSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One workflow with its versions and the text in force."""
        return Response(workflow_json(self.actor, slug))

    @extend_schema(operation_id="update_workflow", request=SourceBody, responses={200: WorkflowSerializer, **PROBLEMS})
    def put(self, request: Request, slug: str) -> Response:
        """Keep a document as the next version of this workflow."""
        workflow_for(self.actor, slug)
        text = text_of(self.body(SourceBody))

        def answer() -> tuple[int, Any]:
            version = save_draft(self.actor, source=text)
            if version.workflow.slug != slug:
                raise InvalidError(errors={"slug": [f"The document is of {version.workflow.slug!r}."]})
            return 200, workflow_json(self.actor, slug)

        return self.once(answer)

    @extend_schema(operation_id="retire_workflow", responses={200: WorkflowSerializer, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """No new runs from now on; open runs go on."""
        row = workflow_for(self.actor, slug)

        def answer() -> tuple[int, Any]:
            retire_workflow(self.actor, workflow=row)
            return 200, workflow_json(self.actor, slug)

        return self.once(answer)


class WorkflowCheck(PlaneView):
    """``/workflows/{slug}/check/``."""

    @extend_schema(operation_id="check_workflow", request=SourceBody, responses={200: CheckedSerializer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """Everything wrong with a document, with its lines; nothing is kept."""
        workflow_for(self.actor, slug)
        problems = check_source(self.actor, source=text_of(self.body(SourceBody)))
        return Response({"problems": [problem_json(problem) for problem in problems]})


class WorkflowPublish(PlaneView):
    """``/workflows/{slug}/publish/``."""

    @extend_schema(
        operation_id="publish_workflow", request=PublishWorkflowBody, responses={200: WorkflowSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a version in force: new runs take it, open runs keep theirs."""
        row = workflow_for(self.actor, slug)
        body = self.body(PublishWorkflowBody)
        newest = versions_for(self.actor, row).values_list("number", flat=True).first() or 0
        version = version_for(self.actor, row, body.get("version", newest))

        def answer() -> tuple[int, Any]:
            publish_version(self.actor, version=version, reason=body.get("reason", ""))
            return 200, workflow_json(self.actor, slug)

        return self.once(answer)


class WorkflowRollback(PlaneView):
    """``/workflows/{slug}/rollback/``."""

    @extend_schema(
        operation_id="rollback_workflow", request=RollbackBody, responses={200: WorkflowSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put an earlier version back in force."""
        row = workflow_for(self.actor, slug)
        body = self.body(RollbackBody)

        def answer() -> tuple[int, Any]:
            rollback_workflow(self.actor, workflow=row, number=body.get("version"), reason=body["reason"])
            return 200, workflow_json(self.actor, slug)

        return self.once(answer)
