"""Whom a directory brought, its groups, and what these grant."""

from typing import Any

from django.db import models
from django.db.models import Q

from apps.access.models.units import BusinessUnit, Role
from apps.core.models import ClockTimestamp, Record, User


class DirectoryAccount(Record):
    """A person whom a directory brought: it may change and end this one, and no other person.

    ``ended``: the directory said that they have left, so it may say that they are back. ``removed_at``: it has
    forgotten them; who they were stays.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="directory_account")
    external_id = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(db_default=ClockTimestamp())
    ended = models.BooleanField(default=False, db_default=False)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["external_id"], condition=~Q(external_id="") & Q(removed_at=None), name="directory_account_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} from the directory"


class DirectoryGroup(Record):
    """A group of a directory. It grants what ``GroupMapping`` says of its name, and nothing else."""

    name = models.CharField(max_length=200, unique=True)
    external_id = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(db_default=ClockTimestamp())
    members: "models.ManyToManyField[User, Any]" = models.ManyToManyField(User, related_name="directory_groups")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class GroupMapping(Record):
    """Who is in the directory's group of this name holds this role there, and below."""

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    group = models.CharField(max_length=200)
    role = models.ForeignKey(Role, models.PROTECT, related_name="mappings")
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.group} is {self.role}"
