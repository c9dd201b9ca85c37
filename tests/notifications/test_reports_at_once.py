"""Two workers look for reports that are due at the same time."""

import pytest

from apps.audit.models import Entry
from apps.notifications.models import ReportSubscription
from apps.notifications.services import issue_reports
from tests.notifications.test_reports import VIEW, a_week_later, person_with, wanted
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")


def test_each_person_is_told_once() -> None:
    for _person in range(5):
        wanted(person_with(VIEW))
    a_week_later()
    assert sum(at_once(*[issue_reports] * 4)) == 5
    entries = Entry.objects.filter(name="reportsubscription.due")
    assert set(entries.values_list("subject_id", flat=True)) == set(
        ReportSubscription.objects.values_list("pk", flat=True)
    )
    assert entries.count() == 5
