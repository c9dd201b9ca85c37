"""Endpoints of operations, and of the operations that I may use."""

from dataclasses import fields as fields_of
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import EffectClass
from apps.connectors import services
from apps.connectors.api.connectors import ConnectorStateBody
from apps.connectors.api.permissions import LimitSerializer, limit_json
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import ALL_METHODS, ExecutedBy, Idempotency, OnConflict, OperationSpec
from apps.connectors.selectors import Permitted, all_operations_for, connector_for, operation_for, operations_for
from apps.core.api import (
    REASON,
    JsonObject,
    PlaneView,
    StrictInteger,
    StrictSerializer,
    Text,
    known_params,
    page_of,
    reason_of,
)
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User
from apps.core.schema import PROBLEMS

SPEC = tuple(field.name for field in fields_of(OperationSpec))


class OperationBody(StrictSerializer):
    """An operation as an admin writes it."""

    slug = Text(max_length=120)
    connector = Text(max_length=63)
    name = Text(max_length=160)
    method = serializers.ChoiceField(ALL_METHODS)
    path = Text(max_length=500)
    effect = serializers.ChoiceField([effect.value for effect in EffectClass])
    parameters = JsonObject(required=False)
    execution = serializers.ChoiceField([way.value for way in ExecutedBy], required=False)
    amount = JsonObject(required=False, allow_null=True)
    target = Text(max_length=200, required=False, allow_blank=True)
    consequence = Text(max_length=500, required=False, allow_blank=True)
    idempotency = serializers.ChoiceField([way.value for way in Idempotency], required=False)
    timeout_s = StrictInteger(min_value=1, max_value=120, required=False)
    compensation = JsonObject(required=False, allow_null=True)
    on_file = JsonObject(required=False, allow_null=True)
    dry_run = JsonObject(required=False, allow_null=True)
    verify = JsonObject(required=False, allow_null=True)
    exclusive = Text(
        max_length=500, required=False, allow_blank=True,
        help_text="CEL over `request`: the key that one action at a time holds while it is carried out.",
    )  # fmt: skip
    on_conflict = serializers.ChoiceField(
        [way.value for way in OnConflict], required=False, help_text="What becomes of an action whose key is held."
    )
    mail = JsonObject(required=False, allow_null=True)
    query = Text(
        max_length=10_000, required=False, allow_blank=True, help_text="The statement that a database is asked."
    )
    tool = JsonObject(required=False, allow_null=True)
    fee_minor = StrictInteger(min_value=0, max_value=2**31 - 1, required=False)


class OperationChange(OperationBody):
    """What of an operation can be changed; what is left out stays."""

    slug = None  # type: ignore[assignment] # the address names it
    connector = None  # type: ignore[assignment] # an operation stays with its connector
    name = Text(max_length=160, required=False)
    method = serializers.ChoiceField(ALL_METHODS, required=False)
    path = Text(max_length=500, required=False)
    effect = serializers.ChoiceField([effect.value for effect in EffectClass], required=False)


class OperationSerializer(serializers.Serializer[Any]):
    """An operation."""

    slug = serializers.CharField()
    connector = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    state = serializers.CharField()
    method = serializers.CharField()
    path = serializers.CharField()
    effect = serializers.CharField()
    parameters = serializers.JSONField()
    execution = serializers.CharField()
    amount = serializers.JSONField(allow_null=True)
    target = serializers.CharField()
    consequence = serializers.CharField()
    idempotency = serializers.CharField()
    timeout_s = serializers.IntegerField()
    compensation = serializers.JSONField(allow_null=True)
    on_file = serializers.JSONField(allow_null=True)
    dry_run = serializers.JSONField(allow_null=True)
    verify = serializers.JSONField(allow_null=True)
    exclusive = serializers.CharField()
    on_conflict = serializers.CharField()
    mail = serializers.JSONField(allow_null=True)
    query = serializers.CharField()
    tool = serializers.JSONField(allow_null=True)
    fee_minor = serializers.IntegerField()


class OperationPage(serializers.Serializer[Any]):
    """A page of operations."""

    results = OperationSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class MyOperationSerializer(serializers.Serializer[Any]):
    """An operation that I may use: ``parameters`` is its schema, narrowed to what my permission covers."""

    slug = serializers.CharField()
    operation = serializers.CharField()
    name = serializers.CharField()
    connector = serializers.CharField()
    effect = serializers.CharField()
    execution = serializers.CharField()
    parameters = serializers.JSONField()
    fields = serializers.ListField(child=serializers.CharField(), allow_null=True)  # type: ignore[assignment] # its name in the interface
    until = serializers.DateTimeField(allow_null=True)
    limit = LimitSerializer(allow_null=True)
    consequence = serializers.CharField()


