"""Endpoints of systems: what they are, how they do, their secrets (write-only)."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_for
from apps.agents.rules import Environment
from apps.connectors import services
from apps.connectors.models import Connector, ConnectorSecret
from apps.connectors.rules import ConnectorState
from apps.connectors.selectors import MANAGE, connector_for, connectors_for, health_for, secret_for
from apps.core.api import (
    REASON,
    JsonObject,
    PlaneView,
    StrictBoolean,
    StrictSerializer,
    Text,
    known_params,
    page_of,
    reason_of,
)
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User
from apps.core.schema import PROBLEMS

WRITTEN = (
    "name", "adapter", "base_url", "allow_internal", "test_base_url", "test_allow_internal", "auth", "limits", "mail",
    "cleared",
)  # fmt: skip


class ConnectorBody(StrictSerializer):
    """A system as an admin writes it."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120)
    base_url = Text(max_length=500)
    adapter = Text(max_length=8, required=False)
    allow_internal = StrictBoolean(required=False)
    test_base_url = Text(
        max_length=500, required=False, allow_blank=True,
        help_text="Where what is asked with a test key is called; empty: it is answered without a call.",
    )  # fmt: skip
    test_allow_internal = StrictBoolean(required=False)
    auth = JsonObject(required=False)
    limits = JsonObject(required=False)
    mail = JsonObject(required=False, allow_null=True)
    cleared = serializers.ListField(
        child=Text(max_length=63), max_length=100, required=False, help_text="Data classes that may be sent to it."
    )
    unit = Text(max_length=63, required=False, allow_null=True)


class ConnectorChange(ConnectorBody):
    """What of a system can be changed; what is left out stays."""

    slug = None  # type: ignore[assignment] # the address names it
    name = Text(max_length=120, required=False)
    base_url = Text(max_length=500, required=False)


class ConnectorSerializer(serializers.Serializer[Any]):
    """A system."""

    slug = serializers.CharField()
    name = serializers.CharField()
    adapter = serializers.CharField()
    base_url = serializers.CharField()
    allow_internal = serializers.BooleanField()
    inside_asked_by = serializers.CharField(allow_null=True)
    test_base_url = serializers.CharField()
    test_allow_internal = serializers.BooleanField()
    test_inside_asked_by = serializers.CharField(allow_null=True)
    auth = serializers.JSONField()
    limits = serializers.JSONField()
    mail = serializers.JSONField(allow_null=True)
    cleared = serializers.ListField(child=serializers.CharField(), help_text="Data classes that may be sent to it.")
    unit = serializers.CharField(allow_null=True)
    state = serializers.CharField()


class SecretSerializer(serializers.Serializer[Any]):
    """What may be known of a secret: never the secret. ``state``: ``in_use``, ``stands_in``, ``destroyed``."""

    environment = serializers.CharField(help_text="What it opens: the live address, or the one for tests.")
    fingerprint = serializers.CharField()
    version = serializers.IntegerField()
    state = serializers.CharField()
    set_at = serializers.DateTimeField()
    set_by = serializers.CharField()
    replaced_at = serializers.DateTimeField(allow_null=True)
    stands_in_until = serializers.DateTimeField(allow_null=True)


class HealthSerializer(serializers.Serializer[Any]):
    """How its newest calls within a week went, at most 2,000 of them; ``interval``: 95 %, of the share of errors."""

    condition = serializers.CharField()
    last_call_at = serializers.DateTimeField(allow_null=True)
    calls = serializers.IntegerField()
    error_share = serializers.FloatField(allow_null=True)
    troubled = serializers.IntegerField()
    errors_per_1000 = serializers.IntegerField()
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    codes = serializers.DictField(child=serializers.IntegerField())
    p50_ms = serializers.IntegerField(allow_null=True)
    p95_ms = serializers.IntegerField(allow_null=True)
    waiting = serializers.IntegerField()


class ConnectorDetailSerializer(ConnectorSerializer):
    """A system with its health, and its secret's fingerprint for those who manage it."""

    secret = SecretSerializer(allow_null=True)
    test_secret = SecretSerializer(allow_null=True)
    health = HealthSerializer()


class ConnectorPage(serializers.Serializer[Any]):
    """A page of systems."""

    results = ConnectorSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ConnectorStateBody(StrictSerializer):
    """Whether the system, or the operation, may be used."""

    state = serializers.ChoiceField([state.value for state in ConnectorState])
    reason = Text(max_length=500, required=False, allow_blank=True)


