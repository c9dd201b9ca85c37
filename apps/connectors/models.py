"""Outside systems, what can be done in them, who may, and every effect on them."""

from collections.abc import Iterable
from typing import Any, override
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q, Value

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.agents.rules import EffectClass
from apps.connectors.rules import (
    ALL_METHODS,
    CONNECTOR_MOVES,
    EFFECT_MOVES,
    OPERATION_MOVES,
    ConnectorState,
    EffectState,
    ExecutedBy,
    Idempotency,
    Money,
    OperationState,
    SecretState,
)
from apps.connectors.rules.health import Purpose
from apps.connectors.rules.pins import PINNED, Waiting, merged
from apps.connectors.rules.requests import RequestEnd
from apps.core.models import ClockTimestamp, ObjectGrant, Record, Stateful, User, choices_of
from apps.core.rules import digest_of

OPERATION_JUDGED = (
    "method",
    "path",
    "parameters",
    "effect",
    "execution",
    "amount",
    "target",
    "consequence",
    "idempotency",
    "compensation",
)
CONNECTOR_JUDGED = ("slug", "adapter", "base_url", "allow_internal", "auth")
"""What a verdict and a person rely on. Names, time limits and fees may change, and a secret rotates, meanwhile."""


class Connector(Stateful):
    """An outside system. Scheme, host and port of ``base_url`` are all that its calls may reach.

    ``cleared``: the classes of data that may be sent to it.
    """

    MOVES = CONNECTOR_MOVES
    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, blank=True, related_name="connectors")
    adapter = models.CharField(max_length=8, default="http")
    base_url = models.CharField(max_length=500)
    allow_internal = models.BooleanField(default=False)
    inside_asked_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    auth = models.JSONField(default=dict)
    limits = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    mail = models.JSONField(null=True, blank=True)
    cleared: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    state = models.CharField(max_length=10, choices=choices_of(ConnectorState), default=ConnectorState.ACTIVE)

    class Meta:
        permissions = [("manage_connector", "May set up systems of record, their operations and secrets")]

    def __str__(self) -> str:
        return self.name


class ConnectorSecret(Record):
    """One version of one credential of a connector, sealed. A version that was replaced keeps its fingerprint only.

    ``stands_in_until``: replaced, and tried until then where the system does not take the new one yet.
    """

    UNIT = "connector__unit"

    connector = models.ForeignKey(Connector, models.CASCADE, related_name="secrets")
    credential = models.CharField(max_length=40, default="main")
    version = models.PositiveIntegerField()
    sealed = models.BinaryField()
    key_id = models.CharField(max_length=12)
    fingerprint = models.CharField(max_length=12)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    replaced_at = models.DateTimeField(null=True)
    stands_in_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(stands_in_until=None) | Q(replaced_at__isnull=False), name="secret_stands_in_when_replaced"
            ),
            models.UniqueConstraint(fields=["connector", "credential", "version"], name="secret_version_once"),
            models.UniqueConstraint(
                fields=["connector", "credential"], condition=Q(replaced_at=None), name="secret_one_in_use"
            ),
        ]

    def __str__(self) -> str:
        return f"secret {self.fingerprint} of {self.connector}"

    @property
    def state(self) -> SecretState:
        """What becomes of it."""
        if self.replaced_at is None:
            return SecretState.IN_USE
        return SecretState.STANDS_IN if self.stands_in_until else SecretState.DESTROYED


