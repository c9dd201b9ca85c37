"""Engaged and lifted kill switches."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from apps.access.models import BusinessUnit
from apps.core.models import ClockTimestamp, Record, Stateful, User, choices_of
from apps.core.rules import PROPOSAL_MOVES, Moves, ProposalState
from apps.halts.rules import BreakerChangeKind, BreakerKind, BreakerWatch, DrillState, Flaw, HaltScope


class Halt(Record):
    """A kill switch that somebody engaged. Nothing within its scope starts until somebody else lifts it."""

    UNIT = "unit"

    scope = models.CharField(max_length=12, choices=choices_of(HaltScope))
    target = models.CharField(max_length=120, blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    engaged_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    lifted_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        permissions = [("engage_halt", "May stop things"), ("lift_halt", "May lift a halt")]
        constraints = [
            models.CheckConstraint(condition=Q(scope="everything") ^ ~Q(target=""), name="halt_names_its_target"),
            models.CheckConstraint(
                condition=Q(lifted_by=None) | ~Q(lifted_by=models.F("engaged_by")), name="halt_lifted_by_another"
            ),
            models.UniqueConstraint(fields=["scope", "target"], condition=Q(lifted_at=None), name="halt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}".strip()


class Breaker(Record):
    """A rule that engages a halt by itself: so many of ``kind`` within ``window_s`` seconds.

    ``target``: a slug of its scope; empty: each agent, version or system by itself. ``threshold``: a count; of
    ``volume`` how many times the usual most; of ``spend`` minor units of ``currency``. ``cause`` as in
    ``rules.BreakerTerms``: only what came about by it counts.
    """

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=choices_of(BreakerKind))
    scope = models.CharField(max_length=12, choices=choices_of(HaltScope))
    target = models.CharField(max_length=120, blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    threshold = models.BigIntegerField()
    window_s = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, blank=True)
    cause = models.CharField(max_length=130, blank=True, db_default="")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(cause="") | Q(kind__in=[BreakerKind.DENIED, BreakerKind.FAILED]),
                name="breaker_of_what_has_a_cause",
            ),
            models.CheckConstraint(condition=Q(threshold__gt=0, window_s__gt=0), name="breaker_counts_something"),
            models.CheckConstraint(
                condition=Q(kind=BreakerKind.SPEND) ^ Q(currency=""), name="breaker_of_money_has_a_currency"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def watch(self) -> BreakerWatch:
        """What it counts of what."""
        return BreakerWatch(**{name: getattr(self, name) for name in BreakerWatch.__dataclass_fields__})


class BreakerChange(Stateful):
    """What somebody wants of a breaker that would let more through, and that somebody else releases or declines.

    ``wanted``: a ``rules.BreakerWatch`` as it would be; ``was``: as it was when this was proposed: once the breaker
    says something else, it cannot be released any more. To end the breaker, both are the same. ``to_unit``: of the
    target wanted.
    """

    MOVES = PROPOSAL_MOVES
    UNIT = "breaker__unit"

    breaker = models.ForeignKey(Breaker, models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=6, choices=choices_of(BreakerChangeKind))
    wanted: "models.JSONField[Any, Any]" = models.JSONField()
    was: "models.JSONField[Any, Any]" = models.JSONField()
    to_unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=10, choices=choices_of(ProposalState), default=ProposalState.OPEN)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["breaker", "kind", "wanted"],
                condition=Q(state=ProposalState.OPEN),
                name="breaker_change_waits_once",
            ),
            models.CheckConstraint(
                condition=Q(state=ProposalState.OPEN, decided_by=None)
                | (~Q(state=ProposalState.OPEN) & Q(decided_by__isnull=False)),
                name="breaker_change_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state=ProposalState.RELEASED) | ~Q(decided_by=models.F("author")),
                name="breaker_change_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return self.breaker.name

    @property
    def is_end(self) -> bool:
        """Whether the breaker would count nothing any more."""
        return self.kind == BreakerChangeKind.END

    @property
    def breaker_then(self) -> Breaker:
        """The breaker as it would be; never saved."""
        return Breaker(**self.wanted)

    @property
    def breaker_before(self) -> Breaker:
        """The breaker as it was when this was proposed; never saved."""
        return Breaker(**self.was)


class Trip(Record):
    """One time that a breaker opened: the halt that it engaged, what it had counted, and what was in flight.

    ``cause``: the one that the breaker named then; ``actions``: the ids of the last that it counted, newest first.
    """

    breaker = models.ForeignKey(Breaker, models.PROTECT, related_name="trips")
    halt = models.OneToOneField(Halt, models.CASCADE, related_name="trip")
    measured = models.BigIntegerField()
    threshold = models.BigIntegerField()
    in_flight = models.PositiveIntegerField()
    cause = models.CharField(max_length=130, blank=True, db_default="")
    actions = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.breaker}: {self.measured}"


class Pace(models.Model):
    """The most that an agent usually asks for in a minute: the 99th percentile of its minutes in seven days."""

    agent = models.CharField(max_length=63, unique=True)
    p99 = models.PositiveIntegerField()
    minutes = models.PositiveIntegerField()
    computed_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.p99} a minute by {self.agent}"


class HaltDrill(Stateful):
    """A halt of synthetic work, to measure how long stopping takes. Nothing real asks for it, so nothing real stops.

    While it is ``running`` and ``engaged_at`` is set it covers what ``scope`` and ``target`` name, for drills' claims.
    ``asked_at``, ``engaged_at``, ``stopped_at`` as in ``rules.Stop``; ``claims``: committed before it; ``refused``:
    tries that it refused; ``escaped``: claims that committed all the same. PostgreSQL keeps it unchanged once it ended.
    """

    MOVES: ClassVar[Moves] = {
        DrillState.WAITING: frozenset({DrillState.RUNNING}),
        DrillState.RUNNING: frozenset({DrillState.PASSED, DrillState.FAILED, DrillState.ABANDONED}),
        DrillState.PASSED: frozenset(),
        DrillState.FAILED: frozenset(),
        DrillState.ABANDONED: frozenset(),
    }

    state = models.CharField(max_length=9, choices=choices_of(DrillState), default=DrillState.WAITING)
    scope = models.CharField(max_length=12, choices=choices_of(HaltScope))
    target = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=500)
    started_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    begun_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    engaged_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    last_claim_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    claims = models.PositiveIntegerField(null=True)
    refused = models.PositiveIntegerField(null=True)
    escaped = models.PositiveIntegerField(null=True)
    time_to_stop_ms = models.PositiveIntegerField(null=True)
    flaw = models.CharField(max_length=8, choices=choices_of(Flaw), blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["ended_at"], condition=Q(ended_at=None), nulls_distinct=False, name="halt_drill_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=~Q(state=DrillState.PASSED)
                | Q(escaped=0, claims__gt=0, refused__gt=0, flaw="")
                & Q(escaped__isnull=False, claims__isnull=False, refused__isnull=False, time_to_stop_ms__isnull=False),
                name="halt_drill_passes_when_all_stopped",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}".strip()


class DrillClaim(models.Model):
    """One piece of synthetic work that was claimed. It is there while its drill runs, and no longer."""

    drill = models.ForeignKey(HaltDrill, models.CASCADE, related_name="made")
    claimed_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.drill}: {self.claimed_at}"
