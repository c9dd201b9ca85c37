"""Control charts and unusual hours over the API: the numbers of the pages, for whoever sees the pages."""

from datetime import timedelta
from typing import Any

import pytest

from apps.core.models import User
from apps.kpis.models import Anomaly
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_holder, make_unit, make_user
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


def unusual(slug: str, **fields: Any) -> Anomaly:
    """Something found in the last hour."""
    flow = Workflow.objects.create(slug=slug, name=slug, unit=make_unit(), owner=make_user())
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
