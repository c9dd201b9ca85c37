"""How long failed and cancelled runs took, how long people took by a calendar, and what waits for them now."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import ApprovalFact, DurationDay, RollupDay
from apps.kpis.models.clock import database_now
from apps.kpis.rules import DEFINITIONS, LIVE
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors import behind_for, kpis_for, live_for
from apps.kpis.services import fill_open_time, keep_durations, write_facts
from apps.oversight.models import Escalation
from tests.factories.access import make_calendar, make_holder, make_queue, make_unit
from tests.factories.kpis import NOON, make_decision, make_run
from tests.factories.oversight import make_escalation, make_payment
from tests.kpis.test_durations import LATER
from tests.kpis.test_selectors import ask
from tests.kpis.test_services import batch, state
from tests.kpis.test_views import signed_in

pytestmark = pytest.mark.django_db
HOURS = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
PENDING = [key for key in LIVE if key.startswith("pending")]


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def values(viewer: User) -> dict[str, float | None]:
    return {key: total.figure.value for key, total in kpis_for(viewer, ask()).totals.items()}


def test_runs_that_failed_and_runs_that_were_cancelled_have_times_of_their_own(viewer: User) -> None:
    ends = {"succeeded": (1, 2), "failed": (3, 5, 7), "cancelled": (20, 40)}
    runs = [
        make_run(state=state, started_at=NOON - timedelta(minutes=minutes))
        for state, some in ends.items()
        for minutes in some
    ]
    write_facts(facts=Facts(runs=runs))
    found = values(viewer)
    assert (found["failed_time_p50_s"], found["cancelled_time_p50_s"]) == (5 * 60, 30 * 60)
    assert found["cycle_time_p50_s"] == 90
    rows, order = behind_for(viewer, DEFINITIONS["failed_time_p50_s"], ask())
    assert [row.run_id for row in rows.order_by(*order)] == [run.run_id for run in reversed(runs[2:5])]


def test_a_weekend_is_no_open_time_of_a_decision_and_late_calendars_are_made_up_for(viewer: User) -> None:
    friday, monday = datetime(2026, 11, 6, 15, tzinfo=UTC), datetime(2026, 11, 9, 9, tzinfo=UTC)
    unit, other = make_unit(), make_unit()
    over_weekend = make_decision(requested_at=friday, decided_at=monday, unit_id=unit.pk)
    write_facts(facts=Facts(decisions=[over_weekend, make_decision(unit_id=other.pk)]))
    before = kpis_for(viewer, ask()).totals["business_latency_p50_s"].figure
    assert (before.value, before.n, before.why_none) == (None, 0, "No decision was taken in a unit with a calendar")
    calendar = make_calendar(hours=HOURS, timezone="Europe/Berlin")
    BusinessUnit.objects.filter(pk=unit.pk).update(calendar=calendar)
    assert fill_open_time() == 1
    after = kpis_for(viewer, ask()).totals["business_latency_p50_s"].figure
    assert (after.value, after.n) == ((1 + 1) * 3600, 1)
    kept = state()
    write_facts(facts=Facts(decisions=[over_weekend]))
    assert state() == kept
    rows, _order = behind_for(viewer, DEFINITIONS["business_latency_p50_s"], ask())
    assert [row.escalation_id for row in rows] == [over_weekend.escalation_id]
    page = signed_in(viewer).get(f"/dashboards/overview/business_latency_p50_s/?{ask().query}").content.decode()
    assert "In open hours" in page
    assert "2.0 h" in page or "2 h" in page


def test_who_decides_in_less_than_five_seconds_is_counted(viewer: User) -> None:
    waits = [0, 4.999, 5, 60]
    decisions = [make_decision(requested_at=NOON - timedelta(seconds=wait)) for wait in waits]
    decisions.append(make_decision(requested_at=NOON, outcome="expired"))
    write_facts(facts=Facts(decisions=decisions))
    hasty = kpis_for(viewer, ask()).totals["hasty_rate"].figure
    assert (hasty.numerator, hasty.denominator) == (2, 4)


def test_what_was_kept_before_is_written_down_anew(viewer: User) -> None:
    write_facts(facts=batch())
    ApprovalFact.objects.update(latency_ms=10)
    assert keep_durations(now=LATER) > 3
    kept = list(DurationDay.objects.order_by("day", "workflow", "version").values_list("day", "failed_cycle", "cycle"))
    assert any(bytes(failed) for _day, failed, _cycle in kept)
    RollupDay.objects.update(hasty=0)
    DurationDay.objects.update(failed_cycle=b"", cancelled_cycle=b"")
    import_module("apps.kpis.migrations.0029_fill_failures_and_decisions").fill(None, connection.schema_editor())
    assert values(viewer)["hasty_rate"] == 1
    keep_durations(now=LATER)
    again = DurationDay.objects.order_by("day", "workflow", "version").values_list("day", "failed_cycle", "cycle")
    assert list(again) == kept


def waiting(*hours: float, **fields: Any) -> Iterator[Escalation]:
    for each in hours:
        item = make_escalation(**fields)
        Escalation.objects.filter(pk=item.pk).update(created_at=database_now() - timedelta(hours=each))
        yield item


def pending(viewer: User, **limits: Any) -> list[float | None]:
    figures = live_for(viewer, replace(ask(), **limits)).figures
    for key in PENDING:
        rows, order = behind_for(viewer, LIVE[key], replace(ask(), **limits))
        assert rows.order_by(*order).count() == figures[key].n, key
    return [figures[key].value for key in PENDING if key != "pending_age_max_s"]


def test_what_waits_for_people_is_counted_by_its_age(viewer: User) -> None:
    assert pending(viewer) == [0, 0, 0, 0]
    assert live_for(viewer, ask()).figures["pending_age_max_s"].value is None
    items = list(waiting(1, 23.9, 24.1, 73, 200))
    assert pending(viewer) == [5, 3, 2, 1]
    oldest = live_for(viewer, ask()).figures["pending_age_max_s"].value
    assert oldest is not None
    assert oldest == pytest.approx(200 * 3600, abs=60)
    rows, order = behind_for(viewer, LIVE["pending_3d"], ask())
    assert [row.pk for row in rows.order_by(*order)] == [items[4].pk, items[3].pk]


def test_what_waits_is_limited_by_filter_and_permission(viewer: User) -> None:
    unit = make_unit()
    (mine,) = waiting(30, queue=make_queue(unit=unit), workflow="a")
    list(waiting(30, workflow="b"))
    run, invented = make_run(finished_at=None, version=3), make_run(finished_at=None)
    list(waiting(1, workflow="w", run_id=run.run_id))
    list(waiting(1, workflow="w", run_id=invented.run_id))
    list(waiting(1, kind="review"))
    write_facts(facts=Facts(runs=[run, make_run(workflow="a")]))
    write_facts(facts=Facts(runs=[invented]), simulated=True)
    payment = make_payment()
    assert pending(viewer) == [4, 2, 0, 0]
    assert pending(viewer, simulated=True) == [5, 2, 0, 0]
    assert pending(viewer, workflow="a") == pending(viewer, unit=unit.slug) == [1, 1, 0, 0]
    assert pending(viewer, version=3) == pending(viewer, agent=payment.agent.slug) == [1, 0, 0, 0]
    assert pending(make_holder("kpis.view_kpi", unit=unit)) == [1, 1, 0, 0]
    assert pending(make_holder("kpis.view_kpi", unit=make_unit())) == [0, 0, 0, 0]
    headers = {"Authorization": f"Bearer {create_token(viewer, user=viewer, days=1)}"}
    told = Client().get("/api/v1/kpis/pending_1d/runs/?workflow=a", headers=headers).json()["results"]
    assert [(row["escalation"], row["kind"]) for row in told] == [(str(mine.pk), "approval")]
    client = signed_in(viewer)
    page = client.get(f"/dashboards/overview/pending_1d/?unit={unit.slug}").content.decode()
    assert page.count('href="/inbox/0') == 1
    assert f'href="/inbox/{mine.pk}/"' in page
