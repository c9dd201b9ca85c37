"""What models, people's time, agents' work, calls of systems and a month cost, and other currencies are worth."""

from django.db import models

from apps.core.models import Record
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.rates import ABOUT, NAMED, Per, RateBook, RateKind, RateSeen


class PriceBook(Record):
    """Prices of one model from a time on, in millionths of the currency's unit per token (fractions allowed).

    ``reasoning_micro``: of the tokens out that are reasoning; None: as any other.
    """

    model = models.CharField(max_length=120)
    valid_from = models.DateTimeField()
    currency = models.CharField(max_length=3, default="EUR")
    input_micro = models.DecimalField(max_digits=14, decimal_places=6)
    output_micro = models.DecimalField(max_digits=14, decimal_places=6)
    cache_read_micro = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    cache_write_micro = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    reasoning_micro = models.DecimalField(max_digits=14, decimal_places=6, null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="price_once_per_time"),
            models.CheckConstraint(condition=models.Q(reasoning_micro__gte=0), name="price_of_reasoning_not_negative"),
            models.CheckConstraint(
                condition=models.Q(
                    input_micro__gte=0, output_micro__gte=0, cache_read_micro__gte=0, cache_write_micro__gte=0
                ),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from:%Y-%m-%d}"


class Rate(Record):
    """What something costs from a time on: an hour of people, an agent's work, a call, a month of what is fixed.

    Or what a whole unit of another currency is worth: so many minor units of the reporting one, as it was then.

    What it is about stands in plain slugs, "" for everything, and outlives what it names. A later rate of the same
    subject ends it; none is ever removed.
    """

    kind = models.CharField(max_length=9, choices=[(one.value, one.value) for one in RateKind])
    per = models.CharField(max_length=7, choices=[(one.value, one.value) for one in Per])
    unit = models.CharField(max_length=63, blank=True)
    role = models.CharField(max_length=63, blank=True)
    agent = models.CharField(max_length=63, blank=True)
    operation = models.CharField(max_length=120, blank=True)
    workflow = models.CharField(max_length=63, blank=True)
    of_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    valid_from = models.DateTimeField()
    amount_minor = models.DecimalField(max_digits=20, decimal_places=8)
    currency = models.CharField(max_length=3)
    source = models.CharField(max_length=300, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "unit", "role", "agent", "operation", "workflow", "of_currency", "valid_from"],
                name="rate_once_per_time",
            ),
            models.CheckConstraint(condition=models.Q(amount_minor__gte=0), name="rate_not_negative"),
            models.CheckConstraint(
                condition=models.Q(per="hour", kind="people")
                | models.Q(per__in=["task", "minute"], kind="agent")
                | models.Q(per__in=["success", "call"], kind="operation")
                | models.Q(per="month", kind="fixed")
                | models.Q(per="unit", kind="currency", of_currency__gt="", amount_minor__gt=0),
                name="rate_per_fits_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {local_day(self.valid_from, reporting_zone()).isoformat()}"

    @property
    def name(self) -> str:
        """What it is about, as its slugs say it."""
        named = [getattr(self, name) for name in ABOUT[RateKind(self.kind)]]
        return "/".join([self.kind, *(slug or "all" for slug in named)])

    def seen(self) -> RateSeen:
        """Ready to be asked."""
        return RateSeen(
            per=self.per,
            since=self.valid_from,
            minor=self.amount_minor,
            currency=self.currency,
            **{name: getattr(self, name) for name in NAMED},
        )


def rate_book() -> RateBook:
    """Every rate as it is now: there are few."""
    return RateBook(row.seen() for row in Rate.objects.all())
