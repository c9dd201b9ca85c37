"""KPIs of one's own, and what each run gave for them."""

from django.db import models

from apps.core.models import ClockTimestamp, Record, choices_of
from apps.kpis.models.facts import Fact
from apps.kpis.rules import Direction
from apps.kpis.rules.business import Aggregate, Fault, definition_of
from apps.kpis.rules.definitions import Definition

MARKED = ""
"""The digest of a value that is still to be worked out: no definition's, so nothing counts it."""


class Kpi(Record):
    """A figure of one workflow that its runs give themselves.

    ``value``: CEL over ``run.output`` and ``run.context``; ``digest``: of value and aggregate, so that values which
    an earlier definition gave are told apart; ``unit``: a word behind the number.
    ``filled_to``: the oldest run gone through since the definition was made or changed; ``filled_at``: no run was left.
    """

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    unit = models.CharField(max_length=20, blank=True)
    direction = models.CharField(max_length=4, choices=choices_of(Direction))
    workflow = models.CharField(max_length=63)
    value = models.TextField()
    aggregate = models.CharField(max_length=5, choices=choices_of(Aggregate))
    digest = models.CharField(max_length=71)
    changed_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)
    filled_to = models.UUIDField(null=True, editable=False)
    filled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["workflow"], name="kpi_by_workflow")]

    def __str__(self) -> str:
        return self.name

    @property
    def definition(self) -> Definition:
        """The object that every figure is made by."""
        return definition_of(
            slug=self.slug,
            name=self.name,
            value=self.value,
            aggregate=Aggregate(self.aggregate),
            unit=self.unit,
            direction=Direction(self.direction),
        )


class KpiValue(Fact):
    """What one succeeded run gave for one KPI: a value, a fault, or neither where it has none to give.

    Marked as it is folded, and worked out within seconds (``services.values``).
    """

    id = models.BigAutoField(primary_key=True)
    kpi = models.CharField(max_length=40)
    digest = models.CharField(max_length=71)
    run_id = models.UUIDField()
    value = models.FloatField(null=True)
    fault = models.CharField(max_length=12, choices=choices_of(Fault), blank=True)
    finished_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["kpi", "run_id"], name="kpi_value_once"),
            models.CheckConstraint(condition=models.Q(fault="") | models.Q(value=None), name="kpi_value_or_fault"),
        ]
        indexes = [
            models.Index(fields=["kpi", "finished_at"], name="kpi_value_by_time"),
            models.Index(fields=["id"], condition=models.Q(digest=MARKED), name="kpi_value_marked"),
        ]

    def __str__(self) -> str:
        return f"{self.kpi} {self.value}"
