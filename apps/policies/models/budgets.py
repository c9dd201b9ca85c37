"""Budgets, what is taken of them, and changes that wait for a second person."""

from django.db import models

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.core.models import Record, Stateful, User, choices_of
from apps.policies.rules import PROPOSAL_MOVES, ProposalState
from apps.policies.rules.budgets import BudgetScope, ChangeKind, Exhausted, Measure, Period, ReservationState


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

    ``starts``: the day in ``zone``, the unit's when it began (empty: written before periods knew theirs, the unit's
    of now): a unit that gets another zone begins no day anew. PostgreSQL itself keeps both sums from falling below
    nothing.
    """

    budget = models.ForeignKey(Budget, models.PROTECT, related_name="periods")
    starts = models.DateField()
    zone = models.CharField(max_length=60, blank=True, default="", db_default="")
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


class BudgetChange(Stateful):
    """What somebody wants of a budget that would let more through, and that somebody else releases or declines.

    ``cap``, ``exhausted`` and ``queue`` as they would be; ``was_*`` as they were when it was proposed: once the budget
    says something else, it cannot be released any more. To end the budget, or to give back what was ``reservation``
    and counted as spent, both are the same.
    """

    MOVES = PROPOSAL_MOVES
    UNIT = "budget__unit"

    budget = models.ForeignKey(Budget, models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=6, choices=choices_of(ChangeKind))
    cap = models.BigIntegerField()
    exhausted = models.CharField(max_length=8, choices=choices_of(Exhausted))
    queue = models.CharField(max_length=63, blank=True)
    was_cap = models.BigIntegerField()
    was_exhausted = models.CharField(max_length=8, choices=choices_of(Exhausted))
    was_queue = models.CharField(max_length=63, blank=True)
    reservation = models.ForeignKey(Reservation, models.PROTECT, null=True, related_name="changes")
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
                fields=["budget", "kind", "cap", "exhausted", "queue", "reservation"],
                condition=models.Q(state=ProposalState.OPEN),
                name="budget_change_waits_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(kind=ChangeKind.RETURN, reservation__isnull=False)
                | (~models.Q(kind=ChangeKind.RETURN) & models.Q(reservation=None)),
                name="budget_change_gives_back_something",
            ),
            models.CheckConstraint(
                condition=models.Q(state=ProposalState.OPEN, decided_by=None)
                | (~models.Q(state=ProposalState.OPEN) & models.Q(decided_by__isnull=False)),
                name="budget_change_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=ProposalState.RELEASED) | ~models.Q(decided_by=models.F("author")),
                name="budget_change_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return self.budget.name

    @property
    def is_end(self) -> bool:
        """Whether the budget would count nothing any more."""
        return self.kind == ChangeKind.END

    @property
    def is_return(self) -> bool:
        """Whether what one action took would count as spent no more."""
        return self.kind == ChangeKind.RETURN
