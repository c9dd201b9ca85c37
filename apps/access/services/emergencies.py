"""Commands on accounts for emergencies: nobody's own, opened with a sealed credential, once, for an hour, aloud.

What such an account may do is ``EMERGENCY_PERMISSIONS``, while it is open. It holds no role, so nothing that asks by
roles whom to count, to tell or to let decide ever finds it.
"""

import secrets
from datetime import timedelta
from uuid import UUID

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.models import EmergencyAccess, Session
from apps.access.selectors import RESERVED
from apps.access.services.units import require_manager
from apps.audit.models import Entry
from apps.audit.services import record
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import refuse_limited
from apps.core.models import ClockTimestamp, User
from apps.core.rules import UserKind
from apps.core.services import system_user

LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""What nobody mistakes for another when they read it from paper."""
GROUPS, IN_GROUP = 6, 5
"""Thirty letters of thirty-one: 148 bits, which nobody guesses."""
REASON_MIN, REASON_MAX = 10, 500
TELL_EVERY = timedelta(hours=1)
"""However often somebody tries an emergency account, people are told once in this time."""


@transaction.atomic
def arm_emergency(actor: User, *, username: str) -> tuple[EmergencyAccess, str]:
    """Give an emergency account, made if there is none of this name, a new credential; its text, shown once.

    Whatever opened it before opens nothing any more, and whoever is signed in with it is out.
    """
    require_manager(actor, None)
    refuse_limited(actor)
    user = User.objects.select_for_update(no_key=True).filter(username__iexact=username).first() or _new(username)
    if not user.is_emergency:
        raise InvalidError(errors={"username": [_("Somebody has this name: an emergency account is nobody's own.")]})
    _end(actor, user, why="replaced")
    text = "-".join("".join(secrets.choice(LETTERS) for _n in range(IN_GROUP)) for _group in range(GROUPS))
    user.set_password(text)
    user.is_active = True
    user.save()
    row = EmergencyAccess.objects.create(user=user, made_by=actor)
    record(actor, row, "armed", payload={"user": user.username})
    return row, text


def _new(username: str) -> User:
    if username.lower() in RESERVED:
        raise InvalidError(errors={"username": [_("The plane's own users have this name.")]})
    try:
        UnicodeUsernameValidator()(username)
    except ValidationError as error:
        raise InvalidError(errors={"username": error.messages}) from error
    return User(username=username, name=username, kind=UserKind.HUMAN, is_emergency=True)


@transaction.atomic
def withdraw_emergency(actor: User, *, user: User) -> None:
    """Void an account's credential and end what it opened, at once. Raises NotFoundError where there is neither."""
    require_manager(actor, None)
    refuse_limited(actor)
    found = User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_emergency=True).first()
    if found is None or not _end(actor, found, why="withdrawn"):
        raise NotFoundError
    found.set_unusable_password()
    found.save(update_fields=["password"])


def _end(actor: User, user: User, *, why: str) -> int:
    """End what waits and what is open; how many."""
    rows = list(EmergencyAccess.objects.select_for_update().filter(_standing(), user=user))
    for row in rows:
        EmergencyAccess.objects.filter(pk=row.pk).update(ended_at=ClockTimestamp())
        record(actor, row, "ended", payload={"user": user.username, "why": why})
    for session in Session.objects.select_for_update().filter(user=user):
        session.delete()
        record(actor, user, "user.session_ended", payload={"session": str(session.ref), "why": why})
    return len(rows)


def _standing() -> Q:
    return EmergencyAccess.waiting() | EmergencyAccess.open()


@transaction.atomic
def open_emergency(user: User, *, reason: str, address: str) -> EmergencyAccess:
    """Spend the credential that ``user`` has just shown, and say why; of two at once, one. Raises NotAllowedError.

    From here on its text is worth nothing, whatever becomes of the sign-in. ``reason``: 10 to 500 characters.
    """
    # as whoever gives it another credential does first
    now = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    waiting = EmergencyAccess.objects.filter(EmergencyAccess.waiting(), user=user)
    if not now.is_active or now.password != user.password:
        raise NotAllowedError(_("This credential is used up. Another administrator makes a new one."))
    opened = waiting.update(
        opened_at=ClockTimestamp(), ends_at=ClockTimestamp() + EmergencyAccess.LASTS, reason=reason, address=address
    )
    if opened != 1:
        raise NotAllowedError(_("This credential is used up. Another administrator makes a new one."))
    user.set_unusable_password()
    user.save(update_fields=["password"])
    row = EmergencyAccess.objects.select_related("user").filter(user=user, opened_at__isnull=False).latest("opened_at")
    record(user, row, "opened", payload={"user": user.username, "reason": reason, "address": address})
    return row


def bind_emergency(row: EmergencyAccess, *, session: UUID) -> None:
    """Note which session it opened: with that it ends."""
    EmergencyAccess.objects.filter(pk=row.pk).update(session=session)


def end_emergency(actor: User, *, session: UUID, why: str) -> None:
    """The session that an emergency account opened is over. Call with what ends the session."""
    for row in EmergencyAccess.objects.select_for_update().filter(EmergencyAccess.open(), session=session):
        EmergencyAccess.objects.filter(pk=row.pk).update(ended_at=ClockTimestamp())
        record(actor, row, "ended", payload={"user": row.user.username, "why": why})


@transaction.atomic
def sweep_emergencies() -> int:
    """Each minute: note that the hour of an opening is over, for which nobody signed out; how many."""
    plane = system_user("plane")
    rows = EmergencyAccess.objects.select_for_update(of=("self",), skip_locked=True).select_related("user")
    over = list(rows.filter(opened_at__isnull=False, ended_at=None, ends_at__lte=ClockTimestamp()))
    for row in over:
        EmergencyAccess.objects.filter(pk=row.pk).update(ended_at=row.ends_at)
        record(plane, row, "ended", payload={"user": row.user.username, "why": "hour_over"})
    return len(over)


@transaction.atomic
def note_emergency_try(user: User, *, address: str) -> None:
    """Somebody failed to sign in by the name of an emergency account; people are told, once an hour."""
    row = EmergencyAccess.objects.filter(user=user).order_by("-created_at").first()
    silent = Q(told_at=None) | Q(told_at__lt=ClockTimestamp() - TELL_EVERY)
    if row and EmergencyAccess.objects.filter(silent, pk=row.pk).update(told_at=ClockTimestamp()):
        record(system_user("plane"), row, "tried", payload={"user": user.username, "address": address})


@transaction.atomic
def note_emergency_change(actor: User, *, entry: Entry) -> None:
    """Something was changed with an emergency account: on the trail of its opening, so that people are told of it."""
    row = EmergencyAccess.objects.filter(user=entry.actor_id, opened_at__isnull=False).latest("opened_at")
    told = {"entry": entry.id, "name": entry.name, "kind": entry.subject_kind}
    record(actor, row, "emergencyaccess.used", payload=told)
