"""The page of the weekly report, and the form that has it mailed."""

from typing import Any

import pytest
from django.test import Client

from apps.core.models import User
from apps.kpis.selectors.reports import last_week_for
from apps.notifications.models import ReportSubscription
from tests.factories.access import make_holder, make_unit

pytestmark = pytest.mark.django_db
VIEW = "kpis.view_kpi"
CHOSEN = {"is_on": "on", "unit": "", "weekday": "0", "hour": "7", "timezone": "Europe/Berlin"}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_week_that_ended_has_an_address_of_its_own() -> None:
    unit = make_unit()
    person = make_holder(VIEW, unit=unit)
    week = last_week_for(person)
    answer = signed_in(person).get(f"/reports/weekly/?unit={unit.slug}")
    assert answer["Location"] == f"/reports/weekly/{week}/?unit={unit.slug}"
    page = signed_in(person).get(answer["Location"]).content.decode()
    assert f"Weekly report {week}" in page
    assert "Decisions asked for" in page
    assert f"/reports/weekly/{week.moved(-1)}/?unit={unit.slug}" in page
    assert "This week is not over" not in page


def test_the_dashboard_leads_there() -> None:
    assert 'href="/reports/weekly/"' in signed_in(make_holder(VIEW)).get("/dashboards/overview/").content.decode()


@pytest.mark.parametrize("week", ["2026-W99", "yesterday", "2999-W01", "2026-W47-1"])
def test_there_is_no_other_week(week: str) -> None:
    assert signed_in(make_holder(VIEW)).get(f"/reports/weekly/{week}/").status_code == 404


def test_strangers_see_none() -> None:
    unit = make_unit()
    person = make_holder(VIEW, unit=make_unit())
    week = last_week_for(person)
    assert signed_in(person).get(f"/reports/weekly/{week}/?unit={unit.slug}").status_code == 404
    nobody = signed_in(make_holder("agents.view_agent"))
    assert nobody.get(f"/reports/weekly/{week}/").status_code == 403
    assert nobody.post("/reports/weekly/by-mail/", CHOSEN).status_code == 403
    assert not ReportSubscription.objects.exists()


def test_one_has_it_mailed_and_no_more() -> None:
    unit = make_unit()
    person = make_holder(VIEW, unit=unit)
    client = signed_in(person)
    answer = client.post("/reports/weekly/by-mail/", {**CHOSEN, "unit": unit.slug, "weekday": "4"})
    assert answer.status_code == 302
    row = ReportSubscription.objects.get(user=person)
    assert (row.is_on, row.unit, row.weekday, row.hour) == (True, unit, 4, 7)
    page = client.get(answer["Location"]).content.decode()
    assert '<option value="4" selected>' in page
    client.post("/reports/weekly/by-mail/", {**CHOSEN, "is_on": ""})
    row.refresh_from_db()
    assert not row.is_on


@pytest.mark.parametrize("wrong", [{"timezone": "Mars/Base"}, {"hour": "24"}, {"weekday": "x"}, {"unit": "elsewhere"}])
def test_what_does_not_fit_is_said_and_kept(wrong: dict[str, Any]) -> None:
    make_unit(slug="elsewhere")
    answer = signed_in(make_holder(VIEW, unit=make_unit())).post("/reports/weekly/by-mail/", {**CHOSEN, **wrong})
    assert answer.status_code == 422
    if "timezone" in wrong:
        assert 'value="Mars/Base"' in answer.content.decode()
    assert not ReportSubscription.objects.exists()