class Operation(Stateful):
    """One thing that can be done in a system. ``version`` grows with every change of what it means.

    ``classed``: the paths of its parameters that carry each class of data, read from the schema when it is saved.
    ``exclusive``: the key of its parameters that one action at a time holds.
    """

    MOVES = OPERATION_MOVES
    UNIT = "connector__unit"

    connector = models.ForeignKey(Connector, models.PROTECT, related_name="operations")
    slug = models.CharField(max_length=120, unique=True)
    name = models.CharField(max_length=160)
    version = models.PositiveIntegerField(default=1)
    method = models.CharField(max_length=6, choices=[(method, method) for method in ALL_METHODS])
    path = models.CharField(max_length=500)
    parameters = models.JSONField(default=dict)
    classed: "models.JSONField[Any, Any]" = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    effect = models.CharField(max_length=12, choices=choices_of(EffectClass))
    execution = models.CharField(max_length=5, choices=choices_of(ExecutedBy), default=ExecutedBy.PLANE)
    amount = models.JSONField(null=True, blank=True)
    target = models.CharField(max_length=200, blank=True)
    consequence = models.CharField(max_length=500, blank=True)
    idempotency = models.CharField(max_length=7, choices=choices_of(Idempotency), default=Idempotency.NONE)
    timeout_s = models.PositiveSmallIntegerField(default=10)
    compensation = models.JSONField(null=True, blank=True)
    on_file = models.JSONField(null=True, blank=True)
    dry_run = models.JSONField(null=True, blank=True)
    verify = models.JSONField(null=True, blank=True)
    exclusive = models.CharField(max_length=500, blank=True, default="", db_default="")
    mail = models.JSONField(null=True, blank=True)
    fee_minor = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, choices=choices_of(OperationState), default=OperationState.ACTIVE)

    class Meta:
        permissions = [("use_operation", "May ask for an operation of a system of record")]

    def __str__(self) -> str:
        return self.slug

    def not_cleared(self, classes: Iterable[str] | None = None) -> list[str]:
        """Those of ``classes`` (None: all that it can carry) that its system is not cleared for."""
        return sorted(set(self.classed if classes is None else classes) - set(self.connector.cleared))

    @property
    def definition_digest(self) -> str:
        """What would be called, how and where: the action that was judged keeps it, and nothing else runs for it."""
        system = {name: getattr(self.connector, name) for name in CONNECTOR_JUDGED}
        if lacking := self.not_cleared():
            system = system | {"not_cleared": lacking}
        judged = {name: getattr(self, name) for name in OPERATION_JUDGED}
        if self.mail is not None:
            judged, system = judged | {"mail": self.mail}, system | {"mail": self.connector.mail}
        return digest_of(judged | {"connector": system})


class OperationPin(Record):
    """Where an imported operation comes from, what of it a person confirmed, and what its document says since.

    ``definition``: what the document said of it when a person last looked; ``proposed``: what it says now, while
    ``waiting`` says that a person should look again. ``guess``: the effect class that its words suggest, and why.
    """

    UNIT = "operation__connector__unit"

    operation = models.OneToOneField(Operation, models.CASCADE, related_name="pin")
    key = models.CharField(max_length=200)
    document = models.CharField(max_length=120)
    digest = models.CharField(max_length=71)
    definition: "models.JSONField[Any, Any]" = models.JSONField()
    waiting = models.CharField(max_length=7, choices=choices_of(Waiting), blank=True)
    proposed = models.JSONField(null=True)
    guess: "models.JSONField[Any, Any]" = models.JSONField()
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(waiting=Waiting.CHANGED, proposed__isnull=False)
                | ~Q(waiting=Waiting.CHANGED) & Q(proposed__isnull=True),
                name="pin_proposes_what_changed",
            )
        ]

    def __str__(self) -> str:
        return f"{self.operation} of {self.document}"

    @property
    def now(self) -> dict[str, Any]:
        """What a document can say of an operation, as it is."""
        return {name: getattr(self.operation, name) for name in PINNED}

    @property
    def taken(self) -> dict[str, Any]:
        """The same, as taking what the document says now would make it."""
        return self.now if self.proposed is None else merged(self.now, self.definition, self.proposed)

    @property
    def seen(self) -> str:
        """What a person looks at: a review of anything else counts for nothing."""
        return digest_of([self.definition, self.waiting, self.proposed, self.guess])


class OperationPermission(ObjectGrant):
    """That a principal may use an operation: all of it or only some parameters, up to an amount, until a time."""

    content_object = models.ForeignKey(Operation, models.CASCADE, related_name="permissions")
    fields = models.JSONField(null=True, blank=True)
    limit_minor = models.BigIntegerField(null=True, blank=True)
    limit_currency = models.CharField(max_length=3, blank=True, default="", db_default="")

    class Meta(ObjectGrant.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(limit_minor=None, limit_currency="") | Q(limit_minor__gte=0) & ~Q(limit_currency=""),
                name="permission_limit_has_a_currency",
            )
        ]

    @property
    def limit(self) -> Money | None:
        """The most that one use may move; None: any amount."""
        return None if self.limit_minor is None else Money(self.limit_minor, self.limit_currency)


