"""The user, and what every row has."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, override
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from guardian.models import UserObjectPermissionBase
from uuid_utils.compat import uuid7

from apps.core.rules import Moves, UserKind


class ClockTimestamp(models.Func):
    """PostgreSQL's ``clock_timestamp()``: the time now, not the transaction's. Deadlines compare with it."""

    function = "clock_timestamp"
    template = "%(function)s()"
    output_field = models.DateTimeField()


@models.Field.register_lookup
class AnyOf(models.Lookup[Any]):
    """``pk__any_of=[...]``: as ``__in`` with one parameter, however long the list; a statement holds 65,535 of them."""

    lookup_name = "any_of"
    prepare_rhs = False

    @override
    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """``column = ANY(array)``."""
        column, parameters = self.process_lhs(compiler, connection)
        if hasattr(self.rhs, "as_sql"):
            array, values = compiler.compile(self.rhs)
            return f"{column} = ANY({array})", [*parameters, *values]
        return f"{column} = ANY(%s)", [*parameters, list(self.rhs)]


def database_now() -> datetime:
    """The database's clock, for arithmetic that SQL does not know, such as open hours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now


def choices_of(states: type[StrEnum]) -> list[tuple[str, str]]:
    """``(value, label)`` pairs for a model field."""
    return [(state.value, state.name.replace("_", " ").capitalize()) for state in states]


class User(AbstractUser):
    """Any principal that signs in or calls: a person, an agent, or a system such as the plane itself.

    ``is_emergency``: nobody's own account, for emergencies alone (``access.services.emergencies``).
    ``shortcuts``: a person's own keys (``core.shortcuts``), ``{"off": bool, "keys": {key: pressed}}``; comfort only.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=8, choices=choices_of(UserKind), default=UserKind.HUMAN)
    name = models.CharField(_("name"), max_length=120, blank=True)
    is_emergency = models.BooleanField(default=False, db_default=False)
    first_name = None  # type: ignore[assignment] # one name; people's names do not split in two
    last_name = None  # type: ignore[assignment] # as above
    shortcuts: "models.JSONField[Any, Any]" = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(is_superuser=False), name="user_never_superuser"),
            models.CheckConstraint(condition=Q(is_staff=False) | Q(kind="human"), name="user_staff_is_human"),
            models.CheckConstraint(
                condition=Q(is_emergency=False) | Q(kind="human", is_staff=False, email=""),
                name="user_emergency_is_human_and_has_no_mail",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.username

    @property
    def is_human(self) -> bool:
        """Only people vote, decide and lift halts."""
        return self.kind == UserKind.HUMAN

    @property
    def is_agent(self) -> bool:
        """Agents command nothing of governance, whatever they were granted."""
        return self.kind == UserKind.AGENT


class Record(models.Model):
    """A row with a time-ordered key and a birth time from the database's clock."""

    UNIT: ClassVar[str | None] = None
    """Lookup path from the row to its business unit; the gate filters by it. None: belongs to no unit."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        abstract = True

    @property
    def trail(self) -> UUID:
        """The thread an auditor pulls: the run, or the action where there is no run."""
        return self.id


class Stateful(Record):
    """A row that lives through states. ``MOVES`` is its whole life; ``audit.services.advance`` its only way on."""

    MOVES: ClassVar[Moves]
    state: "models.CharField[Any, Any]"

    class Meta:
        abstract = True


class Erasable(models.Model):
    """A row whose words and parameters can be erased for good; states, digests, amounts, who and when stay."""

    erased_at = models.DateTimeField(null=True)
    erased_by = models.CharField(max_length=150, db_default="", default="")

    class Meta:
        abstract = True

    @property
    def erased(self) -> dict[str, Any] | None:
        """``{at, by}``; None where it still stands."""
        return {"at": self.erased_at, "by": self.erased_by} if self.erased_at else None


class ObjectGrant(UserObjectPermissionBase):
    """A direct grant on one object, until a time, by somebody, for a reason. The subclass names ``content_object``."""

    until = models.DateTimeField(null=True, blank=True)
    granted_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    granted_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)
    reason = models.CharField(max_length=500, blank=True)

    @staticmethod
    def live() -> models.Q:
        """Not ended, by the database's clock."""
        return models.Q(until=None) | models.Q(until__gt=ClockTimestamp())

    class Meta(UserObjectPermissionBase.Meta):
        abstract = True


class IdempotencyKey(models.Model):
    """The answer that a principal's write with this key was given; kept 48 hours."""

    principal = models.ForeignKey(User, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    scope = models.CharField(max_length=200)
    digest = models.CharField(max_length=71)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["principal", "scope", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return self.key


class Heartbeat(models.Model):
    """When a process of the plane was last alive; `/readyz` reads it."""

    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=120)
    at = models.DateTimeField(db_default=ClockTimestamp())
    details = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="heartbeat_once_per_process")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
