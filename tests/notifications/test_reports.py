"""The weekly report by mail: to whoever wanted it, once a week, with the rights of that moment."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.models import RoleGrant
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User, database_now
from apps.kpis.rules.weeks import Week, week_of
from apps.notifications.models import Delivery, Notice, ReportSubscription
from apps.notifications.rules import issues_around
from apps.notifications.services import issue_reports, save_subscription
from tests.factories.access import make_holder, make_unit
from tests.notifications.conftest import Mailbox, later, mail, no_mail, tell

__all__ = ["mail", "no_mail"]
pytestmark = pytest.mark.django_db
VIEW = "kpis.view_kpi"
UTC_ZONE, BERLIN, AUCKLAND = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Auckland")


def person_with(*rights: str, **fields: Any) -> User:
    person = make_holder(*rights, **fields)
    person.email = f"{person.username}@example.com"
    person.save(update_fields=["email"])
    return person


def wanted(person: User, **fields: Any) -> ReportSubscription:
    values = {"is_on": True, "unit": None, "weekday": 0, "hour": 7, "timezone": "Europe/Berlin"}
    return save_subscription(person, **{**values, **fields})


def a_week_later() -> None:
    """As if the next report were due now, and the last one was about the week before that one."""
    rows = ReportSubscription.objects.all()
    rows.update(next_at=database_now() - timedelta(seconds=1))
    for row in rows:
        ReportSubscription.objects.filter(pk=row.pk).update(last_week=row.last_week - timedelta(days=7))


def due() -> int:
    a_week_later()
    issued = issue_reports()
    tell()
    later()
    tell()
    return issued


def test_it_comes_by_mail_with_the_figures_attached(mail: Mailbox) -> None:
    unit = make_unit(name="Finance")
    person = person_with(VIEW, unit=unit)
    wanted(person, unit=unit)
    tell()
    assert mail.letters == []
    assert due() == 1
    (letter,) = mail.letters
    week = Week(ReportSubscription.objects.get().last_week)
    assert letter["To"] == person.email
    assert str(letter["Subject"]).strip() == f"Weekly report {week}: Finance"
    assert letter["List-Unsubscribe"] == "<https://plane.example/reports/weekly/#by-mail>"
    plain, html = (letter.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "No run finished in this period." in plain
    assert f"https://plane.example/reports/weekly/{week}/?unit={unit.slug}" in html
    paper, numbers = letter.iter_attachments()
    assert (paper.get_filename(), paper.get_content_type()) == (f"report-{week}-{unit.slug}.pdf", "application/pdf")
    assert paper.get_content().startswith(b"%PDF-")
    assert numbers.get_filename() == f"report-{week}-{unit.slug}.csv"
    assert "total" in numbers.get_content()
    assert list(Delivery.objects.values_list("channel", "state")) == [("email", "delivered")]


def test_once_a_week_however_often_it_is_looked(mail: Mailbox) -> None:
    wanted(person_with(VIEW))
    assert due() == 1
    assert issue_reports() == 0
    ReportSubscription.objects.update(next_at=database_now() - timedelta(seconds=1))
    assert issue_reports() == 0, "this week was sent already"
    tell()
    assert len(mail.letters) == 1
    assert Entry.objects.filter(name="reportsubscription.due").count() == 1


def test_who_changes_the_day_gets_no_week_twice(mail: Mailbox) -> None:
    person = person_with(VIEW)
    wanted(person)
    due()
    wanted(person, is_on=False)
    wanted(person, weekday=6, hour=23)
    ReportSubscription.objects.update(next_at=database_now() - timedelta(seconds=1))
    assert issue_reports() == 0
    assert len(mail.letters) == 1


def test_what_was_due_while_nothing_ran_comes_as_the_newest_alone(mail: Mailbox) -> None:
    wanted(person_with(VIEW))
    before = ReportSubscription.objects.get().last_week
    ReportSubscription.objects.update(
        next_at=database_now() - timedelta(days=30), last_week=before - timedelta(days=35)
    )
    assert issue_reports() == 1
    tell()
    assert len(mail.letters) == 1
    assert ReportSubscription.objects.get().last_week == before


def test_who_lost_the_right_gets_nothing(mail: Mailbox) -> None:
    unit = make_unit()
    person = person_with(VIEW, unit=unit)
    wanted(person, unit=unit)
    RoleGrant.objects.filter(user=person).update(revoked_at=database_now())
    assert due() == 1
    assert mail.letters == []
    assert list(Delivery.objects.values_list("state", "outcome")) == [("suppressed", "no_rights")]


def test_who_lost_it_in_that_unit_alone_gets_nothing(mail: Mailbox) -> None:
    unit = make_unit()
    person = person_with(VIEW, unit=unit)
    wanted(person, unit=unit)
    ReportSubscription.objects.update(unit=make_unit())
    due()
    assert mail.letters == []


def test_who_wants_it_no_more_or_has_left_gets_nothing(mail: Mailbox) -> None:
    person, gone = person_with(VIEW), person_with(VIEW)
    wanted(person)
    wanted(gone)
    wanted(person, is_on=False)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert due() == 0
    assert mail.letters == []


def test_who_stops_it_between_is_not_sent_what_was_due(mail: Mailbox) -> None:
    person = person_with(VIEW)
    wanted(person)
    a_week_later()
    issue_reports()
    wanted(person, is_on=False)
    tell()
    assert mail.letters == []


def test_without_a_mail_server_it_says_so(settings: Any) -> None:
    settings.MAIL = {**settings.MAIL, "host": ""}
    wanted(person_with(VIEW))
    due()
    assert list(Delivery.objects.values_list("state", "outcome")) == [("suppressed", "not_set_up")]


@pytest.mark.usefixtures("no_mail")
def test_a_server_that_is_down_is_tried_again() -> None:
    wanted(person_with(VIEW))
    a_week_later()
    issue_reports()
    tell()
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("queued", 1)


def test_only_who_sees_figures_may_want_it() -> None:
    unit = make_unit()
    for person, where in ((make_holder("agents.view_agent"), None), (make_holder(VIEW, unit=make_unit()), unit)):
        with pytest.raises(NotAllowedError):
            wanted(person, unit=where)
    assert not ReportSubscription.objects.exists()
    assert not Notice.objects.exists()


@pytest.mark.parametrize("wrong", [{"weekday": 7}, {"hour": 24}, {"timezone": "Mars/Base"}])
def test_a_day_and_an_hour_are_said_in_a_zone(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as refused:
        wanted(person_with(VIEW), **wrong)
    assert list(refused.value.errors) == list(wrong)
    assert not ReportSubscription.objects.exists()


@given(
    st.integers(0, 20 * 365 * 24 * 60),
    st.integers(0, 6),
    st.integers(0, 23),
    st.sampled_from([UTC_ZONE, BERLIN, AUCKLAND, ZoneInfo("America/Los_Angeles"), ZoneInfo("Pacific/Kiritimati")]),
    st.sampled_from([UTC_ZONE, BERLIN, ZoneInfo("Pacific/Honolulu")]),
)
def test_a_report_never_leaves_before_its_week_is_over_and_none_is_left_out(
    minutes: int, weekday: int, hour: int, zone: ZoneInfo, reporting: ZoneInfo
) -> None:
    instant = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    last, coming = issues_around(instant, weekday=weekday, hour=hour, zone=zone, reporting=reporting)
    assert last.leaves_at <= instant < coming.leaves_at
    assert coming.monday - last.monday == timedelta(days=7)
    for issue in (last, coming):
        assert issue.leaves_at >= Week(issue.monday).period(reporting).end
        assert week_of(issue.monday).monday == issue.monday


def test_in_the_east_monday_morning_waits_for_the_end_of_the_week_elsewhere() -> None:
    sunday_evening = datetime(2026, 11, 15, 20, tzinfo=UTC)
    last, coming = issues_around(sunday_evening, weekday=0, hour=7, zone=AUCKLAND, reporting=BERLIN)
    assert (last.monday, coming.monday) == (date(2026, 11, 2), date(2026, 11, 9))
    assert coming.leaves_at == datetime(2026, 11, 15, 23, tzinfo=UTC)
