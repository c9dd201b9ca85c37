"""Whose rights nobody takes away meanwhile: who uses a right keeps them, who takes it away holds them."""

from collections.abc import Collection
from uuid import UUID

from django.db import connection

from apps.core.models import User


def keep_people(people: Collection[UUID]) -> None:
    """Nobody takes a role from these people until this transaction ends; others may keep them at the same time.

    Call after anything else is locked. Django knows no ``FOR SHARE``.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM core_user WHERE id = ANY(%s) ORDER BY id FOR SHARE", [list(people)])


def hold_people(people: Collection[UUID]) -> None:
    """Take a role from these people, once nobody keeps them any more. Call after anything else is locked."""
    list(User.objects.select_for_update(no_key=True).filter(pk__in=people).order_by("pk").values_list("pk"))
