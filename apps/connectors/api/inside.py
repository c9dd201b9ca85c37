"""The endpoint of inside addresses: another person than the one who asked allows or refuses them."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import Environment
from apps.connectors import services
from apps.connectors.api.connectors import ConnectorDetailSerializer, detail_json
from apps.connectors.selectors import connector_for
from apps.core.api import PlaneView, StrictSerializer, Text
from apps.core.schema import PROBLEMS


class InsideBody(StrictSerializer):
    """The answer, and the host with its port that was seen when it was given. ``environment``: of which address."""

    answer = serializers.ChoiceField(["allow", "refuse"])
    host = Text(max_length=300)
    environment = serializers.ChoiceField([one.value for one in Environment], required=False)


class ConnectorInside(PlaneView):
    """``/connectors/{slug}/inside/``."""

    @extend_schema(
        operation_id="decide_connector_inside",
        request=InsideBody,
        responses={200: ConnectorDetailSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Allow a system of one's own network that somebody else asked for, or refuse it."""
        connector = connector_for(self.actor, slug)
        body = self.body(InsideBody)
        where = body.get("environment", Environment.LIVE)
        if body["answer"] == "allow":
            decided = services.allow_inside(self.actor, connector=connector, host=body["host"], environment=where)
        else:
            decided = services.refuse_inside(self.actor, connector=connector, environment=where)
        return Response(detail_json(self.actor, decided))
