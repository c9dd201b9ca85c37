"""The hot queue, and what became of its tasks."""

from typing import override
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from apps.access.models import BusinessUnit
from apps.agents.models import Agent, AgentVersion
from apps.core.models import Record, choices_of
from apps.workflows.models.definitions import Workflow
from apps.workflows.models.runs import Run
from apps.workflows.rules.states import AttemptState, Lane, TaskState


class Task(Record):
    """A unit of work on offer or under a lease. ``fence`` grows with each claim; a lease is the fence it was given.

    ``order_at`` is when it was offered, moved by its lane: one index gives both precedence and ageing. A task that
    ended leaves the table and is an Attempt.
    """

    UNIT = "unit"

    run = models.ForeignKey(Run, models.CASCADE, related_name="tasks")
    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="+")
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="+")
    step = models.CharField(max_length=63)
    round = models.PositiveIntegerField()
    item = models.IntegerField(default=0)
    capability = models.CharField(max_length=63)
    lane = models.CharField(max_length=12, choices=choices_of(Lane), default=Lane.NORMAL)
    state = models.CharField(max_length=10, choices=choices_of(TaskState), default=TaskState.READY)
    paused_from = models.CharField(max_length=10, blank=True)
    order_at = models.DateTimeField()
    not_before = models.DateTimeField(null=True)
    number = models.PositiveIntegerField(default=1)
    failures = models.PositiveIntegerField(default=0)
    losses = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="tasks")
    version = models.ForeignKey(AgentVersion, models.PROTECT, null=True, related_name="+")
    claimed_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    timeout_s = models.PositiveIntegerField(null=True)
    timeout_at = models.DateTimeField(null=True)
    input = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    answers = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    held = models.JSONField(null=True, encoder=DjangoJSONEncoder)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["run", "step", "round", "item"], name="task_once_per_item"),
            models.CheckConstraint(
                condition=~Q(state=TaskState.CLAIMED)
                | Q(agent__isnull=False, lease_until__isnull=False, claimed_at__isnull=False),
                name="task_claimed_has_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["capability", "order_at"], name="task_ready", condition=Q(state=TaskState.READY)),
            models.Index(fields=["lease_until"], name="task_leases", condition=Q(state=TaskState.CLAIMED)),
            models.Index(fields=["agent"], name="task_held_by", condition=Q(state=TaskState.CLAIMED)),
            models.Index(fields=["not_before"], name="task_scheduled", condition=Q(state=TaskState.SCHEDULED)),
        ]

    def __str__(self) -> str:
        return f"{self.step} ({self.item})" if self.item else self.step

    @property
    @override
    def trail(self) -> UUID:
        """The run."""
        return self.run_id


class Attempt(Record):
    """How one try ended. Inserted, never changed; at most one try of an item was its doing."""

    UNIT = "run__unit"

    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts")
    task_id = models.UUIDField(null=True)
    action_id = models.UUIDField(null=True)
    step = models.CharField(max_length=63)
    round = models.PositiveIntegerField()
    item = models.IntegerField(default=0)
    number = models.PositiveIntegerField(default=1)
    fence = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=choices_of(AttemptState))
    capability = models.CharField(max_length=63, blank=True)
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="+")
    version = models.ForeignKey(AgentVersion, models.PROTECT, null=True, related_name="+")
    queued_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    digest = models.CharField(max_length=71, blank=True)
    output = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    error = models.JSONField(null=True)
    reasoning = models.TextField(blank=True)
    confidence = models.FloatField(null=True)
    sources = models.JSONField(default=list)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step", "round", "item"],
                condition=Q(state=AttemptState.DONE),
                name="attempt_done_once_per_item",
            ),
            models.UniqueConstraint(
                fields=["task_id", "fence"],
                condition=~Q(state=AttemptState.LATE) & ~Q(task_id=None),
                name="attempt_ends_a_lease_once",
            ),
            models.UniqueConstraint(fields=["action_id"], condition=~Q(action_id=None), name="attempt_once_per_action"),
        ]
        indexes = [
            models.Index(fields=["run", "id"], name="attempt_by_run"),
            models.Index(fields=["agent", "created_at"], name="attempt_by_agent"),
        ]

    def __str__(self) -> str:
        return f"try {self.number} of {self.step}"

    @property
    @override
    def trail(self) -> UUID:
        """The run."""
        return self.run_id
