"""Event logs: what a process was like before."""

from django.db import models

from apps.core.models import ClockTimestamp, Record, User


class EventLog(Record):
    """What was read from a file of events; the file itself and its cases are not kept.

    ``digest`` is of the file, its columns and its zone: the same again changes nothing. ``figures`` as
    ``rules.eventlogs.LogFigures`` has them. No workflow: it is of none that runs here.
    """

    name = models.CharField(max_length=120, unique=True)
    workflow = models.CharField(max_length=63, blank=True)
    tz = models.CharField(max_length=64)
    digest = models.CharField(max_length=71)
    cases = models.PositiveIntegerField()
    events = models.PositiveIntegerField()
    duplicates = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    figures = models.JSONField()
    imported_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    imported_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class LogUpload(Record):
    """A file that waits until somebody has said how to read it: for an hour, for who left it, one a person."""

    owner = models.OneToOneField(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=200, blank=True)
    content = models.BinaryField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
