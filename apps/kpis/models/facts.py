"""One row per run, step, decision and cost. Keyed by what they tell of, so that telling it twice changes nothing.

Units, runs and agents are plain values: a fact outlives what it tells of, and simulated ones never had it.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.formats import micro_per_minor


class Fact(models.Model):
    """What every fact has: where it belongs, and whether it was invented."""

    UNIT: ClassVar[str] = "unit"

    workflow = models.CharField(max_length=63, blank=True)
    unit = models.UUIDField(null=True)
    simulated = models.BooleanField(default=False)

    class Meta:
        abstract = True


class RunFact(Fact):
    """A run. Open ones have no ``finished_at``; the counts and costs are sums of the facts below it.

    ``business_ms`` is the open time of its unit's calendar within it; None where there is no calendar.
    ``touch_ms``, ``agent_ms``, ``connector_ms`` and ``wait_ms`` add up to ``cycle_ms``; ``queue_ms`` is of the waiting.
    ``amended``, ``turned_down``: a person edited or sent back, or rejected, something of what was proposed in it.
    """

    run_id = models.UUIDField(primary_key=True)
    version = models.PositiveIntegerField(default=0)
    key = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=24)
    outcome = models.CharField(max_length=63, blank=True)
    error_class = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    cycle_ms = models.BigIntegerField(null=True)
    lead_ms = models.BigIntegerField(null=True)
    business_ms = models.BigIntegerField(null=True)
    paused_ms = models.BigIntegerField(default=0)
    paused_since = models.DateTimeField(null=True)
    clock_clamped = models.BooleanField(default=False)
    sla_ms = models.BigIntegerField(null=True)
    sla_met = models.BooleanField(null=True)
    agents = ArrayField(models.CharField(max_length=63), default=list)
    touches = models.PositiveIntegerField(default=0)
    escalated = models.BooleanField(default=False)
    amended = models.BooleanField(default=False, db_default=False)
    turned_down = models.BooleanField(default=False, db_default=False)
    reworked = models.BooleanField(default=False)
    failed_attempts = models.PositiveIntegerField(default=0)
    handovers = models.PositiveIntegerField(default=0, db_default=0)
    touch_ms = models.BigIntegerField(default=0, db_default=0)
    agent_ms = models.BigIntegerField(default=0, db_default=0)
    connector_ms = models.BigIntegerField(default=0, db_default=0)
    wait_ms = models.BigIntegerField(default=0, db_default=0)
    queue_ms = models.BigIntegerField(default=0, db_default=0)
    tries = models.PositiveIntegerField(default=0, db_default=0)
    failed_tries = models.PositiveIntegerField(default=0, db_default=0)
    worked_steps = models.PositiveIntegerField(default=0, db_default=0)
    automated_steps = models.PositiveIntegerField(default=0, db_default=0)
    llm_micro = models.BigIntegerField(default=0)
    human_micro = models.BigIntegerField(default=0)
    connector_micro = models.BigIntegerField(default=0)
    agent_micro = models.BigIntegerField(default=0)
    cost_micro = models.BigIntegerField(default=0)
    human_ms = models.BigIntegerField(default=0)
    unpriced = models.PositiveIntegerField(default=0)
    mismatches = models.PositiveIntegerField(default=0, db_default=0)
    superseded = models.BooleanField(default=False)
    rerun_of = models.UUIDField(null=True)
    entry_id = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        permissions = [("view_kpi", "May see dashboards and KPIs"), ("manage_target", "May set baselines and targets")]
        indexes = [
            models.Index(fields=["workflow", "finished_at"], name="run_fact_by_workflow"),
            models.Index(  # percentiles read nothing but this index
                fields=["finished_at"],
                include=["workflow", "state", "cycle_ms", "lead_ms", "business_ms", "unit", "simulated", "superseded"],
                name="run_fact_by_end",
            ),
            models.Index(fields=["started_at"], name="run_fact_by_start"),
            models.Index(fields=["started_at"], name="run_fact_open", condition=Q(finished_at=None)),
            GinIndex(fields=["agents"], name="run_fact_by_agent"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None) | Q(state__in=["succeeded", "failed", "cancelled"]),
                name="run_fact_ends_in_final_state",
            ),
            models.CheckConstraint(
                condition=Q(cycle_ms=None) | Q(cycle_ms__gte=0, lead_ms__gte=0), name="run_fact_never_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} {str(self.run_id)[-8:]}"

    @property
    def currency(self) -> str:
        """The currency of every cost."""
        return reporting_currency()

    @property
    def cycle_s(self) -> float | None:
        """From the first step's start to the end."""
        return None if self.cycle_ms is None else self.cycle_ms / 1000

    @property
    def cost_minor(self) -> float:
        """What the run cost, in minor units with up to four decimals."""
        return round(self.cost_micro / micro_per_minor(reporting_currency()), 4)


