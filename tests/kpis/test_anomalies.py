"""Unusual hours: found once, told once, muted with a reason, and each with its runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.kpis import tasks
from apps.kpis.models import Anomaly, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.anomalies import last_whole_hour
from apps.kpis.rules.buckets import BucketSize, Period
from apps.kpis.rules.facts import Facts, RunSeen
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.kpis import lag_s_for
from apps.kpis.services import anomalies, find_anomalies, mute_anomaly, write_facts
from apps.notifications.models import Delivery
from apps.notifications.services import spread_notices
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.kpis import make_run
from tests.kpis.test_versions import text_of
from tests.kpis.test_views import signed_in

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 10, 11, tzinfo=UTC)
"""The hour that is judged at a quarter past twelve; the clocks of Europe changed within the eight weeks before."""


@pytest.fixture
def workflow() -> Workflow:
    """One that has been there for a year."""
    found = Workflow.objects.create(slug="w", name="Refunds", unit=make_unit(), owner=make_user(username="olga"))
    Workflow.objects.filter(pk=found.pk).update(created_at=START - timedelta(days=365))
    return found


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The moment of judging; the figures are never late, unless a test says so."""
    told = {"now": START + HOUR * 1.25, "lag": 0.0}
    monkeypatch.setattr(anomalies, "database_now", lambda: told["now"])
    monkeypatch.setattr(anomalies, "lag_s_for", lambda *_: told["lag"])
    return told


def hour_of(start: datetime, n: int, wrong: int = 0, **fields: Any) -> list[RunSeen]:
    """Runs that started and ended in an hour."""
    return [
        make_run(
            started_at=start,
            finished_at=start + timedelta(minutes=1 + at % 58),
            state="failed" if at < wrong else "succeeded",
            **fields,
        )
        for at in range(n)
    ]


def usual(*starts: datetime, n: int = 30, wrong: int = 0) -> list[RunSeen]:
    """Eight weeks of the same hours."""
    weeks = [start - timedelta(weeks=week) for start in starts for week in range(1, 9)]
    return [run for start in weeks for run in hour_of(start, n, wrong)]


def write(*runs: list[RunSeen], **fields: Any) -> None:
    write_facts(facts=Facts(runs=[run for some in runs for run in some]), **fields)


def told(user: User) -> list[str]:
    """Where the messages of the bell lead."""
    while deliver_reactions():
        pass
    spread_notices()
    rows = Delivery.objects.filter(recipient=user, channel="in_app").select_related("notice__workflow")
    return [f"{row.notice.title}: {row.notice.headline} {row.notice.url}" for row in rows]


def test_an_hour_of_failures_is_found_once_and_its_owner_told_once(workflow: Workflow, clock: Any) -> None:
    write(usual(START), hour_of(START, 30, wrong=12))
    assert [find_anomalies() for _ in range(3)] == [1, 0, 0]
    found = Anomaly.objects.get()
    assert (found.kind, found.began_at, found.until) == ("failures", START, START + HOUR)
    assert (found.count, found.of) == (12, 30)
    assert found.chance < 1e-6
    entry = Entry.objects.get(name="workflow.unusual")
    assert entry.subject_id == workflow.pk
    assert workflow.owner is not None
    assert told(workflow.owner) == ["Refunds: Something unusual in the last hour /dashboards/unusual/"]


def test_a_workflow_that_moves_leaves_what_was_found_behind(workflow: Workflow, clock: Any) -> None:
    write(usual(START, START + HOUR), hour_of(START, 30, wrong=12), hour_of(START + HOUR, 30, wrong=14))
    assert find_anomalies() == 1
    before, after = workflow.unit_id, make_unit(slug="after").pk
    Workflow.objects.update(unit=after)
    clock["now"] += HOUR
    assert find_anomalies() == 1
    found = dict(Anomaly.objects.values_list("unit", "count"))
    assert found == {before: 12, after: 14}


