"""The agents that want looking at; what says so runs through several floors."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent
from apps.console.selectors.inventory import Stale, inventory_for, reasons_of
from apps.core.api import PlaneView, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.gate import require
from apps.core.schema import PROBLEMS


class InventorySerializer(serializers.Serializer[Any]):
    """An agent, who answers for it, and why it wants looking at."""

    agent = serializers.CharField()
    name = serializers.CharField()
    unit = serializers.CharField()
    owner = serializers.CharField()
    risk = serializers.CharField()
    state = serializers.CharField()
    stale = serializers.ListField(child=serializers.ChoiceField([stale.value for stale in Stale]))


class InventoryPage(serializers.Serializer[Any]):
    """A page of them."""

    results = InventorySerializer(many=True)
    next = serializers.CharField(allow_null=True)


def line_json(agent: Agent) -> dict[str, Any]:
    """The agent as ``InventorySerializer`` describes it."""
    return {
        "agent": agent.slug,
        "name": agent.name,
        "unit": agent.unit.slug,
        "owner": agent.owner.username,
        "risk": agent.risk,
        "state": agent.state,
        "stale": [reason.value for reason in reasons_of(agent)],
    }


class Inventory(PlaneView):
    """``/inventory/``."""

    @extend_schema(
        operation_id="list_inventory",
        parameters=[OpenApiParameter("stale", str, enum=[stale.value for stale in Stale])],
        responses={200: InventoryPage, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Agents by slug with why each wants looking at: unused, ownerless, unmanaged, expiring, over_privileged."""
        known_params(request, "stale")
        require(self.actor, "agents.view_agent")
        stale = request.query_params.get("stale", "")
        if stale and stale not in list(Stale):
            raise InvalidError(errors={"stale": [f"One of: {', '.join(Stale)}."]})
        return page_of(request, inventory_for(self.actor, stale=stale), line_json, order=("slug",))
