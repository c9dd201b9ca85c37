"""Units, roles, grants of roles, calendars, rotas, queues and absences."""

from datetime import date

from django.db import models
from django.db.models import F, Q

from apps.access.rules import OpenHours, Turns, open_hours, public_holidays, turns_of
from apps.core.models import ClockTimestamp, Record, User

HOURLY_RATE_MINOR = 6000
"""What an hour of people's time costs in a unit of which nobody said it."""


class Calendar(Record):
    """When somebody is there: a week of local times in a zone; holidays ``[{date, name}]`` and those of ``region``."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    timezone = models.CharField(max_length=60)
    hours = models.JSONField()
    holidays = models.JSONField(default=list)
    region = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return self.name

    def open_hours(self) -> OpenHours:
        """Ready for arithmetic."""
        days = [holiday["date"] for holiday in self.holidays]
        return open_hours(timezone=self.timezone, hours=self.hours, holidays=days, region=self.region)

    def closed_days(self, first: date, last: date) -> dict[date, tuple[str, bool]]:
        """The holidays of these days, in order: what each is called, and whether it is one of the region's."""
        years = range(first.year, last.year + 1) if self.region else ()
        found = {day: (name, True) for year in years for day, name in public_holidays(self.region, year).items()}
        found |= {date.fromisoformat(own["date"]): (own.get("name", ""), False) for own in self.holidays}
        return {day: found[day] for day in sorted(found) if first <= day <= last}


class BusinessUnit(Record):
    """An organisational unit. Units form a tree; what is granted in a unit holds below it."""

    UNIT = ""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    timezone = models.CharField(max_length=60, default="UTC")
    currency = models.CharField(max_length=3, default="EUR")
    calendar = models.ForeignKey(Calendar, models.PROTECT, null=True, blank=True, related_name="+")
    hourly_rate_minor = models.PositiveIntegerField(default=HOURLY_RATE_MINOR)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(parent=F("id")), name="unit_not_its_own_parent")]

    def __str__(self) -> str:
        return self.name


class Role(Record):
    """A named set of permissions."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    permissions = models.JSONField(default=list)

    class Meta:
        permissions = [("manage_access", "May manage units, people, roles and queues")]

    def __str__(self) -> str:
        return self.name


class RoleGrant(Record):
    """A role held by a user: within a unit and below, or everywhere (no unit), possibly until a time.

    ``provisioned``: it follows from the groups of a directory, and goes when they do.
    """

    UNIT = "unit"

    user = models.ForeignKey(User, models.CASCADE, related_name="role_grants")
    role = models.ForeignKey(Role, models.PROTECT, related_name="grants")
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, blank=True, related_name="role_grants")
    until = models.DateTimeField(null=True, blank=True)
    granted_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)
    provisioned = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role", "unit"],
                condition=Q(revoked_at=None),
                name="role_grant_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["user"], name="role_grant_live", condition=Q(revoked_at=None))]

    def __str__(self) -> str:
        return f"{self.user} is {self.role}"


class Rota(Record):
    """Who is on duty in a unit: ``people`` (usernames) take turns of ``days`` days from ``starts`` on, handing over at.

    ``exceptions``: ``[{from, until, user}]``, which stand before the turns.
    """

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="rotas")
    timezone = models.CharField(max_length=60)
    starts = models.DateField()
    at = models.CharField(max_length=5, default="09:00")
    days = models.PositiveSmallIntegerField(default=7)
    people = models.JSONField()
    exceptions = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name

    def turns(self) -> Turns:
        """Ready to be asked who is on duty."""
        return turns_of(
            timezone=self.timezone,
            starts=self.starts,
            at=self.at,
            days=self.days,
            people=self.people,
            exceptions=self.exceptions,
        )


class Queue(Record):
    """Where items wait: the people who hold ``role`` in the queue's unit serve it.

    ``sla_s``, ``unseen_after_s`` and the levels' ``after_s`` count open time of the calendar (the queue's, else its
    unit's, else of the nearest unit above); ``expires_s`` counts elapsed time. ``last_resort``: takes what reached the
    end of its ladder in this unit and below.
    """

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="queues")
    role = models.ForeignKey(Role, models.PROTECT, related_name="queues")
    sla_s = models.PositiveIntegerField(default=3600)
    expires_s = models.PositiveIntegerField(default=86400)
    unseen_after_s = models.PositiveIntegerField(null=True, blank=True)
    escalation = models.JSONField(default=list)
    repeat = models.PositiveSmallIntegerField(default=0)
    last_resort = models.BooleanField(default=False)
    calendar = models.ForeignKey(Calendar, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["unit"], condition=Q(last_resort=True), name="queue_one_last_resort")
        ]

    def __str__(self) -> str:
        return self.name


class Absence(Record):
    """Somebody is away from ``starts_at`` until just before ``ends_at``; ``delegate`` decides for them meanwhile.

    Who may decide is computed from these rows when it is asked; ``opened_at`` and ``closed_at`` only say that what
    follows from the beginning and the end was set going.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="absences")
    delegate = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    planned_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="absence_ends_after_it_begins"),
            models.CheckConstraint(condition=~Q(delegate=F("user")), name="absence_delegate_is_somebody_else"),
        ]
        indexes = [models.Index(fields=["ends_at"], name="absence_open", condition=Q(closed_at=None))]

    def __str__(self) -> str:
        return f"{self.user} is away"

    @staticmethod
    def now() -> Q:
        """Going on, by the database's clock."""
        return Q(starts_at__lte=ClockTimestamp(), ends_at__gt=ClockTimestamp())