def connector_json(connector: Connector) -> dict[str, Any]:
    """The system as ``ConnectorSerializer`` describes it."""
    names = ("slug", *WRITTEN, "state")
    return {
        **{name: getattr(connector, name) for name in names},
        "unit": connector.unit.slug if connector.unit else None,
        "inside_asked_by": connector.inside_asked_by and connector.inside_asked_by.username,
        "test_inside_asked_by": connector.test_inside_asked_by and connector.test_inside_asked_by.username,
    }


def secret_json(secret: ConnectorSecret) -> dict[str, Any]:
    """The version as ``SecretSerializer`` describes it."""
    names = ("environment", "fingerprint", "version", "state", "replaced_at", "stands_in_until")
    return {
        **{name: getattr(secret, name) for name in names},
        "set_at": secret.created_at,
        "set_by": secret.made_by.username,
    }


def detail_json(actor: User, connector: Connector) -> dict[str, Any]:
    """The system as ``ConnectorDetailSerializer`` describes it."""
    secret, health = secret_for(actor, connector), health_for(actor, connector)
    test_secret = secret_for(actor, connector, Environment.TEST)
    return {
        **connector_json(connector),
        "secret": secret and secret_json(secret),
        "test_secret": test_secret and secret_json(test_secret),
        "health": {**asdict(health), "error_share": health.error_share},
    }


def _unit(actor: User, slug: str | None) -> BusinessUnit | None:
    if slug is None:
        return None
    try:
        return unit_for(actor, slug, perm=MANAGE)
    except NotFoundError as error:
        raise InvalidError(errors={"unit": ["There is no such unit, or you manage no connectors there."]}) from error


class Connectors(PlaneView):
    """``/connectors/``."""

    @extend_schema(operation_id="list_connectors", responses={200: ConnectorPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Systems that you manage or may use, by slug; filters ``state``, ``q``."""
        known_params(request, "state", "q")
        rows = connectors_for(self.actor)
        for name, path in (("state", "state"), ("q", "name__icontains")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, connector_json, order=("slug",))

    @extend_schema(
        operation_id="create_connector", request=ConnectorBody, responses={201: ConnectorDetailSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Make a system; its secret follows by ``PUT /connectors/{slug}/secret/``."""
        body = self.body(ConnectorBody)
        unit = _unit(self.actor, body.pop("unit", None))

        def answer() -> tuple[int, Any]:
            return 201, detail_json(self.actor, services.make_connector(self.actor, **body, unit=unit))

        return self.once(answer)


class ConnectorDetail(PlaneView):
    """``/connectors/{slug}/``."""

    @extend_schema(operation_id="get_connector", responses={200: ConnectorDetailSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One system, its health and its secret's fingerprint."""
        return Response(detail_json(self.actor, connector_for(self.actor, slug)))

    @extend_schema(
        operation_id="change_connector", request=ConnectorChange, responses={200: ConnectorDetailSerializer, **PROBLEMS}
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change a system; what is left out stays. Another scheme, host or port drops its secret: set it again."""
        connector = connector_for(self.actor, slug)
        body = self.body(ConnectorChange)
        unit = _unit(self.actor, body.pop("unit")) if "unit" in body else connector.unit
        values = {name: body.get(name, getattr(connector, name)) for name in WRITTEN}

        def answer() -> tuple[int, Any]:
            changed, _outcome = services.save_connector(self.actor, slug=slug, **values, unit=unit, keep_secret=False)
            return 200, detail_json(self.actor, changed)

        return self.once(answer)

    @extend_schema(operation_id="retire_connector", parameters=[REASON], responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Retire a system; it acts on the next request. What it did stays on record."""
        connector = connector_for(self.actor, slug)
        services.change_connector_state(self.actor, connector=connector, to="retired", reason=reason_of(request))
        return Response(status=204)


class ConnectorStateView(PlaneView):
    """``/connectors/{slug}/state/``."""

    @extend_schema(
        operation_id="change_connector_state",
        request=ConnectorStateBody,
        responses={200: ConnectorDetailSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Use, disable or retire a system; it acts on the next request."""
        connector = connector_for(self.actor, slug)
        body = self.body(ConnectorStateBody)

        def answer() -> tuple[int, Any]:
            moved = services.change_connector_state(
                self.actor, connector=connector, to=body["state"], reason=body.get("reason", "")
            )
            return 200, detail_json(self.actor, moved)

        return self.once(answer)
