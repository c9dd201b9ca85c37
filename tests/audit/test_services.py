"""The ledger keeps what happened, in PostgreSQL itself."""

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import Entry
from apps.audit.selectors import entries_for
from apps.audit.services import record, record_refusal
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.agents import make_agent

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
            " trail_id, commitment) SELECT '1', '2001-01-01', name, actor_id, actor_label, subject_kind,"
            " subject_id, trail_id, commitment FROM audit_entry WHERE id = %s RETURNING occurred_at, xid",
            [made.id],
        )
        occurred_at, xid = cursor.fetchone()
    assert occurred_at.year > 2020
    assert int(xid) > 1


def test_an_auditor_of_a_unit_sees_what_its_agents_and_what_people_were_refused():
    unit = make_unit()
    mine, theirs, person = make_agent(unit=unit).user, make_agent().user, make_user()
    for actor in (mine, theirs, person):
        record_refusal(actor, code="not_allowed", status=403, method="POST", path="/api/v1/x/", request_id="r")
    record(person, person, "user.password_set")
    seen = entries_for(make_holder("audit.view_entry", unit=unit))
    assert [row.actor for row in seen] == [person, mine]
    assert {row.name for row in seen} == {"request.refused"}
    assert entries_for(make_holder("audit.view_entry")).count() == 4
    assert not entries_for(make_holder("kpis.view_kpi", unit=unit)).exists()
