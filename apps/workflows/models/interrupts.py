"""What frameworks ask for together, and the actions that it became."""

from typing import override
from uuid import UUID

from django.db import models

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.core.models import Record, Stateful, User, choices_of
from apps.workflows.rules.interrupts import INTERRUPT_MOVES, InterruptState, Shape


class Interrupt(Stateful):
    """Calls of tools that one agent asked for together, in its framework's shape. ``resumed`` once an approval left."""

    MOVES = INTERRUPT_MOVES
    UNIT = "unit"

    principal = models.ForeignKey(User, models.PROTECT, related_name="+")
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=choices_of(InterruptState), default=InterruptState.OPEN)
    shape = models.CharField(max_length=16, choices=choices_of(Shape))
    run_id = models.UUIDField(null=True)
    resumed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.shape} of {self.principal}"

    @property
    @override
    def trail(self) -> UUID:
        """The run, or the interrupt itself where there is none."""
        return self.run_id or self.id


class InterruptCall(Record):
    """One call in its place: the tool's name there, the action here, and the digest of what the framework would run."""

    UNIT = "interrupt__unit"

    interrupt = models.ForeignKey(Interrupt, models.CASCADE, related_name="calls")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=120)
    action = models.ForeignKey(Action, models.PROTECT, related_name="+")
    digest = models.CharField(max_length=71)

    class Meta:
        default_permissions = ()
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["interrupt", "position"], name="interrupt_call_once_per_place")]

    def __str__(self) -> str:
        return f"{self.name} ({self.position})"
