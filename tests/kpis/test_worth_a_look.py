"""Control charts and unusual hours over the API: the numbers of the pages, for whoever sees the pages."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.core.models import User
from apps.kpis.models import Anomaly
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.kpis.test_weeks import charts, label, usual, week_of
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
CHARTS, HOURS = "/api/v1/kpis/control-charts/", "/api/v1/kpis/unusual-hours/"


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def charts_of(user: User, **query: str) -> dict[str, Any]:
    answer = caller(user).get(CHARTS, {"workflow": "w", **query})
    assert answer.status_code == 200, answer.content
    return dict(answer.json()["charts"])


def test_a_chart_has_the_numbers_of_its_page_the_oldest_week_first(executive: User) -> None:
    write_facts(facts=Facts(runs=[*usual(25, last=3), *week_of(2, version=2), *week_of(1, took_s=36_000, version=2)]))
    found, seen = charts_of(executive), charts(executive)
    assert list(found) == list(seen)
    chart = found["cycle_time_p50_s"]
    assert (chart["worth_a_look"], len(chart["weeks"])) == (1, 27)
    assert chart["formula"] == seen["cycle_time_p50_s"].formula
    newest, before = chart["weeks"][-1], chart["weeks"][-2]
    assert (newest["week"], newest["value"], newest["n"]) == (label(1), 36_000, 6)
    assert (newest["worth_a_look"], newest["version"]) == ("above", 2)
    assert before["worth_a_look"] is None
    assert before["low"] < chart["centre"] < before["high"] < newest["value"]
    assert [week["start"] for week in chart["weeks"]] == sorted(week["start"] for week in chart["weeks"])


def test_while_too_few_weeks_say_what_is_usual_there_are_no_limits(executive: User) -> None:
    write_facts(facts=Facts(runs=usual(3)))
    chart = charts_of(executive)["error_rate"]
    assert (chart["centre"], chart["worth_a_look"]) == (None, 0)
    assert {(week["low"], week["high"]) for week in chart["weeks"]} == {(None, None)}


def test_runs_of_units_of_others_are_in_no_chart(executive: User) -> None:
    mine, other = make_unit(), make_unit()
    write_facts(facts=Facts(runs=[*week_of(1, unit_id=mine.pk), *week_of(1, n=9, unit_id=other.pk)]))
    assert charts_of(executive)["error_rate"]["weeks"][0]["n"] == 15
    assert charts_of(executive, unit=mine.slug)["error_rate"]["weeks"][0]["n"] == 6
    assert charts_of(make_holder("kpis.view_kpi", unit=mine))["error_rate"]["weeks"][0]["n"] == 6
    stranger = make_holder("kpis.view_kpi", unit=make_unit())
    assert caller(stranger).get(CHARTS, {"workflow": "w"}).status_code == 404
    assert caller(make_user()).get(CHARTS, {"workflow": "w"}).status_code == 403


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (CHARTS, {}),
        (CHARTS, {"workflow": "w", "from": "2026-01-01"}),
        (CHARTS, {"workflow": "w", "version": "1"}),
        (CHARTS, {"workflow": "w", "tz": "Mars"}),
        (HOURS, {"kind": "failures"}),
    ],
)
def test_what_it_does_not_know_is_refused(executive: User, path: str, query: dict[str, str]) -> None:
    write_facts(facts=Facts(runs=week_of(1)))
    answer = caller(executive).get(path, query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def make_flow(slug: str) -> Workflow:
    return Workflow.objects.create(slug=slug, name=slug, unit=make_unit(), owner=make_user())


def unusual(slug: str, **fields: Any) -> Anomaly:
    """Something found in the last hour."""
    flow = fields.pop("workflow", None) or make_flow(slug)
    now = database_now()
    values = {"kind": "failures", "began_at": now - timedelta(hours=1), "until": now}
    return Anomaly.objects.create(
        workflow=flow, unit=flow.unit_id, count=12, of=30, expected=1.5, chance=1e-9, **{**values, **fields}
    )


def test_unusual_hours_are_told_of_the_units_in_which_one_counts(executive: User) -> None:
    one, other = unusual("w"), unusual("v", muted_until=database_now() + timedelta(days=9), mute_reason="Known.")
    rows = {row["workflow"]: row for row in caller(executive).get(HOURS).json()["results"]}
    assert set(rows) == {"w", "v"}
    assert (rows["w"]["id"], rows["w"]["kind"], rows["w"]["count"], rows["w"]["of"]) == (
        str(one.pk),
        "failures",
        12,
        30,
    )
    assert (rows["w"]["muted"], rows["w"]["muted_until"]) == (False, None)
    assert (rows["v"]["muted"], rows["v"]["mute_reason"]) == (True, "Known.")
    (row,) = caller(executive).get(HOURS, {"workflow": "v"}).json()["results"]
    assert row["id"] == str(other.pk)
    near = make_holder("kpis.view_kpi", unit=one.workflow.unit)
    assert [row["workflow"] for row in caller(near).get(HOURS).json()["results"]] == ["w"]
    assert caller(near).get(HOURS, {"workflow": "v"}).json()["results"] == []
    assert caller(make_user()).get(HOURS).status_code == 403


def mute(user: User, row: Anomaly, **body: Any) -> Any:
    return caller(user).post(f"/api/v1/kpis/worth-a-look/{row.pk}/mute/", body, "application/json")


def manager(row: Anomaly | None = None) -> User:
    return make_holder("kpis.view_kpi", "kpis.manage_target", unit=row.workflow.unit if row else None)


def test_whoever_sets_targets_there_mutes_it_as_on_the_page() -> None:
    row, user, now = unusual("w"), make_holder("kpis.view_kpi"), database_now()
    boss = manager(row)
    answer = mute(boss, row, days=5, reason=" We move house. ")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["id"], found["muted"], found["mute_reason"]) == (str(row.pk), True, "We move house.")
    (listed,) = caller(user).get("/api/v1/kpis/worth-a-look/").json()["results"]
    assert listed == found
    row.refresh_from_db()
    assert row.muted_until is not None
    assert timedelta(0) <= row.muted_until - now - timedelta(days=5) < timedelta(minutes=1)
    assert row.muted_by == boss
    entry = Entry.objects.get(name="workflow.unusual_muted")
    assert (entry.actor, entry.subject_id, entry.payload["reason"]) == (boss, row.workflow_id, "We move house.")


def test_a_repeated_request_mutes_once() -> None:
    row = unusual("w")
    client, path = caller(manager(row)), f"/api/v1/kpis/worth-a-look/{row.pk}/mute/"
    told = [
        client.post(path, {"days": 1, "reason": "Known."}, "application/json", headers={"Idempotency-Key": "k"}).json()
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert Entry.objects.filter(name="workflow.unusual_muted").count() == 1


def test_what_ended_long_ago_can_be_muted_too() -> None:
    then = database_now() - timedelta(days=200)
    row = unusual("w", began_at=then, until=then + timedelta(hours=1))
    assert mute(manager(), row, days=90, reason="Known.").json()["muted"] is True


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def unmute(user: User, row: Anomaly) -> Any:
    return caller(user).post(f"/api/v1/kpis/worth-a-look/{row.pk}/unmute/", {}, "application/json")


def test_what_was_muted_is_told_again_for_all_that_is_like_it() -> None:
    muted, boss = unusual("w"), manager()
    mute(boss, muted, days=5, reason="Known.")
    then = database_now() - timedelta(hours=9)
    like = unusual("w", workflow=muted.workflow, began_at=then, until=then + timedelta(hours=1))
    other = unusual("v")
    mute(boss, other, days=5, reason="Known.")
    answer = unmute(boss, like)
    assert (answer.status_code, answer.json()["muted"]) == (200, False), answer.content
    muted.refresh_from_db()
    other.refresh_from_db()
    assert (muted.muted_until, muted.muted_by, muted.mute_reason) == (None, None, "")
    assert other.muted_until is not None
    assert Entry.objects.get(name="workflow.unusual_unmuted").payload == {"kind": like.kind}
    assert unmute(boss, like).status_code == 200
    assert Entry.objects.filter(name="workflow.unusual_unmuted").count() == 1


def test_nobody_else_ends_a_mute() -> None:
    row = unusual("w")
    mute(manager(), row, days=5, reason="Known.")
    for user, status in (
        (make_holder("kpis.view_kpi"), 403),
        (make_holder("kpis.view_kpi", "kpis.manage_target", unit=make_unit()), 404),
    ):
        assert unmute(user, row).status_code == status
        assert signed_in(user).post(f"/dashboards/unusual/{row.pk}/unmute/").status_code == status
    row.refresh_from_db()
    assert row.muted_until is not None


def test_the_page_says_who_muted_it_and_offers_to_end_that_and_afterwards_to_mute_it() -> None:
    row, boss = unusual("w"), manager()
    client, page = signed_in(boss), "/dashboards/unusual/"
    mute(boss, row, days=5, reason="We move house.")
    told = client.get(page).content.decode()
    assert "We move house." in told
    assert f"/dashboards/unusual/{row.pk}/mute/" not in told
    answer = client.post(f"/dashboards/unusual/{row.pk}/unmute/", follow=True).content.decode()
    assert "Not muted any more" in answer
    assert f"/dashboards/unusual/{row.pk}/mute/" in answer
    again = client.post(f"/dashboards/unusual/{row.pk}/unmute/", follow=True).content.decode()
    assert "It was not muted any more." in again


def test_a_mute_that_is_over_can_be_renewed_on_the_page() -> None:
    row = unusual("w", muted_until=database_now() - timedelta(days=1), mute_reason="Known.")
    assert f"/dashboards/unusual/{row.pk}/mute/" in signed_in(manager()).get("/dashboards/unusual/").content.decode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"days": 0, "reason": "Known."}, "days"),
        ({"days": 91, "reason": "Known."}, "days"),
        ({"days": "5", "reason": "Known."}, "days"),
        ({"days": 1.5, "reason": "Known."}, "days"),
        ({"days": True, "reason": "Known."}, "days"),
        ({"reason": "Known."}, "days"),
        ({"days": 5}, "reason"),
        ({"days": 5, "reason": "  "}, "reason"),
        ({"days": 5, "reason": "x" * 501}, "reason"),
        ({"days": 5, "reason": "Known.", "until": "2099-01-01"}, "until"),
    ],
)
def test_muting_without_an_end_or_a_reason_is_refused_by_the_field(body: dict[str, Any], field: str) -> None:
    row = unusual("w")
    answer = mute(manager(), row, **body)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})
    assert_untouched(row)


def test_nobody_else_mutes_it() -> None:
    row = unusual("w")
    for user, status in (
        (make_holder("kpis.view_kpi"), 403),
        (make_holder("kpis.view_kpi", "kpis.manage_target", unit=make_unit()), 404),
        (make_user(), 404),
    ):
        assert mute(user, row, days=5, reason="Known.").status_code == status
    agent = Client(headers={"Authorization": f"Bearer {make_key_for(make_agent())}"})
    path = f"/api/v1/kpis/worth-a-look/{row.pk}/mute/"
    assert agent.post(path, {"days": 5, "reason": "Known."}, "application/json").status_code == 403
    assert Client().post(path, {}, "application/json").status_code == 401
    assert_untouched(row)


def assert_untouched(row: Anomaly) -> None:
    row.refresh_from_db()
    assert (row.muted_until, row.muted_by, row.mute_reason) == (None, None, "")
    assert not Entry.objects.filter(name="workflow.unusual_muted").exists()
