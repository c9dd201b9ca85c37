"""Endpoints of units, roles, people, their absences, calendars and queues."""

from apps.access.api.absences import AbsenceEnd, AbsencesOf, OwnAbsences
from apps.access.api.people import People, Roles, Units
from apps.access.api.queues import CalendarDetail, Calendars, Queues, RotaDetail, Rotas
from apps.access.api.scim import (
    ScimConfig,
    ScimGroup,
    ScimGroups,
    ScimNowhere,
    ScimResourceTypes,
    ScimSchemas,
    ScimUser,
    ScimUsers,
)
from apps.access.api.sessions import OwnSession, OwnSessions, SessionsOf
from apps.access.api.tokens import OwnToken, OwnTokens

__all__ = [
    "AbsenceEnd",
    "AbsencesOf",
    "CalendarDetail",
    "Calendars",
    "OwnAbsences",
    "OwnSession",
    "OwnSessions",
    "OwnToken",
    "OwnTokens",
    "People",
    "Queues",
    "Roles",
    "RotaDetail",
    "Rotas",
    "ScimConfig",
    "ScimGroup",
    "ScimGroups",
    "ScimNowhere",
    "ScimResourceTypes",
    "ScimSchemas",
    "ScimUser",
    "ScimUsers",
    "SessionsOf",
    "Units",
]