def test_its_numbers_are_those_of_the_error_rate_of_that_hour(workflow: Workflow, clock: Any) -> None:
    """Failed ones, cancelled ones that are in no rate, and ones whose system shows something else than was done."""
    cancelled = [make_run(state="cancelled", started_at=START, finished_at=START + HOUR / 2) for _ in range(5)]
    off = hour_of(START, 4, wrong=0)
    write(usual(START), hour_of(START, 30, wrong=9), cancelled, off)
    RunFact.objects.filter(run_id__in=[run.run_id for run in off]).update(mismatches=1)
    assert find_anomalies() == 1
    found = Anomaly.objects.get()
    asked = KpiFilter(period=Period(START, START + HOUR), zone=reporting_zone(), size=BucketSize.HOUR, workflow="w")
    figure = kpis_for(make_admin(), asked).totals["error_rate"].figure
    assert (found.count, found.of) == (figure.numerator, figure.denominator) == (13, 34)


def test_what_lasts_goes_on_and_is_not_told_again(workflow: Workflow, clock: Any) -> None:
    write(usual(START, START + HOUR, START + 2 * HOUR), *(hour_of(START + at * HOUR, 30, wrong=12) for at in range(2)))
    assert find_anomalies() == 1
    clock["now"] += HOUR
    assert find_anomalies() == 0
    assert Anomaly.objects.get().until == START + 2 * HOUR
    clock["now"] += HOUR  # nobody works any more: that is another thing
    find_anomalies()
    assert Anomaly.objects.filter(kind="failures").count() == 1
    assert Entry.objects.filter(name="workflow.unusual").count() == Anomaly.objects.count()


def test_rare_hours_are_told_from_the_second_in_a_row(workflow: Workflow, clock: Any) -> None:
    """Eight of thirty where one is usual: less than once in 10,000, more than once in a million."""
    write(usual(START, START + HOUR, wrong=1), hour_of(START, 30, wrong=8), hour_of(START + HOUR, 30, wrong=8))
    assert find_anomalies() == 0
    clock["now"] += HOUR
    assert find_anomalies() == 1
    assert Anomaly.objects.get().began_at == START


def test_usual_hours_simulated_ones_and_young_workflows_are_none(workflow: Workflow) -> None:
    write(usual(START), hour_of(START, 31, wrong=1))
    write(hour_of(START, 50, wrong=50), simulated=True)
    assert find_anomalies() == 0
    write(hour_of(START, 30, wrong=30))
    Workflow.objects.update(created_at=START - timedelta(weeks=3))
    assert find_anomalies() == 0
    Workflow.objects.update(created_at=START - timedelta(weeks=5))
    assert find_anomalies() > 0


def test_nothing_is_judged_while_figures_are_late(workflow: Workflow, clock: Any) -> None:
    write(usual(START))  # and nothing in this hour, as it seems
    clock["lag"] = 601.0
    assert find_anomalies() == 0
    clock["lag"] = 0.0
    assert find_anomalies() == 1
    assert Anomaly.objects.get().kind == "fewer"


