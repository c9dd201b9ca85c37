"""What agents did, how it was judged, and what went wrong: one row for each action and each incident."""

from django.db import models
from django.db.models import Q

from apps.core.models import choices_of
from apps.kpis.models.facts import Fact
from apps.kpis.rules.incidents import IncidentKind


class ActionFact(Fact):
    """An action of an agent that ended, as it stands now: late judgements change it.

    ``decided``, ``reviewed``, ``read_back``: whether people approved it as it was asked, whether a look afterwards
    found it right, whether the system of record shows what was done; None where nobody looked. ``alone``: it was done
    and nobody had been asked. ``version``: its run's, as for an incident. ``capability``: that of the task in which its
    agent asked; empty of what it asked in none.
    """

    action_id = models.UUIDField(primary_key=True)
    run_id = models.UUIDField(null=True)
    version = models.PositiveIntegerField(default=0, db_default=0)
    agent = models.CharField(max_length=63)
    agent_version = models.PositiveIntegerField(null=True)
    operation = models.CharField(max_length=120)
    capability = models.CharField(max_length=63, blank=True, default="", db_default="")
    state = models.CharField(max_length=20)
    ended_at = models.DateTimeField()
    alone = models.BooleanField(default=False)
    decided = models.BooleanField(null=True)
    reviewed = models.BooleanField(null=True)
    read_back = models.BooleanField(null=True)
    taken_back = models.BooleanField(default=False)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["ended_at"], name="action_fact_by_time"),
            models.Index(fields=["workflow", "ended_at"], name="action_fact_by_workflow"),
            models.Index(fields=["agent", "ended_at"], name="action_fact_by_agent"),
            models.Index(fields=["run_id"], name="action_fact_by_run", condition=~Q(run_id=None)),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.state}"


class IncidentFact(Fact):
    """Something that went wrong: from when until when, about what, and how much money it touched.

    ``source_id``: the effect, action, compensation or halt that it is. ``ended_at``: when it was in order again.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=20, choices=choices_of(IncidentKind))
    source_id = models.UUIDField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    action_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    version = models.PositiveIntegerField(default=0, db_default=0)
    agent = models.CharField(max_length=63, blank=True)
    about = models.CharField(max_length=160, blank=True)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["kind", "source_id"], name="incident_once"),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=models.F("began_at")), name="incident_ends_after_it_began"
            ),
        ]
        indexes = [
            models.Index(fields=["began_at"], name="incident_by_time"),
            models.Index(fields=["workflow", "began_at"], name="incident_by_workflow"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.about}".strip()

    @property
    def took_s(self) -> float | None:
        """How long it took until it was in order again."""
        return (self.ended_at - self.began_at).total_seconds() if self.ended_at else None
