"""What was done in outside systems: every call, and every effect."""

from typing import Any, override
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.connectors.models.systems import Connector, Operation
from apps.connectors.rules import EFFECT_MOVES, UNSETTLED, EffectState
from apps.connectors.rules.health import Purpose
from apps.core.models import Record, Stateful, choices_of


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
    environment = models.CharField(
        max_length=4, choices=choices_of(Environment), default=Environment.LIVE, db_default=Environment.LIVE
    )

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
                Coalesce("retry_at", "lease_until", "created_at"),
                "id",
                name="effect_open",
                condition=Q(state__in=UNSETTLED),
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
