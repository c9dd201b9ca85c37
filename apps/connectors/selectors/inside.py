"""Inside addresses that wait for another person, and who that could be."""

from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit
from apps.access.selectors import holders_for
from apps.connectors.models import Connector
from apps.core.gate import visible
from apps.core.models import User

MANAGE = "connectors.manage_connector"


def inside_waiting_for(actor: User) -> QuerySet[Connector]:
    """Systems of which somebody else asks for an inside address, where ``actor`` manages systems."""
    asked = Q(inside_asked_by__isnull=False) | Q(test_inside_asked_by__isnull=False)
    rows = Connector.objects.filter(asked).exclude(inside_asked_by=actor, test_inside_asked_by=None)
    return visible(actor, MANAGE, rows.exclude(test_inside_asked_by=actor, inside_asked_by=None)).order_by("slug")


def others_who_allow(actor: User, units: list[BusinessUnit | None], *, asked_by: User) -> list[User]:
    """The people other than who asked who manage systems in each of ``units`` (None: everywhere), by name."""
    each = [list(holders_for(actor, MANAGE, unit.pk if unit else None)) for unit in units]
    return [person for person in each[0] if person != asked_by and all(person in people for people in each[1:])]
