"""Which invented history was imported, by whom."""

from django.db import models

from apps.core.models import Record


class HistoryImport(Record):
    """One import of simulated facts; its entry is ``history.imported``."""

    runs = models.PositiveIntegerField()
    workflows = models.JSONField(default=list)
    first = models.DateTimeField()
    last = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.runs} simulated runs"
