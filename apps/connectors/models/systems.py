"""Outside systems and their secrets; what can be done in them, where that comes from, and who may."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import Q, Value

from apps.access.models import BusinessUnit
from apps.agents.rules import EffectClass, Environment
from apps.classification.rules import Classed, data_classes_in, hidden_by_rules
from apps.connectors.rules import (
    ALL_METHODS,
    CONNECTOR_MOVES,
    OPERATION_MOVES,
    ConnectorState,
    ExecutedBy,
    Idempotency,
    Money,
    OnConflict,
    OperationState,
    SecretState,
)
from apps.connectors.rules.pins import PINNED, Waiting, merged, pinned_of
from apps.connectors.rules.places import CREDENTIALS, Place
from apps.core.models import ObjectGrant, Record, Stateful, User, choices_of
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

    ``test_base_url``: the same for what is asked with a test key, where the system has a place for that; empty: it has
    none. ``cleared``: the classes of data that may be sent to it. ``left_units``, ``test_left_units``: the units where
    it stood (ids; empty: in none) since somebody last allowed its address to be an inside one.
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
    left_units: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    test_base_url = models.CharField(max_length=500, blank=True, default="", db_default="")
    test_allow_internal = models.BooleanField(default=False, db_default=False)
    test_inside_asked_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    test_left_units: "models.JSONField[Any, Any]" = models.JSONField(
        default=list, db_default=Value([], models.JSONField())
    )
    auth = models.JSONField(default=dict)
    limits = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    mail = models.JSONField(null=True, blank=True)
    cleared: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    state = models.CharField(max_length=10, choices=choices_of(ConnectorState), default=ConnectorState.ACTIVE)

    class Meta:
        permissions = [("manage_connector", "May set up systems of record, their operations and secrets")]

    def __str__(self) -> str:
        return self.name

    def place(self, environment: str) -> Place | None:
        """Where the calls of an environment go; None: what is asked with a test key is answered without one."""
        if environment == Environment.LIVE:
            return Place(self.base_url, self.allow_internal, Environment.LIVE)
        return Place(self.test_base_url, self.test_allow_internal, Environment.TEST) if self.test_base_url else None


class ConnectorSecret(Record):
    """One version of one credential of a connector, sealed. A version that was replaced keeps its fingerprint only.

    ``credential``: ``main``, or ``test`` for the test address. ``stands_in_until``: replaced, and tried until then
    where the system does not take the new one yet.
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
    def environment(self) -> Environment:
        """What it opens."""
        return Environment.TEST if self.credential == CREDENTIALS[Environment.TEST] else Environment.LIVE

    @property
    def state(self) -> SecretState:
        """What becomes of it."""
        if self.replaced_at is None:
            return SecretState.IN_USE
        return SecretState.STANDS_IN if self.stands_in_until else SecretState.DESTROYED


class Operation(Stateful):
    """One thing that can be done in a system. ``version`` grows with every change of what it means.

    ``classed``: the paths of its parameters that carry each class of data, read from the schema when it is saved.
    ``exclusive``: the key of its parameters that one action at a time holds; ``on_conflict``: what becomes of another.
    ``query``: the statement that a database is asked. ``tool``: what an MCP server says of its tool: hints, and the
    schema of its answers.
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
    on_conflict = models.CharField(
        max_length=9, choices=choices_of(OnConflict), default=OnConflict.QUEUE, db_default=OnConflict.QUEUE
    )
    mail = models.JSONField(null=True, blank=True)
    query = models.TextField(blank=True, default="", db_default="")
    tool: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    fee_minor = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, choices=choices_of(OperationState), default=OperationState.ACTIVE)

    class Meta:
        permissions = [("use_operation", "May ask for an operation of a system of record")]

    def __str__(self) -> str:
        return self.slug

    def not_cleared(self, classes: Iterable[str] | None = None) -> list[str]:
        """Those of ``classes`` (None: all that it can carry) that its system is not cleared for."""
        asked = data_classes_in(self.classed if classes is None else classes)
        return sorted(set(asked) - set(self.connector.cleared))

    def hiding(self, classed: Classed, names: Iterable[str], parameters: object) -> dict[str, list[list[str]]]:
        """``classed`` with the paths that rules hide; an amount is hidden from nobody."""
        amount = self.amount or {}
        counted = [str(amount.get(key, "")) for key in ("path", "currency_path")]
        return hidden_by_rules(classed, names, parameters, counted=counted)

    @property
    def definition_digest(self) -> str:
        """What would be called, how and where: the action that was judged keeps it, and nothing else runs for it."""
        system = {name: getattr(self.connector, name) for name in CONNECTOR_JUDGED}
        if lacking := self.not_cleared():
            system = system | {"not_cleared": lacking}
        judged = {name: getattr(self, name) for name in OPERATION_JUDGED}
        if self.mail is not None:
            judged, system = judged | {"mail": self.mail}, system | {"mail": self.connector.mail}
        if self.query:
            judged["query"] = self.query
        if self.tool is not None:
            judged["tool"] = self.tool
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
        return pinned_of({name: getattr(self.operation, name) for name in PINNED})

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
