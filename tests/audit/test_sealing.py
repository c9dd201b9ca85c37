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

from apps.audit import selectors
from apps.audit.models import Cursor, Entry, Leaf, Stumble
from apps.audit.rules import leaf_of, root_of
from apps.audit.services import erase_payloads, read_on, record, seal_entries
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from tests.conftest import let_the_horizon_pass, url_of
from tests.factories.access import make_unit, make_user
from tests.together import at_once


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


LAID_ASIDE = (
    "ALTER TABLE audit_entry DISABLE TRIGGER USER",
    "ALTER TABLE audit_payload DISABLE TRIGGER USER",
    "ALTER TABLE audit_leaf DISABLE TRIGGER USER",
)


def delete_line(number: int) -> None:
    """With all that the owner of the tables may do: without what ties the leaf to its line."""
    key = "SELECT conname FROM pg_constraint WHERE conrelid = 'audit_leaf'::regclass AND contype = 'f'"
    with connection.cursor() as cursor:
        cursor.execute(key)
        (name,) = cursor.fetchone()
    as_owner(
        *LAID_ASIDE,
        f'ALTER TABLE audit_leaf DROP CONSTRAINT "{name}"',
        f"DELETE FROM audit_payload WHERE entry_id = {number}",
        f"DELETE FROM audit_entry WHERE id = {number}",
    )


@pytest.mark.parametrize("noted", [False, True])
def test_a_sealed_line_that_is_gone_is_found(real_db, noted):
    leave(5)
    seal()
    size, root = verify().split()[-3::2]
    second = Entry.objects.order_by("id")[1]
    delete_line(second.pk)
    with pytest.raises(CommandError, match=f"entry {second.pk}: A sealed line is gone."):
        verify(**({"size": int(size), "root": root} if noted else {}))


def test_the_root_is_that_of_the_lines_and_not_of_what_is_stored_beside_them(real_db):
    leave(3)
    seal()
    size, root = verify().split()[-3::2]
    entry = Entry.objects.order_by("id")[1]
    as_owner(*LAID_ASIDE, f"UPDATE audit_entry SET actor_label = 'human:nobody' WHERE id = {entry.pk}")
    entry.refresh_from_db()
    as_owner(f"UPDATE audit_leaf SET hash = '\\x{leaf_of(entry).hex()}' WHERE entry_id = {entry.pk}")
    assert verify().split()[-1] != root
    with pytest.raises(CommandError, match="are not those whose root was"):
        verify(size=int(size), root=root)


def test_leaves_that_are_gone_at_the_end_are_missed(real_db):
    leave(4)
    seal()
    last = Entry.objects.latest("id")
    as_owner(*LAID_ASIDE, f"DELETE FROM audit_leaf WHERE entry_id = {last.pk}")
    with pytest.raises(CommandError, match=f"entry {last.pk}: It was passed over: it has no leaf."):
        verify()


def test_entries_that_a_pushed_cursor_leaps_over_are_missed(real_db):
    """The application's own role moves cursors: that must not keep entries from being sealed in silence."""
    leave(2)
    seal()
    leave(2)
    last = Entry.objects.latest("id")
    assert "are sealed; 2 are not yet, the oldest of " in verify()
    Cursor.objects.filter(projection="leaves").update(xid=last.xid, entry_id=last.pk)
    seal()
    with pytest.raises(CommandError, match=f"entry {last.pk}: It was passed over: it has no leaf."):
        verify()


def test_an_entry_that_could_not_be_sealed_is_counted_until_it_is(real_db):
    leave(2)
    seal()
    last = Entry.objects.latest("id")
    as_owner(*LAID_ASIDE, f"DELETE FROM audit_leaf WHERE entry_id = {last.pk}")
    Stumble.objects.create(projection="leaves", entry=last, error="ValueError")
    assert f"1 are sealed; 0 are not yet; 1 could not be sealed: entry {last.pk}." in verify()
    Stumble.objects.update(mended_at=ClockTimestamp())
    with pytest.raises(CommandError, match="passed over"):
        verify()


def test_it_reads_as_of_one_moment_while_the_plane_writes_on(real_db, monkeypatch):
    leave(3)
    seal()
    entry, writers = Entry.objects.earliest("id"), [1]

    def write_on(line: Entry) -> bytes:
        if writers:
            writers.clear()
            at_once(lambda: erase_payloads(entry.actor, make_unit(), trail=entry.trail_id, reason="Asked to."))
        return leaf_of(line)

    monkeypatch.setattr(selectors, "leaf_of", write_on)
    proof = selectors.proof_for(system_user("console"))
    assert (proof.entries, proof.sealed, proof.erasures, proof.mismatches) == (3, 3, (), ())
    assert Entry.objects.filter(name="payloads.erased").count() == 1
    assert len(selectors.proof_for(system_user("console")).erasures) == 1
