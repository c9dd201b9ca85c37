"""The ledger keeps what happened, in PostgreSQL itself."""

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import Entry
from apps.audit.services import record
from tests.factories.access import make_unit, make_user

pytestmark = pytest.mark.django_db


def entry() -> Entry:
    return record(make_user(), make_unit(), "created", payload={"a": 1})


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entry SET name = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry CASCADE"],
)
def test_the_applications_role_cannot_change_the_ledger(statement):
    entry()
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Entry.objects.count() == 1


def test_time_and_transaction_come_from_the_database_whatever_was_sent():
    made = entry()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (xid, occurred_at, name, actor_id, actor_label, subject_kind, subject_id,"
            " subject_label, trail_id, payload) SELECT '1', '2001-01-01', name, actor_id, actor_label, subject_kind,"
            " subject_id, subject_label, trail_id, payload FROM audit_entry WHERE id = %s RETURNING occurred_at, xid",
            [made.id],
        )
        occurred_at, xid = cursor.fetchone()
    assert occurred_at.year > 2020
    assert int(xid) > 1
