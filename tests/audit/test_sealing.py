"""Entries are sealed in order, once; their tree proves later what stood there, whatever was erased meanwhile."""

import hashlib
from io import StringIO
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry, Leaf
from apps.audit.rules import leaf_of, root_of
from apps.audit.services import erase_payloads, read_on, record, seal_entries
from tests.conftest import let_the_horizon_pass, url_of
from tests.factories.access import make_unit, make_user


def by_the_book(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40))
def test_the_root_is_that_of_rfc_6962(leaves):
    assert root_of(iter(leaves)) == by_the_book(leaves)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "column", ["name", "actor_label", "subject_kind", "trail_id", "unit", "commitment", "occurred_at"]
)
def test_a_leaf_changes_with_every_column(column):
    entry = Entry.objects.get(pk=record(make_user(), make_unit(), "test.happened").pk)
    before = leaf_of(entry)
    changed = {"trail_id": uuid4(), "unit": None, "commitment": bytes(32), "occurred_at": make_user().date_joined}
    setattr(entry, column, changed.get(column, "other"))
    assert leaf_of(entry) != before


def leave(number: int) -> None:
    with transaction.atomic():
        actor, unit = make_user(), make_unit()
        for _ in range(number):
            record(actor, unit, "test.happened", trail=uuid4(), payload={"text": "Her words."})
    let_the_horizon_pass()


def seal() -> None:
    while read_on(projection="leaves", limit=3):
        pass


def verify(**noted: object) -> str:
    out = StringIO()
    call_command("audit_verify", stdout=out, **noted)
    return out.getvalue()


def as_owner(*statements: str) -> None:
    with psycopg.connect(
        url_of(settings.DATABASE_OWNER_URL, connection.settings_dict["NAME"]), autocommit=True
    ) as owner:
        for statement in statements:
            owner.execute(statement)


def test_entries_are_sealed_once_in_order_and_an_erasure_changes_no_leaf(real_db):
    leave(7)
    seal()
    assert list(Leaf.objects.order_by("place").values_list("place", flat=True)) == list(range(Entry.objects.count()))
    assert seal_entries(entries=list(Entry.objects.all())) == 0
    size, root = verify().split()[-3], verify().split()[-1]
    with transaction.atomic():
        entry = Entry.objects.filter(name="test.happened").earliest("id")
        erase_payloads(entry.actor, make_unit(), trail=entry.trail_id, reason="Asked to.")
    leave(2)
    seal()
    assert "1 payloads are erased." in verify(size=int(size), root=root)
    assert verify().split()[-1] != root
    with pytest.raises(CommandError, match="are not those whose root was"):
        verify(size=int(size) - 1, root=root)
    with pytest.raises(CommandError, match="belong together"):
        verify(size=3)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_leaf SET hash = ''", "DELETE FROM audit_leaf", "TRUNCATE audit_leaf"]
)
def test_nobody_changes_a_leaf(real_db, statement):
    leave(1)
    seal()
    with pytest.raises(DatabaseError, match="permission denied"):
        connection.cursor().execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        as_owner(statement)


def test_a_line_that_was_changed_after_all_is_found_and_so_is_a_leaf_that_is_gone(real_db):
    leave(4)
    seal()
    first, second = Entry.objects.order_by("id")[:2]
    as_owner(
        "ALTER TABLE audit_entry DISABLE TRIGGER USER",
        "ALTER TABLE audit_leaf DISABLE TRIGGER USER",
        f"UPDATE audit_entry SET actor_label = 'human:nobody' WHERE id = {second.pk}",
    )
    with pytest.raises(CommandError, match=f"entry {second.pk}: It is not the line that was sealed."):
        verify()
    as_owner(f"DELETE FROM audit_leaf WHERE entry_id = {first.pk}")
    with pytest.raises(CommandError, match=f"entry {second.pk}: A leaf before its own is gone."):
        verify()
