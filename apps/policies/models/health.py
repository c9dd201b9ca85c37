"""Rules that could not be judged, and what rules flagged: folded from the ledger."""

from django.db import models

from apps.agents.models import Action, Agent
from apps.core.models import Record, choices_of
from apps.policies.models.policies import Policy
from apps.policies.rules import Effect


class RuleFault(Record):
    """One cause for which one rule had no value: how often since ``first_at``, when last and on which action.

    ``version``: of the policy, the last time. With a say and in shadow are two lines. Tests are not counted.
    """

    UNIT = "policy__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="faults")
    rule = models.CharField(max_length=63)
    effect = models.CharField(max_length=16, choices=choices_of(Effect))
    cause = models.CharField(max_length=250)
    is_shadow = models.BooleanField()
    is_confidential = models.BooleanField()
    version = models.PositiveIntegerField()
    times = models.PositiveIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    action = models.ForeignKey(Action, models.PROTECT, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["policy", "rule", "is_shadow", "cause"], name="rule_fault_once")]
        indexes = [models.Index(fields=["-last_at"], name="rule_fault_last")]

    def __str__(self) -> str:
        return f"{self.policy.slug}/{self.rule}"


class RuleFlag(Record):
    """What one rule flagged of one agent on one day (UTC): how often, when last and which action.

    Its owner is told once of it, however many come on that day. Tests are not counted, nor what is no agent's.
    """

    UNIT = "agent__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="flags")
    rule = models.CharField(max_length=63)
    is_confidential = models.BooleanField()
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="rule_flags")
    day = models.DateField()
    times = models.PositiveIntegerField()
    last_at = models.DateTimeField()
    action = models.ForeignKey(Action, models.PROTECT, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["policy", "rule", "agent", "day"], name="rule_flag_once")]
        indexes = [models.Index(fields=["agent", "-last_at"], name="rule_flag_by_agent")]

    def __str__(self) -> str:
        return f"{self.agent} {self.day}"
