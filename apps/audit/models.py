"""The ledger: what happened, who still has to hear about it, and how far each projection has read."""

from typing import Any, override

from django.db import models
from django.db.models import Q

from apps.core.models import ClockTimestamp, User


class Xid(models.Field[int, int]):
    """PostgreSQL's ``xid8``: the writing transaction's number; projections order by it."""

    def db_type(self, connection: Any) -> str:
        """The column's type."""
        return "xid8"

    def get_prep_value(self, value: Any) -> Any:
        """Text: PostgreSQL compares an xid8 with a literal, not with an integer."""
        value = super().get_prep_value(value)
        return str(value) if isinstance(value, int) else value

    def from_db_value(self, value: Any, expression: object, connection: object) -> int | None:
        """Drivers answer text."""
        return None if value is None else int(value)


class Verbatim(models.JSONField):
    """JSON that PostgreSQL keeps byte for byte (``json``, not ``jsonb``): a commitment is made over these bytes."""

    @override
    def db_type(self, connection: Any) -> str:
        """The column's type."""
        return "json"

    @override
    def from_db_value(self, value: Any, expression: object, connection: object) -> Any:
        """The driver has read it already."""
        return value


class Lines(models.Manager["Entry"]):
    """Entries with what was written in them, or with its erasure: one query, however many."""

    @override
    def get_queryset(self) -> models.QuerySet["Entry"]:
        """Joined by their primary keys; counting joins nothing."""
        return super().get_queryset().select_related("written", "erasure")


class Entry(models.Model):
    """One line of the ledger. Inserted and read, never changed: PostgreSQL itself refuses (migration 0003).

    What is written in it, its ``payload`` and what its subject was called, stands in ``Payload`` and can be erased;
    ``commitment`` (32 bytes) says for ever what it was.
    """

    UNIT = "unit"

    id = models.BigAutoField(primary_key=True)
    xid = Xid(editable=False, db_default=models.Func(function="pg_current_xact_id"))
    occurred_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)
    name = models.CharField(max_length=80)
    actor = models.ForeignKey(User, models.PROTECT, related_name="+", db_constraint=False)
    actor_label = models.CharField(max_length=160)
    on_behalf_of = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, db_constraint=False)
    subject_kind = models.CharField(max_length=40)
    subject_id = models.UUIDField()
    trail_id = models.UUIDField()
    unit = models.UUIDField(null=True)
    commitment = models.BinaryField()

    objects = Lines()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        permissions = [("view_entry", "May read the ledger")]
        indexes = [
            models.Index(fields=["trail_id", "id"], name="entry_by_trail"),
            models.Index(fields=["subject_id", "id"], name="entry_by_subject"),
            models.Index(fields=["actor", "id"], name="entry_by_actor"),
            models.Index(fields=["name", "id"], name="entry_by_name"),
            models.Index(fields=["xid", "id"], name="entry_by_xid"),
            models.Index(fields=["occurred_at"], name="entry_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.subject_label}"

    @property
    def payload(self) -> dict[str, Any]:
        """What was written; once it is erased, the facts of it that are kept (``rules.FACTS``)."""
        return dict(self.erased.kept if self.erased else self.written.content["payload"])

    @property
    def subject_label(self) -> str:
        """What the subject was called; once that is erased, its kind and the end of its id."""
        return f"{self.subject_kind} {str(self.subject_id)[-8:]}" if self.erased else self.written.content["subject"]

    @property
    def erased(self) -> "Erasure | None":
        """By whom and when what was written here was erased; None where it still stands."""
        return getattr(self, "erasure", None)


class Payload(models.Model):
    """What was written in an entry: ``{"payload": {...}, "subject": "..."}`` as RFC 8785 bytes, and the salt.

    Written with its entry in one statement, never changed. Only PostgreSQL's ``audit_erase`` deletes it, and only for
    an entry of the same transaction that says so.
    """

    entry = models.OneToOneField(
        Entry, models.PROTECT, primary_key=True, related_name="written", db_constraint=False, db_index=False
    )
    salt = models.BinaryField()
    content = Verbatim()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"payload of {self.entry_id}"


class Erasure(models.Model):
    """That an entry's payload was erased: when, by whom, which entry says why, and the facts that were kept of it.

    Written by PostgreSQL's ``audit_erase`` alone; never changed, never deleted.
    """

    entry = models.OneToOneField(Entry, models.PROTECT, primary_key=True, related_name="erasure")
    because = models.ForeignKey(Entry, models.PROTECT, related_name="erasures")
    at = models.DateTimeField()
    by = models.CharField(max_length=160)
    kept = Verbatim()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"erasure of {self.entry_id}"


class Leaf(models.Model):
    """An entry's leaf at its place (from 0, without gaps) in the RFC 6962 tree. PostgreSQL refuses to change it."""

    place = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(Entry, models.PROTECT, related_name="leaf")
    hash = models.BinaryField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"leaf {self.place}"


class Delivery(models.Model):
    """One reaction that one entry rings: written with the entry, done in the transaction of its handler."""

    id = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="deliveries")
    reaction = models.CharField(max_length=120)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(db_default=ClockTimestamp())
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry", "reaction"], name="delivery_once")]
        indexes = [models.Index(fields=["not_before"], name="delivery_due", condition=Q(done_at=None))]

    def __str__(self) -> str:
        return f"{self.reaction} of {self.entry_id}"


class Cursor(models.Model):
    """How far a projection has read: everything up to (xid, id)."""

    projection = models.CharField(primary_key=True, max_length=60)
    xid = Xid(db_default=models.Value("0"))
    entry_id = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(db_default=ClockTimestamp())

    def __str__(self) -> str:
        return self.projection


class Stumble(models.Model):
    """An entry that a projection could not fold and stepped around; tried again each hour until it is mended."""

    id = models.BigAutoField(primary_key=True)
    projection = models.CharField(max_length=60)
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="+")
    error = models.CharField(max_length=80)
    tries = models.PositiveIntegerField(default=1)
    tried_at = models.DateTimeField(db_default=ClockTimestamp())
    mended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["projection", "entry"], name="stumble_once")]

    def __str__(self) -> str:
        return f"{self.projection} at {self.entry_id}"
