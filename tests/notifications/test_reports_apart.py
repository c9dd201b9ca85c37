"""Weekly reports are written beside all other messages: once for all who see the same, and nobody waits for one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from apps.access.models import BusinessUnit, Role, RoleGrant
from apps.access.selectors import rights_key_for
from apps.audit.tasks import deliver_reactions
from apps.core.models import User, database_now
from apps.halts.services import engage_halt
from apps.kpis.services import letters as kpi_letters
from apps.notifications.models import Delivery
from apps.notifications.services import issue_reports
from apps.notifications.services.sending import requeue_lost
from apps.notifications.tasks import send_messages, send_reports
from apps.workflows.models import WorkflowPermission
from tests.factories.access import grant, make_admin, make_role, make_unit, make_user
from tests.factories.classification import make_data_class
from tests.factories.workflows import make_workflow
from tests.kpis.test_business import RATED
from tests.notifications.conftest import Mailbox, mail
from tests.notifications.test_reports import VIEW, a_week_later, person_with, wanted

__all__ = ["mail"]
pytestmark = pytest.mark.django_db


class Writer:
    """Who writes the reports: for whom so far, and what happens meanwhile."""

    def __init__(self) -> None:
        self.readers: list[User] = []
        self.broken: set[User] = set()
        self.meanwhile: Callable[[], Any] = lambda: None


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    found, write_report = Writer(), kpi_letters.write_report

    def write(actor: User, **asked: Any) -> kpi_letters.Letter:
        found.readers.append(actor)
        found.meanwhile()
        if actor in found.broken:
            raise KeyError("what a report held")
        return write_report(actor, **asked)

    monkeypatch.setattr(kpi_letters, "write_report", write)
    return found


def reader_of(role: Role, unit: BusinessUnit) -> User:
    user = make_user()
    grant(user, role, unit)
    User.objects.filter(pk=user.pk).update(email=f"{user.username}@example.com")
    user.refresh_from_db()
    return user


def report_due() -> None:
    a_week_later()
    issue_reports()
    deliver_reactions()


def states() -> dict[str, str]:
    return dict(Delivery.objects.filter(notice__event="report").values_list("recipient__username", "state"))


def test_what_is_urgent_leaves_while_a_report_is_written(mail: Mailbox, writer: Writer) -> None:
    admin = make_admin()
    User.objects.filter(pk=admin.pk).update(email="admin@example.com")
    reader = person_with(VIEW)
    wanted(reader)
    report_due()

    def urgent() -> None:
        engage_halt(make_admin(), scope="everything", target="", unit=None, reason="Stop.")
        deliver_reactions()
        send_messages()
        assert [letter["To"] for letter in mail.letters] == ["admin@example.com"]
        assert states() == {reader.username: "sending"}

    send_messages()
    assert states() == {reader.username: "queued"}, "The lane of messages leaves reports alone."
    writer.meanwhile = urgent
    assert send_reports() == 1
    assert [letter["To"] for letter in mail.letters] == ["admin@example.com", reader.email]


def test_readers_with_the_same_rights_share_what_is_worked_out(mail: Mailbox, writer: Writer) -> None:
    unit, other, role = make_unit(), make_unit(), make_role(VIEW)
    same = [reader_of(role, unit) for _ in range(4)]
    elsewhere = reader_of(role, other)
    for person in same:
        wanted(person, unit=unit)
    wanted(elsewhere, unit=other)
    report_due()
    send_messages()
    assert send_reports() == 5
    assert len(writer.readers) == 2
    assert elsewhere in writer.readers
    assert {letter["To"] for letter in mail.letters} == {person.email for person in (*same, elsewhere)}
    assert len({letter["Message-ID"] for letter in mail.letters}) == 5
    assert set(states().values()) == {"delivered"}


def test_who_may_see_more_shares_with_nobody() -> None:
    unit, role = make_unit(), make_role(VIEW)
    first, second, third = (reader_of(role, unit) for _ in range(3))
    assert rights_key_for(first) == rights_key_for(second) == rights_key_for(third)
    grant(third, role)
    assert rights_key_for(third) != rights_key_for(first)
    make_data_class(slug="health")
    flow = make_workflow(RATED)
    WorkflowPermission.objects.create(
        user=second, content_object=flow, permission=Permission.objects.get(codename="start_run")
    )
    assert rights_key_for(second) == second.pk
    Role.objects.filter(pk=role.pk).update(permissions=[])
    assert rights_key_for(first) == {(role.slug, frozenset(), unit.pk)}
    RoleGrant.objects.filter(user=first).update(until=database_now() - timedelta(seconds=1))
    assert rights_key_for(first) == frozenset()


def test_a_report_that_cannot_be_worked_out_holds_up_no_other(mail: Mailbox, writer: Writer) -> None:
    broken, fine = person_with(VIEW, "agents.view_agent"), person_with(VIEW)
    wanted(broken)
    wanted(fine)
    report_due()
    send_messages()
    writer.broken = {broken}
    assert send_reports() == 2
    assert states() == {broken.username: "queued", fine.username: "delivered"}
    row = Delivery.objects.get(recipient=broken)
    assert (row.attempts, row.outcome) == (1, "The report could not be worked out (KeyError).")
    for _ in range(4):
        Delivery.objects.filter(recipient=broken).update(not_before="2020-01-01T00:00:00Z")
        send_reports()
    assert states()[broken.username] == "failed"
    assert [letter["To"] for letter in mail.letters] == [fine.email]


def test_a_report_that_another_took_while_it_was_written_is_not_sent_twice(mail: Mailbox, writer: Writer) -> None:
    reader = person_with(VIEW)
    wanted(reader)
    report_due()
    send_messages()

    def taken() -> None:
        Delivery.objects.update(lease_until="2020-01-01T00:00:00Z")
        assert requeue_lost() == 1

    writer.meanwhile = taken
    assert send_reports() == 1
    assert mail.letters == []
    assert states() == {reader.username: "queued"}
    writer.meanwhile = lambda: None
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z")
    assert send_reports() == 1
    assert len(mail.letters) == 1
