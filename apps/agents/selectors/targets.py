"""Which actions have the same target, also after it was erased."""

from django.conf import settings
from django.db.models import Q
from django.utils.crypto import salted_hmac

from apps.agents.models import Action


def target_digests(target: str) -> list[str]:
    """HMAC-SHA-256 of a target in hex: under today's ``SECRET_KEY``, then under those before it that are still kept.

    A target may be an account or an address, which a plain hash would tell to whoever tries them all.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac("acp.erased-target", target, key, algorithm="sha256").hexdigest() for key in keys]


def same_target(target: str) -> Q:
    """Actions with this target, erased or not. Without a target: those that never had one."""
    if not target:
        return Q(target="", erased_target="")
    return Q(target=target) | Q(target="", erased_target__in=target_digests(target))


def target_names(action: Action) -> frozenset[str]:
    """What ``target or erased_target`` of an action with the same target says; nothing where there is no target."""
    if action.target:
        return frozenset({action.target, *target_digests(action.target)})
    return frozenset({action.erased_target} - {""})
