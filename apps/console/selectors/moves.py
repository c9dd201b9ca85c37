"""Where an agent may go."""

from django.db.models import QuerySet

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.core.gate import visible
from apps.core.models import User


def units_to_go_to(actor: User, agent: Agent) -> QuerySet[BusinessUnit]:
    """The other units in which ``actor`` manages agents, by name."""
    rows = visible(actor, "agents.manage_agent", BusinessUnit.objects.exclude(pk=agent.unit_id))
    return rows.order_by("name", "slug")
