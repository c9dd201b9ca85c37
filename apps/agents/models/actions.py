"""Action: one thing an agent asks to do. The spine of the house."""

from collections.abc import Container
from typing import Any, override
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q, Value

from apps.access.models import BusinessUnit
from apps.agents.models.agents import Agent, AgentVersion
from apps.agents.rules import (
    ACTION_MOVES,
    CARRIED_OUT,
    MAY_STILL_COUNT,
    ActionState,
    EffectClass,
    Environment,
    Execution,
)
from apps.classification.rules import Veil
from apps.core.models import Erasable, Stateful, User, choices_of


class Action(Erasable, Stateful):
    """What was asked, by whom, what policy said, and what came of it. Higher floors are named by plain values.

    ``digest``: the operation's name and the parameters. ``definition_digest``: what that operation was when the
    rules judged it; anything else by that name does not run. ``erased_target``: keyed digest of a target that was
    erased, so that limits by target still count the action. ``cannot_take``: what its agent's framework takes no
    answer for, of ``edit`` and ``request_changes``: people are not offered it. ``together``: it is carried out with
    others, when all are decided. ``compensates``: what it takes back when it succeeds. ``environment``: that of the
    key; a test reaches nothing live, and no figure counts it. ``classed``: the paths of its parameters that carry a
    class of data; but for its target, what else is written here holds marks in the place of these values.
    ``exclusive``: the digest of the key that one action at a time holds while it is carried out; empty: it needs none.
    ``taken_at_word``: it failed, says the agent that carried it out, and nobody has looked; of what only reads, False.
    """

    MOVES = ACTION_MOVES
    UNIT = "unit"

    principal = models.ForeignKey(User, models.PROTECT, related_name="+")
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="actions")
    version = models.ForeignKey(AgentVersion, models.PROTECT, null=True, related_name="+")
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="+")
    on_behalf_of = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=20, choices=choices_of(ActionState), default=ActionState.PROPOSED)

    operation = models.CharField(max_length=120)
    connector = models.CharField(max_length=63)
    effect = models.CharField(max_length=12, choices=choices_of(EffectClass))
    execution = models.CharField(max_length=5, choices=choices_of(Execution), default=Execution.PLANE)
    parameters = models.JSONField(default=dict)
    classed: "models.JSONField[Any, Any]" = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    digest = models.CharField(max_length=71)
    definition_digest = models.CharField(max_length=71, blank=True)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    target = models.CharField(max_length=300, blank=True)
    erased_target = models.CharField(max_length=64, blank=True, db_default="", default="")
    consequence = models.TextField(blank=True)
    reference = models.CharField(max_length=200, blank=True)
    cannot_take: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    together = models.BooleanField(default=False, db_default=False)
    exclusive = models.CharField(max_length=71, blank=True, default="", db_default="")

    environment = models.CharField(
        max_length=4, choices=choices_of(Environment), default=Environment.LIVE, db_default=Environment.LIVE
    )
    goal = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    alternatives = models.JSONField(default=list)
    confidence = models.FloatField(null=True)
    sources = models.JSONField(default=list)
    evidence = models.JSONField(default=list)

    verdict = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    release_number = models.PositiveIntegerField(null=True)
    result = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    error = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    refusal = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    taken_at_word = models.BooleanField(default=False, db_default=False)
    attempts = models.PositiveIntegerField(default=1)
    finished_at = models.DateTimeField(null=True)

    workflow = models.CharField(max_length=63, blank=True)
    run_id = models.UUIDField(null=True)
    step = models.CharField(max_length=63, blank=True)
    round = models.PositiveIntegerField(null=True)
    item = models.IntegerField(null=True)
    task_id = models.UUIDField(null=True)
    purpose = models.CharField(max_length=12, choices=[("act", "Act"), ("compensate", "Compensate")], default="act")

    compensates = models.ForeignKey("self", models.PROTECT, null=True, related_name="compensations", db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["compensates"],
                condition=Q(compensates__isnull=False, state__in=sorted(MAY_STILL_COUNT)),
                name="action_taken_back_once",
            )
        ]
        indexes = [
            models.Index(fields=["agent", "-id"], name="action_by_agent"),
            models.Index(fields=["operation", "-id"], name="action_by_operation"),
            models.Index(fields=["run_id"], name="action_by_run", condition=~Q(run_id=None)),
            models.Index(
                fields=["agent", "operation", "reference"], name="action_by_reference", condition=~Q(reference="")
            ),
            models.Index(fields=["state", "-id"], name="action_by_state"),
            models.Index(fields=["agent"], name="action_being_done", condition=Q(state=ActionState.EXECUTING)),
            models.Index(fields=["compensates"], name="action_taken_back", condition=~Q(compensates=None)),
            models.Index(
                fields=["exclusive"],
                name="action_in_line",
                condition=~Q(exclusive="") & Q(state__in=CARRIED_OUT),
            ),
            models.Index(
                fields=["finished_at"],
                name="action_went_wrong",
                condition=Q(state__in=[ActionState.DENIED, ActionState.REJECTED, ActionState.FAILED]),
            ),
            models.Index(
                fields=["finished_at"], name="action_classed_kept", condition=~Q(classed={}) & Q(erased_at=None)
            ),
            models.Index(
                fields=["agent", "operation", "digest"], name="action_rejected", condition=Q(state=ActionState.REJECTED)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} by {self.agent or self.principal}"

    def veil(self, hide: Container[str] | None = None) -> Veil:
        """Marks in the place of what its parameters carry of the classes in ``hide`` (None: of all)."""
        return Veil([(self.classed, self.parameters)] if self.classed else [], hide)

    @property
    def marked_target(self) -> str:
        """Whom or what it is aimed at; a mark where that carries a class."""
        return self.veil().text(self.target) if self.classed and self.target else self.target

    @property
    def marked_reference(self) -> str:
        """What its agent calls the thing that it is about; a mark where that carries a class."""
        return self.veil().text(self.reference) if self.classed and self.reference else self.reference

    @property
    @override
    def trail(self) -> UUID:
        """The run, or the action itself where there is none."""
        return self.run_id or self.id
