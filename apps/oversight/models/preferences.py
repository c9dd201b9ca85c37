"""How a person likes their inbox: comfort, not governance, so the ledger is not told."""

from django.db import models
from django.db.models.functions import Lower

from apps.core.models import Record, User


class SavedView(Record):
    """A person's own name for a set of filters; ``query`` is the part of the address behind ``?``."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=600)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint("owner", Lower("name"), name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name
