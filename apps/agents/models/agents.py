"""An agent, one immutable configuration of it, one way it authenticates."""

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q, Value

from apps.access.models import BusinessUnit
from apps.agents.rules import (
    AGENT_MOVES,
    VERSION_MOVES,
    AgentState,
    ChangeKind,
    Environment,
    VersionState,
)
from apps.agents.rules.public_keys import algorithm_of
from apps.core.models import ClockTimestamp, Record, Stateful, User, choices_of
from apps.core.rules import Risk


class Agent(Stateful):
    """The digital worker: a principal like an employee, with an owner, a unit and a life."""

    MOVES = AGENT_MOVES
    UNIT = "unit"
    environment: str = Environment.LIVE
    """That of the key with which it calls; no column."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=500, blank=True)
    known_limits = models.CharField(max_length=500, blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="agents")
    owner = models.ForeignKey(User, models.PROTECT, related_name="owned_agents")
    risk = models.CharField(max_length=8, choices=choices_of(Risk), default=Risk.MEDIUM)
    state = models.CharField(max_length=12, choices=choices_of(AgentState), default=AgentState.DRAFT)
    capabilities = models.JSONField(default=list)
    limits = models.JSONField(default=dict)
    epoch = models.PositiveIntegerField(default=1)
    user = models.OneToOneField(User, models.PROTECT, related_name="agent")
    version = models.ForeignKey("AgentVersion", models.PROTECT, null=True, related_name="+")

    class Meta:
        permissions = [("manage_agent", "May manage an agent")]

    def __str__(self) -> str:
        return self.name

    @property
    def acts_as(self) -> str:
        """The version it acts as, in a halt's words: ``slug@number``; empty without one."""
        return f"{self.slug}@{self.version.number}" if self.version else ""

    def basis_of(self, kind: str) -> str:
        """What of it a change of this kind begins with: its state, its risk tier, its unit, its version's number."""
        if kind == ChangeKind.UNIT:
            return str(self.unit.slug)
        number = str(self.version.number) if self.version else ""
        return {ChangeKind.STATE: str(self.state), ChangeKind.RISK: str(self.risk)}.get(ChangeKind(kind), number)

    @property
    def max_concurrent(self) -> int:
        """How many tasks it may hold at once."""
        return int(self.limits.get("max_concurrent", 10))

    @property
    def rate_per_minute(self) -> int | None:
        """How many of its requests are answered in a minute; None without a limit."""
        found = self.limits.get("rate_per_minute")
        return None if found is None else int(found)


class AgentVersion(Stateful):
    """One immutable configuration of an agent; only its state moves."""

    MOVES = VERSION_MOVES
    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=choices_of(VersionState), default=VersionState.DRAFT)
    model = models.CharField(max_length=120, blank=True)
    provider = models.CharField(max_length=120, blank=True)
    instructions = models.TextField(blank=True)
    config = models.JSONField(default=dict)
    digest = models.CharField(max_length=71)
    changelog = models.CharField(max_length=500, blank=True)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="agent_version_once")]

    def __str__(self) -> str:
        return f"{self.agent} v{self.number}"


class AgentCredential(Record):
    """One key of an agent. Only its digest is kept; it was shown once.

    ``public_key``: the agent signs instead of sending a secret. Its public half as a JWK with ``kid``; ``digest`` is
    then the thumbprint, which no text of a key has.
    ``networks``: from where alone it may be used; none: from anywhere. ``refusals``: how often it was refused, dead or
    from elsewhere; ``alarmed_at``: when that was recorded and told last.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="credentials")
    version = models.ForeignKey(AgentVersion, models.PROTECT, null=True, related_name="+")
    key_id = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)
    environment = models.CharField(max_length=4, choices=choices_of(Environment), default=Environment.LIVE)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    networks: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    refusals = models.PositiveIntegerField(default=0, db_default=0)
    alarmed_at = models.DateTimeField(null=True)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    public_key: "models.JSONField[Any, Any]" = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["digest"], condition=Q(public_key__isnull=False), name="public_key_once")
        ]
        indexes = [models.Index(fields=["agent"], name="credential_live", condition=Q(revoked_at=None))]

    def __str__(self) -> str:
        return f"key {self.key_id} of {self.agent}"

    @property
    def kind(self) -> str:
        """``key``: it is sent. ``public_key``: it signs."""
        return "public_key" if self.public_key else "key"

    @property
    def thumbprint(self) -> str:
        """By which its public key is known; empty for a key that is sent."""
        return self.digest if self.public_key else ""

    @property
    def algorithm(self) -> str:
        """How it signs; empty for a key that is sent."""
        return algorithm_of(self.public_key) if self.public_key else ""

    @property
    def apart(self) -> str:
        """What keeps the answers to a test key apart from those to a live one."""
        return "" if self.environment == Environment.LIVE else f"{self.environment} "

    @staticmethod
    def live() -> Q:
        """Not revoked, not expired, by the database's clock, and its agent not retired."""
        return ~Q(agent__state=AgentState.RETIRED) & Q(revoked_at=None, expires_at__gt=ClockTimestamp())

    @staticmethod
    def silent_for(time: timedelta) -> Q:
        """No refusal of it was told within ``time``, by the database's clock."""
        return Q(alarmed_at=None) | Q(alarmed_at__lt=ClockTimestamp() - time)

    @staticmethod
    def unused_for(time: timedelta) -> Q:
        """Not noted as used within ``time``, by the database's clock."""
        return Q(last_used_at=None) | Q(last_used_at__lt=ClockTimestamp() - time)
