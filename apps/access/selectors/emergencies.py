"""Accounts for emergencies: what they may while they are open, who sees that one is, and what they were used for."""

from django.db.models import QuerySet

from apps.access.models import EmergencyAccess
from apps.access.rules import EMERGENCY_PERMISSIONS
from apps.core.errors import NotFoundError
from apps.core.gate import holds, recall
from apps.core.models import User

MANAGE = "access.manage_access"


def emergency_rights_of(actor: User) -> frozenset[str]:
    """What an emergency account may do, everywhere, while it is open; nothing after."""

    def ask() -> frozenset[str]:
        is_open = EmergencyAccess.objects.filter(EmergencyAccess.open(), user=actor).exists()
        return EMERGENCY_PERMISSIONS if is_open and actor.is_active else frozenset()

    return recall(actor, "access.emergency", ask)


def open_emergencies_for(actor: User) -> QuerySet[EmergencyAccess]:
    """The emergency accounts in which somebody is signed in, for whoever manages access anywhere, and for itself."""
    rows = EmergencyAccess.objects.filter(EmergencyAccess.open(), user__is_active=True).select_related("user")
    if actor.is_emergency:
        return rows.filter(user=actor)
    return rows.order_by("opened_at") if holds(actor, MANAGE) else rows.none()


def emergency_accounts_for(actor: User) -> QuerySet[User]:
    """The emergency accounts, for whoever manages access anywhere."""
    rows = User.objects.filter(is_emergency=True).order_by("username")
    return rows if holds(actor, MANAGE) else rows.none()


def emergency_account_for(actor: User, username: str) -> User:
    """One of them. Raises NotFoundError."""
    if found := emergency_accounts_for(actor).filter(username=username).first():
        return found
    raise NotFoundError


def emergency_uses_for(actor: User) -> QuerySet[EmergencyAccess]:
    """Each time that one was opened, for whoever manages access anywhere."""
    rows = EmergencyAccess.objects.filter(opened_at__isnull=False).select_related("user", "made_by")
    return rows if holds(actor, MANAGE) else rows.none()
