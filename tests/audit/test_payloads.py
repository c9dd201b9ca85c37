"""What is written in entries: committed to, never changed, erased by one function alone, and proven meanwhile."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Delivery, Entry, Erasure, Payload
from apps.audit.rules import FACTS, canonical_text, commitment_of, facts_of, leaf_of, root_of
from apps.audit.selectors import proof_for
from apps.audit.services import Change, erase_payloads, record, record_many
from apps.audit.services.writing import PLAIN
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.rules import ValueProblem, canonical_json
from apps.core.services import system_user
from tests.conftest import ROOT, copy_database, drop_database, url_of, use_database
from tests.factories.access import make_holder, make_unit, make_user

WORDS = {"reason": "Her son is ill.", "from": "pending", "to": "approved", "amount": 12.5, "cost_minor": 40}


def leave(name: str = "test.happened", **payload: object) -> Entry:
    return record(make_user(), make_unit(name="Care"), name, payload=payload or WORDS)


def as_owner(*statements: str) -> None:
    name = connection.settings_dict["NAME"]
    with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, name), autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)


def verify() -> str:
    out = StringIO()
    call_command("audit_verify", stdout=out)
    return out.getvalue()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_the_quick_canonical_form_is_rfc_8785_to_the_byte(value):
    try:
        wanted = canonical_json(json.loads(json.dumps(value)))
    except ValueProblem:
        with pytest.raises(ValueProblem):
            canonical_text(value, PLAIN)
        return
    assert canonical_text(value, PLAIN).encode() == wanted


@given(st.binary(min_size=16, max_size=16), st.binary(), st.binary())
def test_a_commitment_fits_one_content_and_one_salt(salt, content, other):
    assert (commitment_of(salt, content) == commitment_of(salt, other)) == (content == other)
    assert commitment_of(salt, content) != commitment_of(bytes(16 * [7]) + salt, content)


def test_facts_hold_nobody_s_words():
    payload = {**WORDS, "patch": [{"op": "replace"}], "verdict": {"rules": []}, "text": "x", "answer": 3}
    assert facts_of(payload) == {"from": "pending", "to": "approved", "cost_minor": 40}
    assert facts_of({"verdict": "approve"}) == {"verdict": "approve"}


@pytest.mark.django_db
class TestWriting:
    def test_one_statement_writes_entry_payload_and_deliveries(self, django_assert_num_queries):
        actor, unit = make_user(), make_unit()
        with django_assert_num_queries(1):
            record(actor, unit, "escalation.approved", payload={"a": 1})
        with django_assert_num_queries(1):
            entries = record_many(actor, [Change(unit, "escalation.approved", {"n": n}) for n in range(5)])
        stored = list(Entry.objects.filter(pk__in=[entry.pk for entry in entries]).order_by("id"))
        assert [entry.payload["n"] for entry in stored] == list(range(5))
        assert [(one.id, one.xid, one.occurred_at) for one in stored] == [
            (one.id, one.xid, one.occurred_at) for one in entries
        ]
        reactions = settings.REACTIONS["escalation.approved"]
        assert Delivery.objects.count() == 6 * len(reactions) > 0
        assert record_many(actor, []) == []

    def test_what_is_stored_is_what_is_committed_to(self):
        made = leave(reason="ä\u2028", at=make_unit().created_at, id=uuid4(), odd=1e21, list=[1.0])
        row = Payload.objects.get(pk=made.pk)
        with connection.cursor() as cursor:
            cursor.execute("SELECT content::text FROM audit_payload WHERE entry_id = %s", [made.pk])
            text = cursor.fetchone()[0]
        assert text.encode() == canonical_json(json.loads(text))
        assert bytes(Entry.objects.get(pk=made.pk).commitment) == commitment_of(bytes(row.salt), text.encode())
        assert verify() == (
            f"1 entries hold; 0 payloads are erased.\n"
            f"0 are sealed; 1 are not yet, the oldest of {made.occurred_at.isoformat()}.\n"
            f"size 0 root {root_of([]).hex()}\n"
        )

    def test_equal_payloads_have_different_commitments(self):
        assert len({bytes(leave(a=1).commitment) for _ in range(3)}) == 3

    def test_what_is_not_json_writes_nothing(self):
        actor, unit = make_user(), make_unit()
        with pytest.raises(ValueError, match="not JSON compliant"):
            record(actor, unit, "test.happened", payload={"n": float("nan")})
        with pytest.raises(ValueProblem):
            record(actor, unit, "test.happened", payload={"n": 2**53})
        assert not Entry.objects.exists()
        assert not Payload.objects.exists()

    def test_many_entries_are_read_with_one_query(self, django_assert_num_queries):
        for number in range(4):
            leave(n=number)
        with django_assert_num_queries(1):
            assert len({(entry.payload["n"], entry.subject_label) for entry in Entry.objects.all()}) == 4


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_payload SET content = '{}'",
        "DELETE FROM audit_payload",
        "TRUNCATE audit_payload",
        "INSERT INTO audit_erasure (entry_id, because_id, at, by, kept) VALUES (1, 1, now(), 'me', '{}')",
        "DELETE FROM audit_erasure",
        "SELECT audit_erase(max(id), array_agg(id), ARRAY['{}'::json]) FROM audit_entry",
    ],
)
def test_the_application_can_neither_change_a_payload_nor_erase_one_in_silence(statement):
    leave()
    with pytest.raises(DatabaseError, match=r"permission denied|needs its own entry"), transaction.atomic():
        connection.cursor().execute(statement)
    assert Payload.objects.count() == 1
    assert not Erasure.objects.exists()


def test_not_even_the_owner_changes_a_payload_or_an_erasure(real_db):
    with transaction.atomic():
        made = leave()
        erase_payloads(made.actor, make_unit(), trail=made.trail_id, reason="Asked to.")
    for statement in (
        "UPDATE audit_payload SET content = '{}'",
        "DELETE FROM audit_payload",
        "TRUNCATE audit_payload",
        "UPDATE audit_erasure SET by = 'nobody'",
        "DELETE FROM audit_erasure",
        "TRUNCATE audit_erasure",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            as_owner(statement)


def erase_by_hand(told: Entry, made: Entry, kept: dict[str, object]) -> None:
    """As the application's role may: by the function alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_erase(%s, ARRAY[%s::bigint], ARRAY[%s::json])", [told.pk, made.pk, json.dumps(kept)]
        )


