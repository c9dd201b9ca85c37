"""How things were, minute by minute: minutes in a row that were alike are one spell."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.core.models import choices_of
from apps.kpis.rules.uptime import Cause, Condition, Thing

CONDITIONS = {Condition.UP: _("Up"), Condition.DOWN: _("Down"), Condition.UNOBSERVED: _("Not observed")}
CAUSES = {
    Cause.SILENT: _("held no task and made no call"),
    Cause.SUSPENDED: _("suspended"),
    Cause.HALTED: _("stopped by a halt"),
    Cause.DISABLED: _("a system or an operation that it needs is disabled"),
    Cause.NO_VERSION: _("no version is active"),
    Cause.NO_AGENT: _("no agent at work may take one of its steps"),
    Cause.OUTAGE: _("most calls to a system that it needs were in trouble"),
    Cause.PLANE: _("the plane itself did not look"),
}


class MinuteSpell(models.Model):
    """Whole service minutes in a row, ``since`` included and ``until`` not, in which one thing was alike."""

    UNIT: ClassVar[str] = "unit"

    thing = models.CharField(max_length=8, choices=choices_of(Thing))
    slug = models.CharField(max_length=63)
    unit = models.UUIDField(null=True)
    condition = models.CharField(max_length=10, choices=choices_of(Condition))
    cause = models.CharField(max_length=10, choices=choices_of(Cause), blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["thing", "slug", "since"], name="minute_spell_once"),
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="minute_spell_has_minutes"),
            models.CheckConstraint(condition=Q(condition=Condition.UP) ^ ~Q(cause=""), name="minute_spell_says_why"),
        ]
        indexes = [models.Index(fields=["until"], name="minute_spell_by_end")]

    def __str__(self) -> str:
        return f"{self.slug} {self.condition}"

    @property
    def kind(self) -> str:
        """The word for its things in addresses."""
        return f"{self.thing}s"

    @property
    def condition_word(self) -> str:
        """How it was."""
        return str(CONDITIONS[Condition(self.condition)])

    @property
    def cause_words(self) -> str:
        """Why it was not up, in words."""
        return str(CAUSES[Cause(self.cause)]) if self.cause else ""


class MinutesLooked(models.Model):
    """Up to which minute was looked: one row. What lies between it and the next look is known to nobody."""

    until = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.until)


class CallHour(models.Model):
    """One hour (UTC) of calls to one system, tests left out; ``answered``: of these, those without trouble."""

    UNIT: ClassVar[str] = "unit"

    slug = models.CharField(max_length=63)
    unit = models.UUIDField(null=True)
    hour = models.DateTimeField()
    calls = models.PositiveIntegerField()
    answered = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["slug", "hour"], name="call_hour_once"),
            models.CheckConstraint(condition=Q(answered__lte=F("calls")), name="call_hour_answers_calls"),
        ]
        indexes = [models.Index(fields=["hour"], name="call_hour_by_hour")]

    def __str__(self) -> str:
        return f"{self.slug} {self.hour}"

    @property
    def troubled(self) -> int:
        """How many were in trouble."""
        return self.calls - self.answered
