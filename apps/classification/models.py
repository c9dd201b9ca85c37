"""Classes that fields of operations and workflows carry."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q

from apps.classification.rules import Place, Sensitivity
from apps.core.models import Record, choices_of


class DataClass(Record):
    """A kind of data. ``purpose``: why it is kept. ``visible_to``: names of permissions and slugs of roles.

    ``retention_days`` after what it belongs to has ended; None: no end is set. ``redact_in``: where it is hidden from
    everybody else.
    """

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=500, blank=True)
    sensitivity = models.CharField(max_length=12, choices=choices_of(Sensitivity))
    retention_days = models.PositiveIntegerField(null=True)
    visible_to: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    redact_in: "models.JSONField[Any, Any]" = models.JSONField(default=list)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(retention_days=None) | Q(retention_days__gte=1), name="data_class_is_kept_a_day"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def kept_until(self, ended_at: datetime | None) -> datetime | None:
        """Until when is kept what ended then; None while it is open, and where no end is set."""
        return ended_at + timedelta(days=self.retention_days) if ended_at and self.retention_days else None

    @property
    def places(self) -> list[Place]:
        """Where it is hidden, in their order."""
        return [place for place in Place if place in self.redact_in]
