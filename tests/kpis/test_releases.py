"""How versions come into force: by hand, by chance against loops, and at every door."""

import csv
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.audit.models import Entry
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.buckets import BucketSize, Period
from apps.kpis.rules.definitions import RELEASES
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.releases import Release, releases_in
from apps.kpis.selectors import behind_for
from apps.kpis.selectors.releases import release_figures_for
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.services import rollback_workflow, save_draft
from apps.workflows.services.definitions import publish_version
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.kpis import make_run
from tests.factories.workflows import make_workflow
from tests.kpis.test_views import signed_in

VIEW = "kpis.view_kpi"
START = datetime(2026, 10, 20, tzinfo=UTC)
DAY = timedelta(days=1)


def released(*story: tuple[float, int], workflow: str = "w") -> list[Release]:
    """Versions by the day on which each came into force; each is drafted half a day before its number is first."""
    before, found = None, []
    for day, number in story:
        at = START + day * DAY
        found.append(
            Release(
                entry=len(found) + 1, workflow=workflow, number=number, before=before, at=at, drafted_at=at - DAY / 2
            )
        )
        before = number
    return found


def test_a_story_by_hand_across_the_change_of_the_clock() -> None:
    """v1, v2, back to v1 after two days, v3, back to v2 nine days later, v4 yesterday: 15 days of the period."""
    story = released((-3, 1), (1, 2), (3, 1), (4, 3), (13, 2), (14, 4))
    found = releases_in(story, Period(START, START + 30 * DAY), START + 15 * DAY)
    assert [one.number for one in found.activations] == [2, 3, 4]
    assert [one.number for one in found.settled] == [2, 3]
    assert [one.number for one in found.rolled_back] == [2]
    assert [one.number for one in found.rollbacks] == [1, 2]
    assert found.measures["rollback_time_p50"] == (2 + 9) / 2 * 86_400_000
    assert found.measures["version_lead_p50"] == 43_200_000
    assert found.weeks == pytest.approx(15 / 7)


@pytest.mark.parametrize("seed", range(8))
def test_stories_by_chance_are_what_loops_count(seed: int) -> None:
    random = Random(seed)
    days = sorted(random.uniform(-20, 60) for _ in range(25))
    story = released(*((day, random.randint(1, 5)) for day in days))
    now, period = START + 45 * DAY, Period(START, START + 40 * DAY)
    found = releases_in(random.sample(story, len(story)), period, now)
    told: dict[str, list[int]] = {name: [] for name in ("activations", "first_activations", "settled", "rolled_back")}
    told["rollbacks"] = []
    for place, one in enumerate(story):
        if not START <= one.at < period.end:
            continue
        if place and one.number < story[place - 1].number:
            told["rollbacks"].append(one.entry)
            continue
        told["activations"].append(one.entry)
        if one.number not in [earlier.number for earlier in story[:place]]:
            told["first_activations"].append(one.entry)
        if one.at <= now - 7 * DAY:
            told["settled"].append(one.entry)
            after = story[place + 1] if place + 1 < len(story) else None
            if after and after.number < one.number and after.at - one.at <= 7 * DAY:
                told["rolled_back"].append(one.entry)
    assert {name: sorted(one.entry for one in getattr(found, name)) for name in told} == told


def test_before_its_beginning_a_period_has_no_weeks() -> None:
    found = releases_in([], Period(START, START + DAY), START - DAY)
    assert (found.weeks, found.measures["activations"]) == (0, 0)


def asked(**limits: Any) -> KpiFilter:
    now = database_now()
    period = Period(now - 7 * DAY, now + 7 * DAY)
    return KpiFilter(period=period, zone=reporting_zone(), size=BucketSize.DAY, **limits)


def values(actor: User, **limits: Any) -> dict[str, float | None]:
    found = release_figures_for(actor, asked(**limits))
    for key, figure in found.items():
        rows, order = behind_for(actor, RELEASES[key], asked(**limits))
        wanted = figure.numerator if key == "rolled_back_rate" else figure.n
        assert len(rows.order_by(*order)) == wanted, key
    return {key: figure.value for key, figure in found.items()}


@pytest.fixture
def workflow() -> Workflow:
    """v1, then v2 on the next line, and back; the way they really come into force."""
    admin, unit = make_admin(), make_unit()
    flow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=unit.slug)
    source = WorkflowVersion.objects.get(workflow=flow).source
    second = save_draft(admin, source=f"{source}description: Other.\n")
    publish_version(admin, version=second)
    flow.refresh_from_db()
    rollback_workflow(admin, workflow=flow, reason="It was worse.")
    write_facts(facts=Facts(runs=[make_run(workflow=flow.slug, unit_id=flow.unit_id, finished_at=database_now())]))
    return flow


@pytest.mark.django_db
def test_what_really_happened_is_told_by_units(workflow: Workflow) -> None:
    assert Entry.objects.filter(name="workflowversion.published").count() == 3
    viewer = make_holder(VIEW)
    found = values(viewer)
    assert found["activations_per_week"] == pytest.approx(2, abs=0.01)
    assert found["rolled_back_rate"] is None
    assert (found["version_lead_time_p50_s"] or -1) >= 0
    assert (found["rollback_time_p50_s"] or -1) > 0
    for limits in ({"workflow": workflow.slug}, {"unit": workflow.unit.slug}):
        assert values(viewer, **limits) == {
            key: value and pytest.approx(value, abs=0.01) for key, value in found.items()
        }
    assert values(make_holder(VIEW, unit=make_unit()))["activations_per_week"] == 0
    with pytest.raises(NotAllowedError):
        release_figures_for(make_user(), asked())


@pytest.mark.django_db
def test_page_csv_drill_down_and_api_say_the_same(workflow: Workflow) -> None:
    viewer = make_holder(VIEW)
    client, query = signed_in(viewer), asked(workflow=workflow.slug).query
    headers = {"Authorization": f"Bearer {create_token(viewer, user=viewer, days=1)}"}
    told = Client().get(f"/api/v1/kpis/?{query}", headers=headers).json()["releases"]
    assert told["activations_per_week"]["n"] == 2
    assert told["rolled_back_rate"]["reason"] == "No version was put in force at least seven days ago"
    raw = client.get(f"/dashboards/{workflow.slug}/releases.csv?{query}").content.decode()
    table = {row[0]: row[1:] for row in csv.reader(raw.splitlines()) if not row[0].startswith("#")}
    assert [table[key][1] for key in RELEASES] == [str(told[key]["n"]) for key in RELEASES]
    page = client.get(f"/dashboards/{workflow.slug}/?{query}").content.decode()
    assert "How versions come into force" in page
    listed = client.get(f"/dashboards/{workflow.slug}/rollback_time_p50_s/?{query}").content.decode()
    assert "1 in this list" in listed
    assert "It was worse." in listed
    rows = Client().get(f"/api/v1/kpis/activations_per_week/runs/?{query}", headers=headers).json()["results"]
    assert [row["version"] for row in rows] == [2, 1]
