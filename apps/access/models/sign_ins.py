"""How people come in: tokens, sessions, emergency accounts, and who they are at identity providers."""

from datetime import timedelta
from typing import Any

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from apps.core.models import ClockTimestamp, Record, User


class PersonalToken(Record):
    """A person's token for scripts. Only its digest is kept.

    ``permissions``: which of the holder's rights it carries; None: all of them. ``read_only``: it changes nothing.
    ``alarmed_at``: when its use after its end was recorded last.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80, blank=True)
    key_id = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    permissions: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    read_only = models.BooleanField(default=False, db_default=False)
    alarmed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"token {self.key_id} of {self.user}"

    @property
    def apart(self) -> str:
        """What keeps the answers to a token with only some rights apart from its holder's."""
        return "" if self.permissions is None else f"{self.key_id} "

    @staticmethod
    def live() -> Q:
        """Not revoked, not expired, by the database's clock."""
        return Q(revoked_at=None, expires_at__gt=ClockTimestamp())

    @staticmethod
    def unused_for(time: timedelta) -> Q:
        """Not noted as used within ``time``, by the database's clock."""
        return Q(last_used_at=None) | Q(last_used_at__lt=ClockTimestamp() - time)


class Session(AbstractBaseSession):
    """One browser in which somebody is signed in, or is about to (no ``user`` yet). Kept by ``access.sessions``.

    ``ref`` names it where people read; ``session_key`` is the SHA-256 of what the cookie holds. ``seen_at``: to the
    minute. ``address`` and ``browser``: as they were at the sign-in.
    """

    LASTS, IDLE, COARSE = timedelta(hours=8), timedelta(hours=1), timedelta(minutes=1)
    is_unseen = False

    session_key = models.CharField(max_length=64, primary_key=True)
    ref = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="sessions")
    address = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=200, blank=True)
    began_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)
    seen_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta(AbstractBaseSession.Meta):
        abstract = False
        default_permissions = ()

    def __str__(self) -> str:
        return f"session {self.ref}"

    @classmethod
    def live(cls) -> Q:
        """Neither over nor left alone for too long, by the database's clock."""
        now = ClockTimestamp()
        return Q(began_at__gt=now - cls.LASTS, seen_at__gt=now - cls.IDLE, expire_date__gt=now)

    @classmethod
    def unseen(cls) -> Q:
        """Not noted as used within the last minute."""
        return Q(seen_at__lt=ClockTimestamp() - cls.COARSE)


class EmergencyAccess(Record):
    """One credential of an emergency account, and what became of it: it opens once, for an hour.

    ``session``: which one it opened. ``ended_at``: signed out, ended, withdrawn or its hour over; None while it waits
    or is open, and for a minute after its hour. ``told_at``: when tries at the account were told last.
    """

    LASTS = timedelta(hours=1)

    user = models.ForeignKey(User, models.PROTECT, related_name="emergency_accesses")
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)
    address = models.CharField(max_length=45, blank=True)
    session = models.UUIDField(null=True)
    told_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(opened_at=None, ended_at=None), name="emergency_credential_once"
            ),
            models.CheckConstraint(
                condition=Q(opened_at=None, ends_at=None, session=None) | (Q(ends_at__isnull=False) & ~Q(reason="")),
                name="emergency_says_why_and_until_when",
            ),
        ]

    def __str__(self) -> str:
        return self.user.name or self.user.username

    @staticmethod
    def waiting() -> Q:
        """Not used and not withdrawn."""
        return Q(opened_at=None, ended_at=None)

    @staticmethod
    def open() -> Q:
        """Somebody is, or may still be, signed in with it, by the database's clock."""
        return Q(opened_at__isnull=False, ended_at=None, ends_at__gt=ClockTimestamp())


class Identity(Record):
    """Who somebody is at an identity provider: ``issuer`` names them ``subject``, for ever."""

    user = models.ForeignKey(User, models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="identity_is_one_person"),
            models.UniqueConstraint(fields=["issuer", "user"], name="identity_once_at_an_issuer"),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.issuer}"


class SpentSamlAssertion(models.Model):
    """An assertion that was taken, by issuer and id as a SHA-256: it is taken once, until it is too old anyway."""

    digest = models.CharField(max_length=64, unique=True)
    until = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"assertion {self.digest[:8]}"
