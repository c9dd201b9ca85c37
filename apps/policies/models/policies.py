"""Policies, their versions, and the releases that judge."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Value

from apps.access.models import BusinessUnit
from apps.core.models import Record, Stateful, User, choices_of
from apps.policies.rules import POLICY_MOVES, PROPOSAL_MOVES, Effect, PolicyState, ProposalKind, ProposalState


class Policy(Stateful):
    """A named set of rules. It covers its unit and below; without a unit, everything."""

    MOVES = POLICY_MOVES
    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, blank=True, related_name="policies")
    state = models.CharField(max_length=12, choices=choices_of(PolicyState), default=PolicyState.DRAFT)
    latest = models.ForeignKey("PolicyVersion", models.PROTECT, null=True, related_name="+")
    in_force = models.ForeignKey("PolicyVersion", models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name_plural = "policies"
        permissions = [
            ("publish_policy", "May change and publish policies"),
            ("lower_enforcement", "May lower what policies enforce"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_ahead(self) -> bool:
        """Whether the latest version is not the one in force."""
        return self.latest_id is not None and self.latest_id != self.in_force_id


class PolicyVersion(Record):
    """The rules of a policy at one time, their tests, and the unit that they cover ("" for everything).

    Immutable: PostgreSQL itself refuses a change (migration 0002).
    """

    UNIT = "policy__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    unit = models.CharField(max_length=63, blank=True)
    rules = models.JSONField(encoder=DjangoJSONEncoder)
    tests = models.JSONField(default=list, encoder=DjangoJSONEncoder, db_default=Value([], models.JSONField()))
    digest = models.CharField(max_length=71)
    author = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_once")]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"


class Proposal(Stateful):
    """A version that somebody wrote, and that somebody else releases or declines.

    A ``rule`` is wished for because of one item of the inbox, named by a plain value: it lives on a higher floor.
    ``rules`` were edited as a whole. A
    ``rollback`` says again what an earlier version said; to ``retire``, the version has no rules. ``base`` is what was
    in force then (None: nothing): once something else is, it cannot be released any more.
    """

    MOVES = PROPOSAL_MOVES
    UNIT = "policy__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="proposals")
    version = models.OneToOneField(PolicyVersion, models.PROTECT, related_name="proposal")
    base = models.ForeignKey(PolicyVersion, models.PROTECT, null=True, related_name="+")
    kind = models.CharField(
        max_length=8, choices=choices_of(ProposalKind), default=ProposalKind.RULE, db_default=ProposalKind.RULE
    )
    state = models.CharField(max_length=10, choices=choices_of(ProposalState), default=ProposalState.OPEN)
    item = models.UUIDField(null=True)
    rule = models.SlugField(max_length=63, blank=True)
    effect = models.CharField(max_length=16, choices=choices_of(Effect), blank=True)
    reason = models.CharField(max_length=500)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["item"], name="proposal_by_item")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state=ProposalState.OPEN, decided_by=None)
                | (~models.Q(state=ProposalState.OPEN) & models.Q(decided_by__isnull=False)),
                name="proposal_decided_by_somebody",
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy} v{self.version.number}"

    @property
    def is_current(self) -> bool:
        """Whether what it changes is still what is in force."""
        return self.state == ProposalState.OPEN and self.base_id == self.policy.in_force_id


class Release(Record):
    """The ordered set of policies in force from its publication to the next. Immutable, like its versions.

    ``policies``: ``[{policy, version, unit, author, digest, rules}]``, by slug; what judges reads nothing else.
    """

    number = models.PositiveIntegerField(unique=True)
    policies = models.JSONField(encoder=DjangoJSONEncoder)
    digest = models.CharField(max_length=71)
    published_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    note = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"Release {self.number}"


class RuleDay(models.Model):
    """What one rule did on one day (UTC), folded from the ledger; with an empty ``rule``, what its whole policy did.

    A policy's line counts each action once, however many of its rules matched. ``shadow_seen``: on how many actions the
    rule was judged in shadow; ``shadow_matched``: on how many of these it would have had its say.
    """

    policy = models.CharField(max_length=63)
    rule = models.CharField(max_length=63, blank=True)
    day = models.DateField()
    allowed = models.PositiveIntegerField(default=0)
    asked = models.PositiveIntegerField(default=0)
    denied = models.PositiveIntegerField(default=0)
    approved = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    changes_requested = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    shadow_seen = models.PositiveIntegerField(default=0, db_default=0)
    shadow_matched = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "rule", "day"], name="rule_day_once")]
        indexes = [models.Index(fields=["day"], name="rule_day_by_day")]

    def __str__(self) -> str:
        return f"{self.policy}/{self.rule} {self.day}"
