"""What agents were flagged for."""

from datetime import timedelta

from apps.agents.models import Agent, Repetition
from apps.core.gate import visible
from apps.core.models import ClockTimestamp, User

SHOWN_DAYS, SHOWN = 30, 5


def flags_for(actor: User, agent: Agent) -> list[Repetition]:
    """What an agent kept asking for although people rejected it, newest first: those flagged in the last 30 days."""
    since = ClockTimestamp() - timedelta(days=SHOWN_DAYS)
    rows = Repetition.objects.filter(agent=agent, flagged_at__gt=since).select_related("rejected")
    return list(visible(actor, "agents.view_agent", rows).order_by("-flagged_at")[:SHOWN])
