"""Spans, for people who may see the agents that sent them."""

from django.db.models import QuerySet

from apps.core.gate import visible
from apps.core.models import User
from apps.telemetry.models import Span

VIEW = "agents.view_agent"


def spans_for(actor: User) -> QuerySet[Span]:
    """Spans of the agents that ``actor`` may see, newest first."""
    return visible(actor, VIEW, Span.objects.select_related("agent", "usage")).order_by("-id")