class RightSizing(Record):
    """That an agent's permissions were narrowed together: what each was and became, so that it can be taken back.

    ``before`` and ``after``: ``[{operation, fields, until, limit}]``; what is in one alone was revoked.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="right_sizings")
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    before: "models.JSONField[Any, Any]" = models.JSONField()
    after: "models.JSONField[Any, Any]" = models.JSONField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["agent", "-id"], name="right_sizing_by_agent")]

    def __str__(self) -> str:
        return f"{self.agent} was narrowed"


class AccessRequest(Record):
    """An agent asks for an operation that it may not use, or not with these ``fields`` (None: with all).

    ``operation`` is what it wrote: there may be none of this name, and the agent is not told. ``reason`` is the agent's
    own text. ``times``: how often it asked meanwhile; ``answer``: why people said yes or no.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="access_requests")
    operation = models.CharField(max_length=120)
    fields: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    days = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=500)
    times = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=7, choices=choices_of(RequestEnd), blank=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "operation"], condition=Q(ended_at=None), name="access_requested_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="") | Q(ended_at__isnull=False) & ~Q(outcome=""),
                name="access_request_ends_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} asks for {self.operation}"

    @staticmethod
    def open() -> Q:
        """Waits for people, by the database's clock."""
        return Q(ended_at=None, expires_at__gt=ClockTimestamp())


class ConnectorCall(Record):
    """That a system was called: what for, how it ended, how long it took. Nothing of what was asked or answered.

    ``in_trouble``: it says something bad of the system. ``said``: the egress guard's own words.
    """

    UNIT = "connector__unit"

    connector = models.ForeignKey(Connector, models.CASCADE, related_name="calls")
    operation = models.ForeignKey(Operation, models.CASCADE, null=True, related_name="+")
    purpose = models.CharField(max_length=9, choices=choices_of(Purpose))
    end = models.CharField(max_length=12)
    status = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=20, blank=True)
    said = models.CharField(max_length=200, blank=True)
    in_trouble = models.BooleanField(default=False)
    duration_ms = models.PositiveIntegerField(default=0)
    action_id = models.UUIDField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["connector", "-created_at"], name="call_by_connector"),
            models.Index(fields=["connector", "-created_at"], name="call_in_trouble", condition=Q(in_trouble=True)),
            models.Index(fields=["created_at"], name="call_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} at {self.connector}"


class Effect(Stateful):
    """What carrying out one action did to the system of record. ``retry_at``: when it is due again, if ever.

    ``verify_at``: when the system is to be read back, if it still is; ``read_back``: what it showed. ``in_line``: it
    waits until another action with its key has ended.
    """

    MOVES = EFFECT_MOVES
    UNIT = "action__unit"

    action = models.OneToOneField(Action, models.PROTECT, related_name="carried_out")
    operation = models.ForeignKey(Operation, models.PROTECT, related_name="effects")
    connector = models.ForeignKey(Connector, models.PROTECT, related_name="effects")
    state = models.CharField(max_length=12, choices=choices_of(EffectState), default=EffectState.PREPARED)
    idempotency_key = models.CharField(max_length=200, unique=True)
    attempt = models.PositiveIntegerField(default=0)
    repeats = models.PositiveSmallIntegerField(default=0)
    deferrals = models.PositiveSmallIntegerField(default=0)
    in_line = models.BooleanField(default=False, db_default=False)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    in_trouble = models.BooleanField(default=False)
    request: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    response = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    error = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    verify_at = models.DateTimeField(null=True)
    verify_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    read_back_at = models.DateTimeField(null=True)
    read_back = models.JSONField(null=True, encoder=DjangoJSONEncoder)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["verify_at"], name="effect_to_verify", condition=Q(verify_at__isnull=False)),
            models.Index(fields=["read_back_at"], name="effect_mismatched", condition=Q(state=EffectState.MISMATCH)),
            models.Index(
                fields=["retry_at"],
                name="effect_due",
                condition=Q(state__in=[EffectState.PREPARED, EffectState.UNKNOWN]),
            ),
            models.Index(
                fields=["lease_until"],
                name="effect_leased",
                condition=Q(state__in=[EffectState.CLAIMED, EffectState.DISPATCHED]),
            ),
            models.Index(fields=["connector", "-settled_at"], name="effect_by_connector"),
        ]

    def __str__(self) -> str:
        return f"effect of {self.operation.slug}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of its action."""
        return self.action.trail
