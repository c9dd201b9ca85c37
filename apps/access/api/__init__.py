"""Endpoints of units, roles, people, calendars and queues."""

from apps.access.api.people import People, Roles, Units
from apps.access.api.queues import Calendars, Queues

__all__ = ["Calendars", "People", "Queues", "Roles", "Units"]
