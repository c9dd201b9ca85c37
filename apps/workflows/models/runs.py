"""Runs, their steps, and what is bound to a time, a key, or waits to be taken back."""

from typing import override
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from apps.access.models import BusinessUnit
from apps.core.models import Erasable, Record, Stateful, User, choices_of
from apps.workflows.models.definitions import Workflow, WorkflowVersion
from apps.workflows.rules.states import (
    RUN_FINAL,
    RUN_MOVES,
    STEP_MOVES,
    CompensationState,
    Kind,
    RunState,
    StepState,
    TimerKind,
)


class Run(Erasable, Stateful):
    """One execution of one version. ``seq`` counts how often it was advanced: a second guard behind the row's lock.

    ``unwinding`` and ``taken`` are the planner's notes: what is being taken back, how often work was sent back.
    ``kept`` are inbox items that were decided while the run was paused.
    """

    MOVES = RUN_MOVES
    UNIT = "unit"

    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="runs")
    version = models.ForeignKey(WorkflowVersion, models.PROTECT, related_name="+")
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="+")
    state = models.CharField(max_length=20, choices=choices_of(RunState), default=RunState.RUNNING)
    seq = models.PositiveIntegerField(default=0)
    key = models.CharField(max_length=200, null=True)
    exclusive = models.CharField(max_length=200, blank=True)
    input = models.JSONField(default=dict)
    output = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    outcome = models.CharField(max_length=63, blank=True)
    error = models.JSONField(null=True)
    started_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    on_behalf_of = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    paused_s = models.PositiveIntegerField(default=0)
    unwinding = models.JSONField(default=list)
    taken = models.JSONField(default=list)
    kept = models.JSONField(default=list)
    simulated = models.BooleanField(default=False)

    class Meta:
        permissions = [("operate_run", "May pause, resume, cancel and mend a run")]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "key"],
                condition=~Q(state__in=sorted(RUN_FINAL)) & ~Q(key=None),
                name="run_open_once_per_key",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(RUN_FINAL), finished_at__isnull=False)
                | (~Q(state__in=sorted(RUN_FINAL)) & Q(finished_at=None)),
                name="run_finished_when_final",
            ),
        ]
        indexes = [
            models.Index(fields=["workflow", "-id"], name="run_by_workflow"),
            models.Index(fields=["state", "-id"], name="run_open", condition=~Q(state__in=sorted(RUN_FINAL))),
            models.Index(fields=["-id", "state"], name="run_by_age"),
            models.Index(fields=["key"], name="run_by_key", condition=~Q(key=None)),
        ]

    def __str__(self) -> str:
        return f"{self.workflow.name} {self.key or str(self.pk)[-12:]}"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in RUN_FINAL


class Step(Stateful):
    """One round of one step. A step that has no current row is pending. The counters are the planner's."""

    MOVES = STEP_MOVES
    UNIT = "run__unit"

    run = models.ForeignKey(Run, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=63)
    round = models.PositiveIntegerField(default=1)
    current = models.BooleanField(default=True)
    kind = models.CharField(max_length=10, choices=choices_of(Kind))
    state = models.CharField(max_length=12, choices=choices_of(StepState), default=StepState.PENDING)
    outcome = models.CharField(max_length=63, null=True)
    total = models.PositiveIntegerField(null=True)
    pending = models.IntegerField(default=1)
    done = models.PositiveIntegerField(default=0)
    dropped = models.PositiveIntegerField(default=0)
    offered = models.PositiveIntegerField(default=0)
    place = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    agent = models.CharField(max_length=63, blank=True)
    with_people = models.BooleanField(default=False)
    stopping = models.BooleanField(default=False)
    asked = models.BooleanField(default=False)
    timed = models.BooleanField(default=False)
    overdue = models.BooleanField(default=False)
    by_hand = models.BooleanField(default=False)
    error = models.JSONField(null=True)
    output = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    items = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    opened_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["run", "name", "round"], name="step_round_once"),
            models.UniqueConstraint(fields=["run", "name"], condition=Q(current=True), name="step_current_once"),
        ]

    def __str__(self) -> str:
        return self.name if self.round == 1 else f"{self.name} ({self.round})"

    @property
    @override
    def trail(self) -> UUID:
        """The run."""
        return self.run_id


class Timer(Record):
    """Something that happens to a run at a time. Deleted when it fires or is no longer wanted."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="timers")
    kind = models.CharField(max_length=12, choices=choices_of(TimerKind))
    step = models.CharField(max_length=63, blank=True)
    round = models.PositiveIntegerField(default=0)
    item = models.IntegerField(default=0)
    fire_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["fire_at"], name="timer_due")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.run_id}"


class Exclusive(Record):
    """A key that one run at a time holds; the others wait in line, oldest first."""

    run = models.OneToOneField(Run, models.CASCADE, related_name="holding")
    key = models.CharField(max_length=200)
    holds = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(holds=True), name="exclusive_held_once"),
        ]
        indexes = [models.Index(fields=["key", "id"], name="exclusive_line", condition=Q(holds=False))]

    def __str__(self) -> str:
        return self.key


class Compensation(Record):
    """One effect of a run to take back, in the order of ``position``."""

    UNIT = "run__unit"

    run = models.ForeignKey(Run, models.CASCADE, related_name="compensations")
    position = models.PositiveIntegerField()
    step = models.CharField(max_length=63)
    round = models.PositiveIntegerField()
    item = models.IntegerField(default=0)
    operation = models.CharField(max_length=120)
    parameters = models.JSONField(null=True)
    state = models.CharField(max_length=10, choices=choices_of(CompensationState), default=CompensationState.PENDING)
    failures = models.PositiveIntegerField(default=0)
    error = models.JSONField(null=True)
    action_id = models.UUIDField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["run", "position"], name="compensation_once")]

    def __str__(self) -> str:
        return f"{self.operation} for {self.step}"

    @property
    @override
    def trail(self) -> UUID:
        """The run."""
        return self.run_id
