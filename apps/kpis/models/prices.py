"""What models cost."""

from django.db import models

from apps.core.models import Record


class PriceBook(Record):
    """Prices of one model from a time on, in millionths of the currency's unit per token (fractions allowed)."""

    model = models.CharField(max_length=120)
    valid_from = models.DateTimeField()
    currency = models.CharField(max_length=3, default="EUR")
    input_micro = models.DecimalField(max_digits=14, decimal_places=6)
    output_micro = models.DecimalField(max_digits=14, decimal_places=6)
    cache_read_micro = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    cache_write_micro = models.DecimalField(max_digits=14, decimal_places=6, default=0)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="price_once_per_time"),
            models.CheckConstraint(
                condition=models.Q(
                    input_micro__gte=0, output_micro__gte=0, cache_read_micro__gte=0, cache_write_micro__gte=0
                ),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from:%Y-%m-%d}"
