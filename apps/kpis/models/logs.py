"""Event logs: what a process was like before."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.core.models import ClockTimestamp, Record, User, choices_of
from apps.kpis.rules.imports import ImportState, ImportStep


class EventLog(Record):
    """What was read from a file of events; the file itself is not kept, its cases are.

    ``has_cases``: those of logs from before are not there. ``digest`` is of the file, its columns and its zone: the
    same again changes nothing. ``figures`` as ``rules.eventlogs.LogFigures`` has them. No workflow: it is of none that
    runs here.
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
    has_cases = models.BooleanField(default=False, db_default=False)
    imported_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    imported_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @property
    def attributes(self) -> list[str]:
        """What is kept of each case as a whole, in the order in which it was asked for."""
        return [one["name"] for one in self.figures.get("attributes", ())]


class LogCase(models.Model):
    """One case of a log: what was done in it in order, by whom, and what it counts for.

    ``did`` and ``by`` are as long as each other; nobody is an empty text. ``way`` is the digest of ``did``, ``told``
    what is said of the case as a whole, by the attributes that ``EventLog.attributes`` names.
    """

    id = models.BigAutoField(primary_key=True)
    log = models.ForeignKey(EventLog, models.CASCADE, related_name="kept_cases")
    name = models.CharField(max_length=200)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    cycle_s = models.FloatField()
    week = models.CharField(max_length=8)
    way = models.CharField(max_length=32)
    did = ArrayField(models.CharField(max_length=200))
    by = ArrayField(models.CharField(max_length=200, blank=True))
    handovers = models.PositiveIntegerField()
    reworked = models.BooleanField()
    cost = models.DecimalField(max_digits=30, decimal_places=9, null=True)
    told = models.JSONField(default=dict, db_default={})

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["log", "name"], name="log_case_once")]
        indexes = [
            models.Index(fields=["log", "-cycle_s", "id"], name="log_case_by_time"),
            models.Index(fields=["log", "way"], name="log_case_by_way"),
            models.Index(fields=["log", "week"], name="log_case_by_week"),
        ]

    def __str__(self) -> str:
        return self.name


class LogUpload(Record):
    """A file that waits until somebody has said how to read it, for who left it, one a person; then its import.

    ``asked``: how it is read, as the page's form has it. A worker takes it until ``claimed_until``, which it puts off
    as it goes; ``fence`` counts who took it, ever, so that one that was given up writes nothing, and ``attempts`` those
    of this import. ``done`` of ``total``: see ``ImportStep``. ``errors``: by field of the form.
    """

    owner = models.OneToOneField(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=200, blank=True)
    content = models.BinaryField()
    state = models.CharField(
        max_length=9, choices=choices_of(ImportState), default=ImportState.LEFT, db_default=ImportState.LEFT
    )
    asked = models.JSONField(default=dict, db_default={})
    step = models.CharField(
        max_length=8, choices=choices_of(ImportStep), default=ImportStep.WAITING, db_default=ImportStep.WAITING
    )
    done = models.PositiveIntegerField(default=0, db_default=0)
    total = models.PositiveIntegerField(default=0, db_default=0)
    fence = models.PositiveIntegerField(default=0, db_default=0)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    claimed_until = models.DateTimeField(db_default=ClockTimestamp())
    began_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    errors = models.JSONField(default=dict, db_default={})
    outcome = models.CharField(max_length=9, blank=True, default="", db_default="")
    log = models.ForeignKey(EventLog, models.SET_NULL, null=True, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