class StepFact(Fact):
    """One round of a step that ended."""

    step_id = models.UUIDField(primary_key=True)
    run_id = models.UUIDField()
    name = models.CharField(max_length=63)
    round = models.PositiveIntegerField(default=1)
    kind = models.CharField(max_length=20)
    state = models.CharField(max_length=24)
    outcome = models.CharField(max_length=63, blank=True)
    agent = models.CharField(max_length=63, blank=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=1)
    failed_attempts = models.PositiveIntegerField(default=0)
    rework = models.BooleanField(default=False)
    by_hand = models.BooleanField(default=False)
    overdue = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["run_id"], name="step_fact_by_run"),
            models.Index(fields=["workflow", "name", "finished_at"], name="step_fact_by_step"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.round}"

    @property
    def took_s(self) -> float | None:
        """From its start to its end."""
        return (self.finished_at - self.started_at).total_seconds() if self.started_at else None


class ApprovalFact(Fact):
    """An escalation that ended: decided by a person, or expired, cancelled, superseded. ``version``: its run's.

    ``policy_version``: of the policy whose ``rule`` asked, 0 where that is not known; ``reason_code``: the preset
    reason of a rejection; ``action_id``: what was asked for.
    ``open_ms`` is the open time of its unit's calendar while it waited; None where there is no calendar.
    """

    escalation_id = models.UUIDField(primary_key=True)
    run_id = models.UUIDField(null=True)
    version = models.PositiveIntegerField(default=0, db_default=0)
    kind = models.CharField(max_length=20)
    outcome = models.CharField(max_length=24)
    requested_at = models.DateTimeField()
    decided_at = models.DateTimeField()
    latency_ms = models.BigIntegerField()
    open_ms = models.BigIntegerField(null=True)
    by_person = models.BooleanField(default=False)
    overridden = models.BooleanField(default=False)
    edited = models.BooleanField(default=False)
    overdue = models.BooleanField(default=False)
    decided_by = models.CharField(max_length=160, blank=True)
    agent = models.CharField(max_length=63, blank=True)
    rule = models.CharField(max_length=120, blank=True)
    policy_version = models.PositiveIntegerField(default=0, db_default=0)
    reason_code = models.CharField(max_length=40, blank=True, default="", db_default="")
    action_id = models.UUIDField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["decided_at"],
                include=["workflow", "by_person", "latency_ms", "unit", "simulated"],
                name="approval_fact_by_time",
            ),
            models.Index(fields=["workflow", "decided_at"], name="approval_fact_by_workflow"),
            models.Index(  # whose decisions they were is read from nothing but this index
                fields=["decided_at"],
                include=["decided_by", "workflow", "version", "unit", "simulated"],
                name="approval_fact_by_person",
                condition=Q(by_person=True) & ~Q(decided_by=""),
            ),
            models.Index(fields=["run_id"], name="approval_fact_by_run"),
        ]
        constraints = [models.CheckConstraint(condition=Q(latency_ms__gte=0), name="approval_fact_never_negative")]

    def __str__(self) -> str:
        return f"{self.kind} {self.outcome}"

    @property
    def latency_s(self) -> float:
        """How long it waited for its end."""
        return self.latency_ms / 1000

    @property
    def open_s(self) -> float | None:
        """How much of that was open time; None where there is no calendar."""
        return None if self.open_ms is None else self.open_ms / 1000


class CostItem(Fact):
    """One cost. ``quantity`` counts tokens, milliseconds or calls; ``unpriced`` waits for a price and is no zero.

    ``version``: its run's, 0 where there is none. ``reasoning``: how many of a model's tokens were. ``reported_micro``:
    what the call cost by its agent's word, in millionths of ``reported_currency``; held against ours, and in no sum.
    ``is_estimated``: the quantity, as nothing recorded it.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12)
    source_id = models.UUIDField()
    run_id = models.UUIDField(null=True)
    version = models.PositiveIntegerField(default=0, db_default=0)
    agent = models.CharField(max_length=63, blank=True)
    model = models.CharField(max_length=120, blank=True)
    quantity = models.BigIntegerField(default=1)
    amount_micro = models.BigIntegerField(default=0)
    incurred_at = models.DateTimeField()
    priced_by = models.CharField(max_length=12)
    reasoning = models.BigIntegerField(default=0, db_default=0)
    reported_micro = models.BigIntegerField(null=True)
    reported_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    is_estimated = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["run_id"], name="cost_item_by_run"),
            models.Index(fields=["incurred_at"], name="cost_item_by_time"),
            models.Index(fields=["workflow", "incurred_at"], name="cost_item_by_workflow"),
            models.Index(fields=["model"], name="cost_item_unpriced", condition=Q(priced_by="unpriced")),
            models.Index(fields=["incurred_at"], name="cost_item_estimated", condition=Q(is_estimated=True)),
        ]
        constraints = [models.UniqueConstraint(fields=["source_id", "kind"], name="cost_item_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_micro}"

    @property
    def currency(self) -> str:
        """The currency of every cost."""
        return reporting_currency()

    @property
    def amount_minor(self) -> float:
        """The amount in minor units with up to four decimals."""
        return round(self.amount_micro / micro_per_minor(reporting_currency()), 4)
