"""Which invented history was imported, by whom, and what changed within it."""

from django.db import models
from django.db.models import Q

from apps.core.models import Record, choices_of
from apps.kpis.models.facts import Fact
from apps.kpis.rules.changes import ChangeKind


class HistoryImport(Record):
    """One import of simulated facts; its entry is ``history.imported``.

    A long history comes in parts, one import each, counted from one. All parts of it carry its plan; ``is_last`` says
    that it is whole. What came in at once is part 0 of nothing.
    """

    runs = models.PositiveIntegerField()
    workflows = models.JSONField(default=list)
    first = models.DateTimeField()
    last = models.DateTimeField()
    plan = models.JSONField(default=dict, db_default={})
    part = models.PositiveIntegerField(default=0, db_default=0)
    is_last = models.BooleanField(default=True, db_default=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["plan", "part"], condition=Q(part__gt=0), name="history_part_comes_once")
        ]

    def __str__(self) -> str:
        return f"{self.runs} simulated runs"


class HistoryMark(Fact):
    """What changed within an invented history: its runs follow it, and no ledger tells of it.

    ``name``: the system that was down, the policy, the agent that was stopped, the model whose price changed;
    ``number``: the version that came into force.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=choices_of(ChangeKind))
    at = models.DateTimeField()
    until = models.DateTimeField(null=True)
    name = models.CharField(max_length=120, blank=True)
    number = models.PositiveIntegerField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "workflow", "at"], name="history_marked_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.workflow or self.name}"
