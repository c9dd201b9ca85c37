"""The past judged once more."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from apps.core.models import ClockTimestamp, Stateful, User, choices_of
from apps.policies.models.policies import Policy, PolicyVersion
from apps.policies.rules.simulations import SIMULATION_MOVES, SimulationState


class Simulation(Stateful):
    """The past judged once more, by what is in force and by what somebody would have instead. It changes nothing.

    ``rules``, ``unit``, ``digest``: the policy as it would be; ``version``: where it is one. ``lever``: ``{rules,
    place, amount_minor, currency, steps}`` where instead one amount is tried at each of its steps. ``release``: what
    was in force then (0: nothing). ``since`` to ``until``: when the actions were asked for. A worker takes it until
    ``claimed_until``, goes on behind ``cursor``, and writes it with what it counted: of one killed nothing is lost
    and nothing counted twice. ``tallies``: one for the rules, or for each step.
    """

    MOVES = SIMULATION_MOVES
    UNIT = "policy__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="simulations")
    person = models.ForeignKey(User, models.PROTECT, related_name="+")
    version = models.ForeignKey(PolicyVersion, models.PROTECT, null=True, related_name="+")
    base = models.ForeignKey(PolicyVersion, models.PROTECT, null=True, related_name="+")
    unit = models.CharField(max_length=63, blank=True)
    rules = models.JSONField(encoder=DjangoJSONEncoder)
    digest = models.CharField(max_length=71)
    lever = models.JSONField(null=True)
    release = models.PositiveIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    state = models.CharField(max_length=9, choices=choices_of(SimulationState), default=SimulationState.RUNNING)
    cursor = models.UUIDField(null=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    judged_otherwise = models.PositiveIntegerField(default=0)
    waived = models.PositiveIntegerField(default=0, db_default=0)
    gaps = models.JSONField(default=dict)
    tallies = models.JSONField(default=list)
    claimed_until = models.DateTimeField(db_default=ClockTimestamp())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(state=SimulationState.RUNNING), name="simulation_one_per_person"
            ),
            models.CheckConstraint(condition=models.Q(since__lt=models.F("until")), name="simulation_of_some_time"),
        ]
        indexes = [
            models.Index(fields=["policy", "-id"], name="simulation_by_policy"),
            models.Index(fields=["claimed_until"], name="simulation_due", condition=models.Q(state="running")),
        ]

    def __str__(self) -> str:
        return f"{self.policy} on history"

    @property
    def days(self) -> float:
        """How long the past is that it looks at."""
        return (self.until - self.since).total_seconds() / 86_400
