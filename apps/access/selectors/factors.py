"""Of whom a second factor is demanded."""

from allauth.mfa.models import Authenticator
from django.conf import settings

from apps.access.models import RoleGrant
from apps.access.rules import EMERGENCY_PERMISSIONS, PERMISSIONS
from apps.access.selectors.scopes import live_grants
from apps.core.models import ObjectGrant, User

GRAVE = frozenset(PERMISSIONS) - EMERGENCY_PERMISSIONS
"""Whatever does more than look and stop: who decides, starts, releases, lifts or administers."""


def is_factor_demanded_of(user: User) -> bool:
    """Whether this person has to prove a second factor before anything else, as their rights are now.

    Not an emergency account, whose credential is no password that somebody chose: it is random and opens it once.
    """
    if settings.ACP_SECOND_FACTOR == "offered" or not user.is_human or user.is_emergency:
        return False
    return settings.ACP_SECOND_FACTOR == "everybody" or user.is_staff or holds_grave_rights(user)


def holds_grave_rights(user: User) -> bool:
    """Whether somebody may do more than look and stop: by a role, or on a single object."""
    roles = RoleGrant.objects.filter(live_grants(), user=user, role__permissions__has_any_keys=sorted(GRAVE))
    if roles.exists():
        return True
    light = [name.partition(".")[2] for name in EMERGENCY_PERMISSIONS]
    return any(
        model._default_manager.filter(model.live(), user=user).exclude(permission__codename__in=light).exists()
        for model in ObjectGrant.__subclasses__()
    )


def factors_of(user: User) -> list[str]:
    """Which second factors somebody has: ``totp``, ``webauthn``; recovery codes come with them."""
    rows = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return sorted(set(rows.values_list("type", flat=True)))