@pytest.mark.django_db
class TestErasing:
    def test_words_go_and_proofs_stay(self):
        made, other = leave(), leave()
        leaf, trail = leaf_of(Entry.objects.get(pk=made.pk)), made.trail_id
        told = erase_payloads(make_user(username="dora"), make_unit(), trail=trail, reason="She asked.", items=2)
        now = Entry.objects.get(pk=made.pk)
        assert now.payload == {"from": "pending", "to": "approved", "cost_minor": 40}
        assert "Care" not in now.subject_label
        assert (now.erased.by, now.erased.because_id) == ("human:dora", told.pk)
        assert leaf_of(now) == leaf
        assert (told.payload["payloads"], told.payload["reason"], told.payload["items"]) == (1, "She asked.", 2)
        assert Entry.objects.get(pk=other.pk).payload == WORDS
        assert verify() == (
            f"erased: 1 payloads by human:dora at {told.occurred_at.isoformat()}, entry {told.pk}\n"
            f"3 entries hold; 1 payloads are erased.\n"
            f"0 are sealed; 3 are not yet, the oldest of {made.occurred_at.isoformat()}.\n"
            f"size 0 root {root_of([]).hex()}\n"
        )

    def test_what_says_so_is_never_erased(self):
        made = leave()
        actor, unit = make_user(), make_unit()
        told = erase_payloads(actor, unit, trail=made.trail_id, reason="One.")
        with pytest.raises(ConflictError, match="erased already"):
            erase_payloads(actor, unit, trail=made.trail_id, reason="Two.")
        again = record(actor, unit, "payloads.erased", trail=made.trail_id)
        with pytest.raises(DatabaseError, match="never erased"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT audit_erase(%s, ARRAY[%s::bigint], ARRAY['{}'::json])", [again.pk, told.pk])
        assert Entry.objects.get(pk=told.pk).payload["reason"] == "One."

    def test_no_fact_is_made_up(self):
        made = leave()
        told = record(make_user(), make_unit(), "payloads.erased", trail=made.trail_id)
        for kept in (
            {"from": "pending", "to": "rejected", "cost_minor": 40},
            {"from": "pending", "to": "approved"},
            {},
        ):
            with pytest.raises(DatabaseError, match="and every fact is kept"), transaction.atomic():
                erase_by_hand(told, made, kept)
        assert Entry.objects.get(pk=made.pk).payload == WORDS
        erase_by_hand(told, made, facts_of(WORDS))
        assert Entry.objects.get(pk=made.pk).payload == facts_of(WORDS)

    def test_an_erasure_reaches_its_own_trail_alone(self):
        made = leave()
        told = record(make_user(), make_unit(), "payloads.erased", trail=uuid4())
        with pytest.raises(DatabaseError, match="reaches its own trail"), transaction.atomic():
            erase_by_hand(told, made, facts_of(WORDS))
        assert Payload.objects.filter(pk=made.pk).exists()

    def test_postgresql_knows_the_same_facts(self):
        """Who puts a fact on the list puts it on that of ``audit_facts`` as well, by a migration."""
        payload = {
            **{name: [1, "a"] for name in FACTS},
            "reason": "x",
            "text": 1,
            "target": "y",
            "verdict": {"effect": "x"},
        }
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit_facts(%s::jsonb)::text", [json.dumps(payload)])
            assert json.loads(cursor.fetchone()[0]) == facts_of(payload)

    def test_nothing_is_erased_from_under_a_reaction(self):
        made = leave("escalation.approved", kind="action")
        with pytest.raises(ConflictError, match="has to follow"):
            erase_payloads(make_user(), make_unit(), trail=made.trail_id, reason="Now.")
        assert Payload.objects.filter(pk=made.pk).exists()
        assert not Entry.objects.filter(name="payloads.erased").exists()

    def test_only_who_reads_all_the_ledger_proves_it(self):
        unit = make_unit()
        assert proof_for(make_holder("audit.view_entry")).mismatches == ()
        for person in (make_user(), make_holder("audit.view_entry", unit=unit), make_holder("kpis.view_kpi")):
            with pytest.raises(NotAllowedError):
                proof_for(person)
        assert proof_for(system_user("console")).entries == 0


FORGERIES = {
    "Its payload is not what was written.": 'UPDATE audit_payload SET content = \'{"payload":{},"subject":"x"}\'',
    "Its payload is gone, and no erasure says so.": "DELETE FROM audit_payload",
    "Its payload was erased and is here again.": "INSERT INTO audit_erasure (entry_id, because_id, at, by, kept)"
    " SELECT id, id, now(), 'me', '{}' FROM audit_entry ORDER BY id LIMIT 1",
    "A payload without its entry.": "INSERT INTO audit_payload VALUES (999999, '\\x00', '{}')",
}


@pytest.mark.parametrize("wrong", FORGERIES)
def test_a_forged_ledger_does_not_verify(real_db, wrong):
    with transaction.atomic():
        made = leave()
    as_owner(
        "ALTER TABLE audit_payload DISABLE TRIGGER USER",
        "ALTER TABLE audit_erasure DISABLE TRIGGER USER",
        FORGERIES[wrong],
    )
    with pytest.raises(CommandError, match=re.escape(wrong)) as found:
        verify()
    assert f"entry {999999 if 'without' in wrong else made.pk}: {wrong}" in str(found.value)


def test_forged_facts_do_not_verify(real_db):
    with transaction.atomic():
        made = leave()
        told = erase_payloads(made.actor, make_unit(), trail=made.trail_id, reason="Asked to.")
    assert "2 entries hold; 1 payloads are erased.\n" in verify()
    as_owner(
        "ALTER TABLE audit_erasure DISABLE TRIGGER USER",
        'UPDATE audit_erasure SET kept = \'{"from":"pending","to":"rejected","cost_minor":40}\'',
    )
    with pytest.raises(CommandError, match=f"entry {told.pk}: What was kept is not"):
        verify()


OLD = """
INSERT INTO audit_entry (xid, occurred_at, name, actor_id, actor_label, subject_kind, subject_id, subject_label,
                         trail_id, payload)
SELECT '1', now(), 'test.happened', gen_random_uuid(), 'human:ada', 'unit', gen_random_uuid(), 'Unit ' || n,
       gen_random_uuid(), jsonb_build_object('n', n, 'ratio', n / 8.0, 'text', 'ä' || n)
FROM generate_series(1, 4321) n
"""


def test_entries_written_before_keep_what_was_written(real_db):
    name = f"acp_old_{os.getpid()}"
    drop_database(name)
    owner = url_of(settings.DATABASE_OWNER_URL, name)
    environment = {**os.environ, "DATABASE_URL": url_of(settings.DATABASE_URL, name), "DATABASE_OWNER_URL": owner}
    with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, "postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")

    def migrate(*to: str) -> None:
        command = [sys.executable, "manage.py", "migrate", "-v0", "--skip-checks", *to]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    before = connection.settings_dict["NAME"]
    try:
        migrate("audit", "0004")
        with psycopg.connect(owner, autocommit=True) as old:
            old.execute(OLD)
            told = old.execute("SELECT id, xid, occurred_at, name, trail_id FROM audit_entry ORDER BY id").fetchall()
            asked = (ROOT / "docs" / "upgrades.md").read_text().split("```sql\n")[1].split("```")[0]
            assert old.execute(asked).fetchall() == [], "admins are told to ask this first"
            with old.transaction(force_rollback=True):
                old.execute(
                    OLD.replace("'n', n,", "'n', jsonb_build_array(9007199254740987 + n),").replace("4321", "5")
                )
                assert len(old.execute(asked).fetchall()) == 1
        migrate()
        use_database(name)
        entries = list(Entry.objects.order_by("id"))
        assert [(one.id, str(one.xid), one.occurred_at, one.name, one.trail_id) for one in entries] == [
            (number, str(xid), *rest) for number, xid, *rest in told
        ]
        assert [(one.subject_label, one.payload["n"], one.payload["ratio"]) for one in entries] == [
            (f"Unit {n}", n, n / 8) for n in range(1, 4322)
        ]
        assert proof_for(system_user("console")).mismatches == ()
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            connection.cursor().execute("UPDATE audit_entry SET name = 'x'")
        with psycopg.connect(owner) as old, pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            old.execute("UPDATE audit_entry SET name = 'x'")
    finally:
        use_database(before)
        drop_database(name)


def test_the_database_function_copies(template_database):
    """A copy of the database, as backups make it, keeps the function and who may call it."""
    name = f"acp_copy_{os.getpid()}"
    copy_database(template_database, name)
    try:
        with psycopg.connect(url_of(settings.DATABASE_URL, name)) as application:
            sql = "SELECT has_function_privilege('audit_erase(bigint, bigint[], json[])', 'EXECUTE')"
            assert application.execute(sql).fetchone() == (True,)
        with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, name)) as owner:
            acl = owner.execute("SELECT proacl::text, prosecdef FROM pg_proc WHERE proname = 'audit_erase'").fetchone()
        assert acl is not None
        assert acl[1] is True
        assert not re.search(r"[{,]=X", acl[0])
    finally:
        drop_database(name)
