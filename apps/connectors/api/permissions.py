"""Endpoints of what an agent may use. People grant, narrow and revoke; an agent only reads."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent
from apps.agents.selectors import agent_for, agents_for
from apps.connectors import services
from apps.connectors.models import Operation
from apps.connectors.rules import Money
from apps.connectors.selectors import MayUse, operation_for, what_agent_may_for
from apps.core.api import REASON, PlaneView, StrictInteger, StrictSerializer, Text, known_params, reason_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS


class LimitBody(StrictSerializer):
    """The most that one use may move."""

    amount_minor = StrictInteger(min_value=0, max_value=MAX_INTEGER)
    currency = Text(min_length=3, max_length=3)


class LimitSerializer(serializers.Serializer[Any]):
    """The most that one use may move."""

    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()


class PermissionChange(StrictSerializer):
    """What to leave of a permission; what is left out of the body stays."""

    fields = serializers.ListField(child=Text(max_length=200), max_length=200, allow_null=True, required=False)  # type: ignore[assignment] # its name in the interface
    until = serializers.DateTimeField(required=False, allow_null=True)
    limit = LimitBody(required=False, allow_null=True)
    reason = Text(max_length=500, required=False, allow_blank=True)


class PermissionBody(PermissionChange):
    """A permission: an operation, some of its parameter paths (null: all), up to a limit, until a time."""

    operation = Text(max_length=120)


class PermissionSerializer(serializers.Serializer[Any]):
    """A permission, and what was made of it in the last 90 days."""

    operation = serializers.CharField()
    fields = serializers.ListField(child=serializers.CharField(), allow_null=True)  # type: ignore[assignment] # as above
    until = serializers.DateTimeField(allow_null=True)
    limit = LimitSerializer(allow_null=True)
    live = serializers.BooleanField()
    granted_by = serializers.CharField(allow_null=True)
    granted_at = serializers.DateTimeField()
    reason = serializers.CharField()
    used_30d = serializers.IntegerField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    most_minor = serializers.IntegerField(allow_null=True)
    missing = serializers.ListField(child=serializers.CharField())


class Permissions(serializers.Serializer[Any]):
    """All of an agent's permissions."""

    results = PermissionSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def limit_json(limit: Money | None) -> dict[str, Any] | None:
    """The limit as ``LimitSerializer`` describes it."""
    return {"amount_minor": limit.minor, "currency": limit.currency} if limit else None


def limit_of(said: dict[str, Any] | None) -> Money | None:
    """The limit that a body says."""
    return Money(said["amount_minor"], said["currency"]) if said else None


def permission_json(line: MayUse) -> dict[str, Any]:
    """The permission as ``PermissionSerializer`` describes it."""
    held = line.permission
    return {
        "operation": line.operation.slug,
        "fields": held.fields,
        "until": held.until,
        "limit": limit_json(held.limit),
        "live": line.is_live,
        "granted_by": held.granted_by.username if held.granted_by else None,
        "granted_at": held.granted_at,
        "reason": held.reason,
        "used_30d": line.used,
        "last_used_at": line.last_used_at,
        "most_minor": line.most_minor,
        "missing": line.missing,
    }


def _seen_agent(actor: User, slug: str) -> Agent:
    if found := agents_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def _one(actor: User, agent: Agent, operation: Operation) -> dict[str, Any]:
    """The permission as it is now."""
    lines = [line for line in what_agent_may_for(actor, agent) if line.operation.pk == operation.pk]
    if not lines:
        raise NotFoundError
    return permission_json(lines[0])


class AgentOperations(PlaneView):
    """``/agents/{slug}/operations/``."""

    @extend_schema(operation_id="list_agent_operations", responses={200: Permissions, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """What an agent may use, by whom and until when it was granted, and its use in 90 days."""
        known_params(request)
        lines = what_agent_may_for(self.actor, _seen_agent(self.actor, slug))
        return Response({"results": [permission_json(line) for line in lines], "next": None})

    @extend_schema(
        operation_id="grant_agent_operation",
        request=PermissionBody,
        responses={200: PermissionSerializer, 201: PermissionSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Grant an operation, in place of what the agent had of it; acts on its next request."""
        agent = agent_for(self.actor, slug)
        body = self.body(PermissionBody)
        try:
            operation = operation_for(self.actor, body["operation"])
        except NotFoundError as error:
            raise InvalidError(errors={"operation": ["There is no such operation."]}) from error

        def answer() -> tuple[int, Any]:
            _held, outcome = services.grant_operation(
                self.actor,
                holder=agent.user,
                operation=operation,
                fields=body.get("fields"),
                until=body.get("until"),
                limit=limit_of(body.get("limit")),
                reason=body.get("reason", ""),
            )
            return (201 if outcome == "created" else 200), _one(self.actor, agent, operation)

        return self.once(answer)


class AgentOperation(PlaneView):
    """``/agents/{slug}/operations/{operation}/``."""

    @extend_schema(
        operation_id="narrow_agent_operation",
        request=PermissionChange,
        responses={200: PermissionSerializer, **PROBLEMS},
    )
    def patch(self, request: Request, slug: str, operation: str) -> Response:
        """Leave less of a permission: fewer fields, an earlier end, a lower limit; acts on the agent's next request."""
        agent, found = agent_for(self.actor, slug), operation_for(self.actor, operation)
        body = self.body(PermissionChange)

        def answer() -> tuple[int, Any]:
            held = _one(self.actor, agent, found)
            services.narrow_operation(
                self.actor,
                holder=agent.user,
                operation=found,
                fields=body.get("fields", held["fields"]),
                until=body.get("until", held["until"]),
                limit=limit_of(body.get("limit", held["limit"])),
                reason=body.get("reason", ""),
            )
            return 200, _one(self.actor, agent, found)

        return self.once(answer)

    @extend_schema(operation_id="revoke_agent_operation", parameters=[REASON], responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str, operation: str) -> Response:
        """Revoke a permission; acts on the agent's next request."""
        agent, found = agent_for(self.actor, slug), operation_for(self.actor, operation)
        services.revoke_operation(self.actor, holder=agent.user, operation=found, reason=reason_of(request))
        return Response(status=204)
