"""Policies, their versions, and the releases that judge."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Value

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.core.models import ClockTimestamp, Record, Stateful, User, choices_of
from apps.policies.rules import POLICY_MOVES, PROPOSAL_MOVES, Effect, PolicyState, ProposalKind, ProposalState
from apps.policies.rules.budgets import BudgetScope, Exhausted, Measure, Period, ReservationState
from apps.policies.rules.simulations import SIMULATION_MOVES, SimulationState
from apps.policies.rules.waivers import MAX_DAYS, WAIVER_MOVES, WaiverScope, WaiverState


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


class Budget(Record):
    """What may be spent, or how often may be called, in a day or a month of its unit's zone.

    ``target``: the slug of what it counts (a plain value: workflows live on a higher floor); ``unit``: that one's unit,
    None where it has none. ``cap``: minor units of ``currency``, or calls. ``queue``: who is asked, where an exhausted
    budget asks. ``owner``: who is warned.
    """

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=10, choices=choices_of(BudgetScope))
    target = models.CharField(max_length=120)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    owner = models.ForeignKey(User, models.PROTECT, related_name="+")
    measure = models.CharField(max_length=5, choices=choices_of(Measure))
    currency = models.CharField(max_length=3, blank=True)
    cap = models.BigIntegerField()
    period = models.CharField(max_length=5, choices=choices_of(Period))
    exhausted = models.CharField(max_length=8, choices=choices_of(Exhausted), default=Exhausted.DENY)
    queue = models.CharField(max_length=63, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["scope", "target"], name="budget_in_force", condition=models.Q(ended_at=None))]
        constraints = [
            models.CheckConstraint(condition=models.Q(cap__gte=0), name="budget_cap_not_negative"),
            models.CheckConstraint(
                condition=models.Q(measure=Measure.CALLS, currency="")
                | (models.Q(measure=Measure.MONEY) & ~models.Q(currency="")),
                name="budget_money_has_a_currency",
            ),
            models.CheckConstraint(
                condition=models.Q(exhausted=Exhausted.DENY, queue="")
                | (models.Q(exhausted=Exhausted.ESCALATE) & ~models.Q(queue="")),
                name="budget_asks_somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BudgetPeriod(models.Model):
    """One day or month of a budget: what is spent and what is reserved, the sums of its reservations.

    ``starts``: the day in the unit's zone. PostgreSQL itself keeps both from falling below nothing.
    """

    budget = models.ForeignKey(Budget, models.PROTECT, related_name="periods")
    starts = models.DateField()
    spent = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    warned_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts"], name="budget_period_once"),
            models.CheckConstraint(
                condition=models.Q(spent__gte=0, reserved__gte=0), name="budget_period_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.budget} {self.starts}"


class Reservation(Record):
    """What one action takes of one budget: held until the action ends, then spent or given back.

    ``is_beyond``: it did not fit and people were asked; it counts only once it is spent.
    """

    period = models.ForeignKey(BudgetPeriod, models.PROTECT, related_name="reservations")
    action = models.ForeignKey(Action, models.PROTECT, related_name="reservations")
    amount = models.BigIntegerField()
    is_beyond = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=choices_of(ReservationState), default=ReservationState.HELD)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["action", "period"], name="reservation_once")]
        indexes = [
            models.Index(fields=["period"], name="reservation_held", condition=models.Q(state=ReservationState.HELD))
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.period}"


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


class Waiver(Stateful):
    """Somebody's wish that one rule has no say over what is named, and somebody else's yes; for a time and some uses.

    ``digest``: of the rule as it was then; of another it lifts nothing. ``target``: a slug, by ``scope`` (a plain
    value: operations and workflows live elsewhere). ``used`` never passes ``times``: a use is one conditional UPDATE.
    """

    MOVES = WAIVER_MOVES
    UNIT = "policy__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="waivers")
    rule = models.SlugField(max_length=63)
    digest = models.CharField(max_length=71)
    effect = models.CharField(max_length=16, choices=choices_of(Effect))
    scope = models.CharField(max_length=9, choices=choices_of(WaiverScope))
    target = models.CharField(max_length=120)
    reason = models.CharField(max_length=500)
    maker = models.ForeignKey(User, models.PROTECT, related_name="+")
    days = models.PositiveSmallIntegerField()
    times = models.PositiveSmallIntegerField()
    used = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=8, choices=choices_of(WaiverState), default=WaiverState.ASKED)
    approver = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    until = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["scope", "target"], name="waiver_live", condition=models.Q(state=WaiverState.LIVE))
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(used__lte=models.F("times")), name="waiver_within_its_uses"),
            models.CheckConstraint(condition=models.Q(days__range=(1, MAX_DAYS)), name="waiver_within_its_days"),
            models.CheckConstraint(
                condition=models.Q(approver=None) | ~models.Q(approver=models.F("maker")), name="waiver_by_two_people"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=[WaiverState.LIVE, WaiverState.USED_UP])
                | models.Q(approver__isnull=False, until__isnull=False),
                name="waiver_approved_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy.slug}/{self.rule}"

    @property
    def left(self) -> int:
        """How often it may still be used."""
        return self.times - self.used

    @staticmethod
    def usable() -> models.Q:
        """Live, in time by the database's clock, and not used up."""
        return models.Q(state=WaiverState.LIVE, until__gt=ClockTimestamp(), used__lt=models.F("times"))


class WaiverUse(Record):
    """One action for which a waiver lifted its rule."""

    UNIT = "waiver__policy__unit"

    waiver = models.ForeignKey(Waiver, models.PROTECT, related_name="uses")
    action = models.ForeignKey(Action, models.PROTECT, related_name="waiver_uses")
    number = models.PositiveSmallIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["waiver", "number"], name="waiver_use_counted_once"),
            models.UniqueConstraint(fields=["action", "waiver"], name="waiver_used_once_by_an_action"),
        ]

    def __str__(self) -> str:
        return f"{self.waiver} {self.number}"