class MyOperations(serializers.Serializer[Any]):
    """All of them; there is no next page."""

    results = MyOperationSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def operation_json(operation: Operation) -> dict[str, Any]:
    """The operation as ``OperationSerializer`` describes it."""
    names = ("slug", "version", "state", *SPEC)
    return {**{name: getattr(operation, name) for name in names}, "connector": operation.connector.slug}


def my_operation_json(permitted: Permitted) -> dict[str, Any]:
    """What a principal needs to use an operation."""
    operation = permitted.operation
    return {
        "slug": operation.slug,
        "operation": operation.slug,
        "name": operation.name,
        "connector": operation.connector.slug,
        "effect": operation.effect,
        "execution": operation.execution,
        "parameters": permitted.schema,
        "fields": permitted.fields,
        "until": permitted.until,
        "limit": limit_json(permitted.limit),
        "consequence": operation.consequence,
    }


def _connector(actor: User, slug: str) -> Connector:
    try:
        return connector_for(actor, slug)
    except NotFoundError as error:
        raise InvalidError(errors={"connector": ["There is no such connector."]}) from error


class MyOperationsView(PlaneView):
    """``/me/operations/``."""

    @extend_schema(operation_id="list_my_operations", responses={200: MyOperations, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """The operations I may use now, each with its parameter schema."""
        known_params(request)
        return Response({"results": [my_operation_json(found) for found in operations_for(self.actor)], "next": None})


class Operations(PlaneView):
    """``/operations/``."""

    @extend_schema(operation_id="list_operations", responses={200: OperationPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Operations of the systems that you see, by slug; filters ``connector``, ``effect``, ``state``, ``q``.

        ``waiting`` (``new``, ``changed``, ``removed``): imported ones that a person should look at.
        """
        known_params(request, "connector", "effect", "state", "waiting", "q")
        rows = all_operations_for(self.actor)
        paths = {"connector": "connector__slug", "effect": "effect", "state": "state", "q": "slug__icontains"}
        paths["waiting"] = "pin__waiting"
        for name, path in paths.items():
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, operation_json, order=("slug",))

    @extend_schema(
        operation_id="create_operation", request=OperationBody, responses={201: OperationSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make an operation. Nobody may use it until it is granted."""
        body = self.body(OperationBody)
        slug, connector = body.pop("slug"), _connector(self.actor, body.pop("connector"))

        def answer() -> tuple[int, Any]:
            if Operation.objects.filter(slug=slug).exists():
                raise ConflictError("An operation with this slug exists.")
            made, _outcome = services.save_operation(
                self.actor, slug=slug, connector=connector, spec=OperationSpec(**body)
            )
            return 201, operation_json(made)

        return self.once(answer)


class OperationDetail(PlaneView):
    """``/operations/{slug}/``."""

    @extend_schema(operation_id="get_operation", responses={200: OperationSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One operation."""
        return Response(operation_json(operation_for(self.actor, slug)))

    @extend_schema(
        operation_id="change_operation", request=OperationChange, responses={200: OperationSerializer, **PROBLEMS}
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change an operation; what is left out stays."""
        operation = operation_for(self.actor, slug)
        body = self.body(OperationChange)
        spec = OperationSpec(**{name: body.get(name, getattr(operation, name)) for name in SPEC})

        def answer() -> tuple[int, Any]:
            changed, _outcome = services.save_operation(self.actor, slug=slug, connector=operation.connector, spec=spec)
            return 200, operation_json(changed)

        return self.once(answer)

    @extend_schema(operation_id="retire_operation", parameters=[REASON], responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Retire an operation; it acts on the next request."""
        operation = operation_for(self.actor, slug)
        services.change_operation_state(self.actor, operation=operation, to="retired", reason=reason_of(request))
        return Response(status=204)


class OperationStateView(PlaneView):
    """``/operations/{slug}/state/``."""

    @extend_schema(
        operation_id="change_operation_state",
        request=ConnectorStateBody,
        responses={200: OperationSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Use, disable or retire an operation; it acts on the next request."""
        operation = operation_for(self.actor, slug)
        body = self.body(ConnectorStateBody)

        def answer() -> tuple[int, Any]:
            moved = services.change_operation_state(
                self.actor, operation=operation, to=body["state"], reason=body.get("reason", "")
            )
            return 200, operation_json(moved)

        return self.once(answer)
