"""Who is where: units, roles, queues and calendars, people from directories, and how people sign in."""

from apps.access.models.directory import DirectoryAccount, DirectoryGroup, GroupMapping
from apps.access.models.sign_ins import EmergencyAccess, Identity, PersonalToken, Session, SpentSamlAssertion
from apps.access.models.units import HOURLY_RATE_MINOR, Absence, BusinessUnit, Calendar, Queue, Role, RoleGrant, Rota

__all__ = [
    "HOURLY_RATE_MINOR",
    "Absence",
    "BusinessUnit",
    "Calendar",
    "DirectoryAccount",
    "DirectoryGroup",
    "EmergencyAccess",
    "GroupMapping",
    "Identity",
    "PersonalToken",
    "Queue",
    "Role",
    "RoleGrant",
    "Rota",
    "Session",
    "SpentSamlAssertion",
]
