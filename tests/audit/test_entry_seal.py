"""The page of an entry says whether it is sealed and whether that holds: also what the tables' owner changed."""

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.audit.rules import inclusion_of, root_by, root_of
from apps.audit.services import record
from apps.core.models import User
from tests.audit.test_sealing import as_owner, leave, seal, verify
from tests.conftest import let_the_horizon_pass
from tests.factories.access import make_admin, make_holder, make_unit

HOLDS, FAILS = "holds, checked just now", "does not hold"
CHECK = "?seal=check"
VIEW = "audit.view_entry"


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.data())
def test_the_path_of_each_leaf_leads_to_the_root_and_that_of_another_does_not(leaves, data):
    place = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_of(leaves, place)
    assert root_by(leaves[place], path, place=place, size=len(leaves)) == root_of(leaves)
    assert root_by(b"another", path, place=place, size=len(leaves)) != root_of(leaves)


def page_of(person: User, entry: Entry, query: str = "", status: int = 200) -> str:
    cache.clear()
    client = Client()
    client.force_login(person)
    answer = client.get(f"/audit/{entry.pk}/{query}")
    assert answer.status_code == status
    return answer.content.decode().replace("<wbr>", "")


def entry_made() -> Entry:
    return Entry.objects.filter(name="test.happened").latest("id")


def test_it_says_where_it_is_sealed_and_what_was_compared(real_db):
    reader = make_admin()
    leave(3)
    entry = entry_made()
    assert "not sealed yet" in page_of(reader, entry)
    seal()
    page = page_of(reader, entry, CHECK)
    size, root = verify().split()[-3], verify().split()[-1]
    place = entry.leaf.place
    for said in (HOLDS, f"at place {place}", f"among the first {size} leaves", f"size {size} root {root}"):
        assert said in page
    assert FAILS not in page
    noted = page_of(reader, entry, f"?size={size}&root={root.upper()}")
    assert "That root is the one that you noted." in noted
    assert HOLDS in noted
    other = page_of(reader, entry, f"?size={size}&root={'0' * 64}")
    assert "not the one that you noted" in other
    assert FAILS in other
    for odd in (f"?size={place}&root={root}", f"?size=9999999&root={root}", "?size=x&root=y", f"?size=1&root={root}g"):
        assert f"sealed at place {place}" in page_of(reader, entry, odd, status=422)


def asked_of_the_leaves(person: User, entry: Entry, query: str = "") -> tuple[list[str], str]:
    with CaptureQueriesContext(connection) as asked:
        page = page_of(person, entry, query)
    return [one["sql"] for one in asked if 'FROM "audit_leaf"' in one["sql"]], page


def test_the_tree_is_computed_when_somebody_asks_and_its_leaves_are_never_counted(real_db):
    reader = make_admin()
    leave(3)
    seal()
    entry = entry_made()
    asked, page = asked_of_the_leaves(reader, entry)
    assert f"sealed at place {entry.leaf.place}" in page
    assert "Check its seal" in page
    assert HOLDS not in page
    assert not [sql for sql in asked if str(entry.pk) not in sql and "EXISTS" not in sql], "its own leaf alone"
    asked, page = asked_of_the_leaves(reader, entry, CHECK)
    assert HOLDS in page
    assert "Check its seal" not in page
    assert not [sql for sql in asked if "COUNT(" in sql]


def test_on_a_large_ledger_it_says_what_is_wrong_with_a_size(real_db, monkeypatch):
    reader = make_admin()
    leave(5)
    seal()
    entry = entry_made()
    place, root = entry.leaf.place, "0" * 64
    size = verify().split()[-3]
    monkeypatch.setattr("apps.audit.selectors.PROVEN_MAX", 2)
    assert "too large to be computed" in page_of(reader, entry, CHECK)
    small = page_of(reader, entry, f"?size=1&root={root}", status=422)
    assert f"has {place + 1} to {size} leaves" in small
    assert "A page computes trees" not in small
    large = page_of(reader, entry, f"?size={size}&root={root}", status=422)
    assert "A page computes trees of at most 2 leaves" in large


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit_entry SET actor_label = 'human:nobody' WHERE id = {0}", "It is not the line that was sealed."),
        ("UPDATE audit_payload SET content = '{{\"payload\":{{}},\"subject\":\"x\"}}' WHERE entry_id = {0}",
         "Its payload is not what was written."),
        ("DELETE FROM audit_payload WHERE entry_id = {0}", "Its payload is gone, and no erasure says so."),
        ("DELETE FROM audit_leaf WHERE entry_id = {0}", "It was passed over: it has no leaf."),
        ("DELETE FROM audit_leaf WHERE entry_id < {0} AND place = 0", "does not lead to the root"),
    ],
)  # fmt: skip
def test_what_the_owner_of_the_tables_changed_does_not_hold(real_db, statement, said):
    reader = make_admin()
    leave(4)
    seal()
    entry = entry_made()
    assert HOLDS in page_of(reader, entry, CHECK)
    as_owner(
        *(f"ALTER TABLE audit_{table} DISABLE TRIGGER USER" for table in ("entry", "payload", "leaf")),
        statement.format(entry.pk),
    )
    page = page_of(reader, entry, CHECK)
    assert FAILS in page
    assert said in page
    assert 'class="note bad" role="alert"' in page
    assert HOLDS not in page


def test_who_reads_a_unit_alone_learns_of_the_entry_and_not_of_the_tree(real_db):
    unit = make_unit()
    reader = make_holder(VIEW, unit=unit)
    with transaction.atomic():
        entry = record(reader, unit, "test.happened")
    let_the_horizon_pass()
    seal()
    page = page_of(reader, entry)
    assert HOLDS in page
    assert "root" not in page.partition('id="seal"')[2].partition("</section>")[0].replace("Without a root", "")