def test_the_clock_judges_by_itself(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the scheduler does it, with the real clock and the real lag of the figures."""
    monkeypatch.setattr(anomalies, "lag_s_for", lag_s_for)
    monkeypatch.setattr(anomalies, "database_now", database_now)
    start = last_whole_hour(database_now(), anomalies.SETTLED)
    write(usual(start), hour_of(start, 30, wrong=20))
    assert tasks.find_anomalies() == 1


def test_an_hour_is_judged_by_as_few_statements_however_many_workflows(workflow: Workflow) -> None:
    write(usual(START), hour_of(START, 30))
    find_anomalies()
    with CaptureQueriesContext(connection) as one:
        find_anomalies()
    for at in range(5):
        Workflow.objects.create(slug=f"w{at}", name=f"W{at}", unit=workflow.unit)
        write(hour_of(START, 3, workflow=f"w{at}"))
    with CaptureQueriesContext(connection) as six:
        find_anomalies()
    assert len(six) == len(one) <= 4


def test_muted_means_found_and_not_told(workflow: Workflow, clock: Any) -> None:
    write(usual(START), hour_of(START, 30, wrong=12))
    find_anomalies()
    manager = make_holder("kpis.manage_target", "kpis.view_kpi", unit=workflow.unit)
    mute_anomaly(
        manager, anomaly=Anomaly.objects.get(), until=clock["now"] + timedelta(days=9), reason="We move house."
    )
    assert Entry.objects.get(name="workflow.unusual_muted").payload["reason"] == "We move house."
    clock["now"] += timedelta(days=7)
    write(hour_of(START + timedelta(days=7), 30, wrong=28))
    assert find_anomalies() == 1
    assert Entry.objects.filter(name="workflow.unusual").count() == 1
    assert Entry.objects.filter(name="workflow.unusual_unsaid").count() == 1
    clock["now"] += timedelta(days=7)
    write(hour_of(START + timedelta(days=14), 30, wrong=29))
    find_anomalies()
    assert Entry.objects.filter(name="workflow.unusual").count() == 2


def anomaly(workflow: Workflow, **fields: Any) -> Anomaly:
    until = database_now().replace(minute=0, second=0, microsecond=0)
    return Anomaly.objects.create(
        **{
            "workflow": workflow,
            "unit": workflow.unit_id,
            "kind": "failures",
            "began_at": until - HOUR,
            "until": until,
            "count": 12,
            "of": 30,
            "expected": 0.4,
            "chance": 1e-9,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("days", "reason", "field"), [(9, " ", "reason"), (0, "Why not", "until"), (91, "Long", "until")]
)
def test_muting_needs_a_reason_and_an_end(workflow: Workflow, clock: Any, days: int, reason: str, field: str) -> None:
    row, manager = anomaly(workflow), make_holder("kpis.manage_target")
    with pytest.raises(InvalidError) as refused:
        mute_anomaly(manager, anomaly=row, until=clock["now"] + timedelta(days=days), reason=reason)
    assert set(refused.value.errors) == {field}
    with pytest.raises(NotAllowedError):
        mute_anomaly(make_holder("kpis.view_kpi"), anomaly=row, until=clock["now"] + HOUR * 30, reason="Because")
    row.refresh_from_db()
    assert row.muted_until is None
    assert not Entry.objects.filter(name="workflow.unusual_muted").exists()


def test_pages_say_it_and_lead_to_the_runs(workflow: Workflow) -> None:
    row = anomaly(workflow)
    write(hour_of(row.began_at, 30, wrong=12, unit_id=workflow.unit_id))
    client = signed_in(make_holder("kpis.view_kpi"))
    said = "12 of 30 runs failed or left something wrong in an hour; about 0.4 are usual at this time."
    for page in ("/dashboards/overview/", "/dashboards/w/", "/dashboards/unusual/"):
        html = client.get(page).content.decode()
        assert said in text_of(html), page
    href = html.partition('href="/dashboards/w/error_rate/')[2].partition('"')[0].replace("&amp;", "&")
    assert client.get(f"/dashboards/w/error_rate/{href}").content.decode().count('href="/runs/') == 12
    assert "Mute" not in text_of(html)
    assert client.post(f"/dashboards/unusual/{row.pk}/mute/", {"until": "2099-01-01", "reason": "x"}).status_code == 403


def test_whoever_sets_targets_mutes_on_the_page(workflow: Workflow, clock: Any) -> None:
    clock["now"] = database_now()
    row = anomaly(workflow)
    client = signed_in(make_holder("kpis.manage_target", "kpis.view_kpi"))
    address, day = f"/dashboards/unusual/{row.pk}/mute/", (clock["now"] + timedelta(days=5)).date().isoformat()
    refused = client.post(address, {"until": "2020-01-01", "reason": "We move house."})
    assert refused.status_code == 422
    assert "We move house." in refused.content.decode()
    assert client.post(address, {"until": day, "reason": "We move house."}).status_code == 302
    row.refresh_from_db()
    assert row.mute_reason == "We move house."
    assert "12 of 30" not in client.get("/dashboards/overview/").content.decode()
    assert "We move house." in client.get("/dashboards/unusual/").content.decode()


def test_others_units_are_nobodys_business(workflow: Workflow) -> None:
    row = anomaly(workflow)
    client = signed_in(make_holder("kpis.view_kpi", "kpis.manage_target", unit=make_unit()))
    assert "Refunds" not in client.get("/dashboards/unusual/").content.decode()
    assert client.post(f"/dashboards/unusual/{row.pk}/mute/", {}).status_code == 404
    assert signed_in(make_user()).get("/dashboards/unusual/").status_code == 403
