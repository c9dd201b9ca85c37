"""Engaged and lifted kill switches."""

from django.db import models
from django.db.models import Q

from apps.access.models import BusinessUnit
from apps.core.models import Record, User, choices_of
from apps.halts.rules import BreakerKind, HaltScope


class Halt(Record):
    """A kill switch that somebody engaged. Nothing within its scope starts until somebody else lifts it."""

    UNIT = "unit"

    scope = models.CharField(max_length=12, choices=choices_of(HaltScope))
    target = models.CharField(max_length=120, blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    engaged_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    lifted_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        permissions = [("engage_halt", "May stop things"), ("lift_halt", "May lift a halt")]
        constraints = [
            models.CheckConstraint(condition=Q(scope="everything") ^ ~Q(target=""), name="halt_names_its_target"),
            models.CheckConstraint(
                condition=Q(lifted_by=None) | ~Q(lifted_by=models.F("engaged_by")), name="halt_lifted_by_another"
            ),
            models.UniqueConstraint(fields=["scope", "target"], condition=Q(lifted_at=None), name="halt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}".strip()


class Breaker(Record):
    """A rule that engages a halt by itself: so many of ``kind`` within ``window_s`` seconds.

    ``target``: a slug of its scope; empty: each agent, version or system by itself. ``threshold``: a count; of
    ``volume`` how many times the usual most; of ``spend`` minor units of ``currency``.
    """

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=choices_of(BreakerKind))
    scope = models.CharField(max_length=12, choices=choices_of(HaltScope))
    target = models.CharField(max_length=120, blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    threshold = models.BigIntegerField()
    window_s = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(threshold__gt=0, window_s__gt=0), name="breaker_counts_something"),
            models.CheckConstraint(
                condition=Q(kind=BreakerKind.SPEND) ^ Q(currency=""), name="breaker_of_money_has_a_currency"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Trip(Record):
    """One time that a breaker opened: the halt that it engaged, what it had counted, and what was in flight."""

    breaker = models.ForeignKey(Breaker, models.PROTECT, related_name="trips")
    halt = models.OneToOneField(Halt, models.CASCADE, related_name="trip")
    measured = models.BigIntegerField()
    threshold = models.BigIntegerField()
    in_flight = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.breaker}: {self.measured}"


class Pace(models.Model):
    """The most that an agent usually asks for in a minute: the 99th percentile of its minutes in seven days."""

    agent = models.CharField(max_length=63, unique=True)
    p99 = models.PositiveIntegerField()
    minutes = models.PositiveIntegerField()
    computed_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.p99} a minute by {self.agent}"
