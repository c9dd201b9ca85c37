"""Commands on second factors of others: of whoever lost the device and the recovery codes."""

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.selectors import factors_of, holds_grave_rights
from apps.access.services.seconds import require_two_by_name
from apps.access.services.sessions import end_sessions_of, hold_account
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import refuse_emergency, refuse_limited
from apps.core.models import User

MANAGE = "access.manage_access"
REASON_MAX = 500


@transaction.atomic
def reset_factors(actor: User, *, user: User, reason: str, second: User | None = None) -> list[str]:
    """Take somebody's second factors and recovery codes away and end their sessions; which kinds they were.

    In production it takes two people where ``user`` may do more than look and stop. Raises NotAllowedError, also of
    one's own; InvalidError without a reason; ConflictError where there is none.
    """
    require_manager(actor, None)
    refuse_limited(actor)
    refuse_emergency(user)
    if user.pk in {actor.pk, second.pk if second else None}:
        raise NotAllowedError(_("Nobody resets their own second factor."))
    reason = reason.strip()
    if not reason or len(reason) > REASON_MAX:
        raise InvalidError(errors={"reason": [_("Say why, and how you know that it is them, in 500 characters.")]})
    hold_account(user)
    kinds = factors_of(user)
    if not kinds:
        raise ConflictError(_("They have no second factor."))
    if holds_grave_rights(user):
        require_two_by_name(actor, user, second=second, rights=[(MANAGE, None)], at="second_factor")
    Authenticator.objects.filter(user=user).delete()
    end_sessions_of(actor, user=user)
    record(actor, user, "user.second_factors_reset", payload={"methods": kinds, "reason": reason})
    return kinds
