"""One's own weekly report over the API, and units that are removed below one."""

from typing import Any

import pytest
from django.test import Client

from apps.access.services.removals import remove_unit
from apps.audit.models import Entry
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.weeks import Week
from apps.kpis.services import write_facts
from apps.kpis.services.letters import write_report
from apps.notifications.models import ReportSubscription
from apps.notifications.services import issue_reports
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.kpis import make_baseline, make_cost, make_run
from tests.kpis.test_weekly_report import MONDAY
from tests.notifications.conftest import Mailbox, mail, no_mail
from tests.notifications.test_reports import VIEW, a_week_later, due, person_with, wanted
from tests.oversight.test_api import caller

__all__ = ["mail", "no_mail"]
pytestmark = pytest.mark.django_db
HERE = "/api/v1/me/weekly-report/"
CHOICE = {"weekday": 1, "hour": 8, "timezone": "Europe/Berlin"}


def put(person: User, **fields: Any) -> Any:
    return caller(person).put(HERE, {**CHOICE, **fields}, content_type="application/json")


def test_one_says_sets_and_ends_ones_own() -> None:
    unit = make_unit(slug="finance")
    person, other = make_holder(VIEW, unit=unit), make_holder(VIEW)
    assert caller(person).get(HERE).json() == {"on": False, **dict.fromkeys((*CHOICE, "unit", "next_at"))}
    assert caller(person).delete(HERE).status_code == 204
    assert not ReportSubscription.objects.exists()
    made = put(person, unit="finance")
    assert (made.status_code, made.json()["on"], made.json()["unit"]) == (200, True, "finance")
    assert made.json() == caller(person).get(HERE).json()
    assert made.json()["next_at"]
    assert caller(other).get(HERE).json()["on"] is False
    assert caller(other).delete(HERE).status_code == 204
    assert ReportSubscription.objects.get().is_on
    assert caller(person).delete(HERE).status_code == 204
    assert caller(person).get(HERE).json() == {"on": False, "unit": "finance", **CHOICE, "next_at": None}
    assert put(person).json()["unit"] is None


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"unit": "elsewhere"}, "unit"),
        ({"unit": "nowhere"}, "unit"),
        ({"weekday": 7}, "weekday"),
        ({"hour": "8"}, "hour"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"user": "ada"}, "user"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], wrong: str) -> None:
    make_unit(slug="elsewhere")
    answer = put(make_holder(VIEW, unit=make_unit()), **fields)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])
    assert not ReportSubscription.objects.exists()


def test_it_is_for_people_who_see_figures() -> None:
    assert put(make_holder("agents.view_agent")).status_code == 403
    headers = {"Authorization": f"Bearer {make_key_for(make_agent())}"}
    for answer in (
        Client().get(HERE, headers=headers),
        Client().put(HERE, CHOICE, content_type="application/json", headers=headers),
        Client().delete(HERE, headers=headers),
    ):
        assert answer.status_code == 403
    assert not ReportSubscription.objects.exists()


def test_a_unit_is_removed_whoever_reads_of_it_and_they_get_no_other_report(mail: Mailbox) -> None:
    unit = make_unit()
    person = person_with(VIEW)
    wanted(person, unit=unit)
    remove_unit(make_admin(), unit=unit)
    assert caller(person).get(HERE).json()["on"] is False
    assert due() == 0
    row = ReportSubscription.objects.get()
    assert (row.is_on, row.unit_id, mail.letters) == (False, None, [])
    entry = Entry.objects.filter(name="reportsubscription.off").get()
    assert (entry.actor, entry.payload) == (system_user("plane"), {"why": "unit_removed"})
    assert issue_reports() == 0


def test_what_was_due_when_its_unit_went_is_not_sent(mail: Mailbox) -> None:
    unit = make_unit()
    wanted(person_with(VIEW), unit=unit)
    a_week_later()
    issue_reports()
    remove_unit(make_admin(), unit=unit)
    due()
    assert mail.letters == []


def test_a_letter_says_whether_baselines_are_approved_and_not_what_people_wrote_of_them() -> None:
    make_baseline(kpi="cost_per_success_minor", workflow="", value=1, source="Olga's notebook")
    runs = [make_run() for _ in range(40)]
    write_facts(facts=Facts(runs=runs, decisions=[], costs=[make_cost(run) for run in runs]))
    letter = write_report(make_holder(VIEW), monday=Week(MONDAY).monday)
    for text in (letter.text, letter.html):
        assert "It rests on a baseline, not approved." in text
        assert "notebook" not in text
