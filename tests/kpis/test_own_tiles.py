"""Tiles of figures of one's own: the same as those of the plane, on the page, on paper and over the API."""

import csv
import html
import io
import re
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from apps.kpis.models import KpiValue
from apps.kpis.rules.durations import percentiles_in, piece_of
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.statistics import MEAN_N, mean_interval
from apps.kpis.services import save_baseline, save_target, write_facts
from tests.kpis.test_bars import said_count
from tests.kpis.test_own_charts import PERIOD, Rated

pytestmark = pytest.mark.django_db
FIRST_WEEK = "from=2026-11-02&to=2026-11-09&tz=Europe/Berlin"
SECOND_WEEK = "from=2026-11-09&to=2026-11-16&tz=Europe/Berlin"


@pytest.fixture
def rated(db: None) -> Rated:
    return Rated()


def tile(rated: Rated, query: str = PERIOD) -> str:
    found = re.search(r'<section class="card kpi" aria-labelledby="kpi-stars">.*?</section>', rated.page(query), re.S)
    assert found is not None
    return found[0]


def words(markup: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", markup).split()))


def told(rated: Rated, query: str = PERIOD) -> dict[str, Any]:
    answer = rated.door.api.get(f"/api/v1/kpis/?{query}&workflow={rated.flow.slug}")
    assert answer.status_code == 200, answer.content
    return dict(answer.json()["own"]["stars"])


def set_goals(rated: Rated, *, was: float, should: float) -> None:
    goal: dict[str, Any] = {"kpi": "stars", "workflow": rated.flow.slug}
    save_baseline(rated.viewer, slug="was", value=was, valid_from=date(2026, 1, 1), source="survey", **goal)
    save_target(rated.viewer, slug="should", value=should, direction="up", **goal)


def test_a_tile_says_what_the_tiles_of_the_plane_say(rated: Rated) -> None:
    rated.kpi()
    set_goals(rated, was=3, should=4.5)
    shown = tile(rated)
    says = words(shown)
    for part in (
        "Stars <b>",
        "3.87 stars", "▲ +29.0% better", "was 3 stars (not approved)", "target 4.5 stars Missed", "n 46",
        "95 % interval 3.69 stars–4.05 stars", "46 of 46 (100.0%) runs that succeeded gave a value",
    ):  # fmt: skip
        assert part in says, (part, says)
    assert '<svg class="spark"' in shown
    (link,) = re.findall(r'<p class="v"><a href="([^"]+)">', shown)
    assert said_count(rated.door.page(link)) == 46


def test_each_tile_has_the_n_that_its_list_has_and_the_api_says(rated: Rated) -> None:
    rated.kpi("share")
    KpiValue.objects.filter(pk__in=list(KpiValue.objects.values_list("pk", flat=True)[:3])).update(
        value=None, fault="failed"
    )
    answer, says = told(rated), words(tile(rated))
    assert (answer["n"], answer["faults"], answer["coverage"]) == (43, 3, {"counted": 43, "of": 46})
    assert "n 43" in says
    assert "3 runs gave nothing readable" in says
    for link, n in ((re.findall(r'<p class="v"><a href="([^"]+)"', tile(rated))[0], 43),):
        assert len(rated.door.behind(link)) == n


def test_invented_runs_give_no_values_and_so_are_not_covered(rated: Rated) -> None:
    rated.kpi()
    write_facts(facts=Facts(runs=[rated.run(rated.last - timedelta(days=1)) for _n in range(10)]), simulated=True)
    for simulated, of in (("true", 56), ("false", 46)):
        answer = told(rated, f"{PERIOD}&simulated={simulated}")
        assert (answer["coverage"], answer["missing"]) == ({"counted": 46, "of": of}, 0)


def test_few_values_are_grey_and_compared_with_nothing(rated: Rated) -> None:
    rated.kpi()
    set_goals(rated, was=1, should=1)
    shown = tile(rated, SECOND_WEEK)
    assert '<p class="v"><a class="muted" href=' in shown
    assert "Not enough data (6 of 30)" in words(shown)
    assert "better" not in words(shown)


def test_without_a_value_it_says_why_and_leads_nowhere(rated: Rated) -> None:
    rated.kpi()
    shown = tile(rated, "from=2026-01-01&to=2026-02-01")
    assert '<p class="v"><span class="muted">—</span></p>' in shown
    assert "No run gave a value" in words(shown)


def test_against_the_period_before_it_is_held_as_all_others_are(rated: Rated) -> None:
    rated.kpi()
    KpiValue.objects.filter(finished_at__lt=datetime(2026, 11, 9, tzinfo=UTC)).update(value=2)
    answer = told(rated, f"{SECOND_WEEK}&compare=previous")
    assert (answer["value"], answer["previous"]) == (3.0, 2.0)
    assert told(rated, f"{FIRST_WEEK}&compare=previous")["previous"] is None
    assert "previous" not in told(rated)


def test_a_sum_is_no_count_and_moves_beyond_chance_by_a_quarter_alone(rated: Rated) -> None:
    """178 instead of 147 would be beyond chance if each star were a thing that happened by itself."""
    rated.kpi("sum")
    set_goals(rated, was=10.5, should=1)
    says = words(tile(rated))
    assert "178 stars 12.7 stars a day" in says
    assert "▲ +21.1% no clear change was 10.5 stars a day" in says


def test_a_median_lies_between_two_of_the_values(rated: Rated) -> None:
    rated.kpi("p50")
    random, rows = Random(7), list(KpiValue.objects.all())
    values = [random.randint(1, 10_000) for _row in rows]
    for row, value in zip(rows, values, strict=True):
        KpiValue.objects.filter(pk=row.pk).update(value=value)
    (expected,) = percentiles_in([piece_of(b"".join(value.to_bytes(8) for value in values))], [0.5])
    answer = told(rated)
    assert (answer["value"], answer["low"], answer["high"]) == (expected.value, expected.low, expected.high)


def test_it_is_on_paper_with_its_interval_and_n(rated: Rated) -> None:
    rated.kpi()
    set_goals(rated, was=3, should=4.5)
    answer = rated.door.browser.get(f"/dashboards/{rated.flow.slug}.pdf?{PERIOD}")
    sheets = " ".join(" ".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(answer.content)).pages).split())
    row = re.search(r"Stars <b> 3.87 stars 3.69 stars–4.05 stars .{0,80}", sheets)
    assert row is not None, sheets
    assert "better" in row[0]
    assert "missed" in row[0]
    assert " 46" in row[0]


def test_the_series_of_the_api_and_the_file_are_the_chart(rated: Rated) -> None:
    rated.kpi()
    asked = f"{PERIOD}&bucket=day"
    series = rated.door.api.get(f"/api/v1/kpis/?{asked}&workflow={rated.flow.slug}").json()["series"]
    drawn = {day: pytest.approx(sum(values) / len(values), abs=1e-4) for day, values in rated.values.items()}
    assert {one["bucket"]: one["own-stars"] for one in series if one["own-stars"] is not None} == drawn
    lines = rated.door.page(f"/dashboards/{rated.flow.slug}/kpis.csv?{asked}").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith(("#", '"#'))))
    assert {one["bucket"]: float(one["own-stars"]) for one in rows[1:] if one["own-stars"]} == drawn
    assert {one["bucket"]: int(one["own-stars_n"]) for one in rows[1:] if one["own-stars"]} == {
        day: len(values) for day, values in rated.values.items()
    }
    overview = rated.door.api.get(f"/api/v1/kpis/?{asked}").json()
    assert "own-stars" not in overview["series"][0]
    assert overview["own"]["stars"]["n"] == 46


def test_of_several_workflows_there_is_no_tile(rated: Rated) -> None:
    rated.kpi()
    assert "kpi-stars" not in rated.door.page(f"/dashboards/overview/?{PERIOD}")


@given(mean=st.floats(-1e6, 1e6), deviation=st.floats(0.001, 1e6), n=st.integers(MEAN_N, 10_000))
def test_the_interval_of_a_mean_is_around_it_and_narrower_for_more(mean: float, deviation: float, n: int) -> None:
    found, more = mean_interval(mean, deviation, n), mean_interval(mean, deviation, 4 * n)
    assert found is not None
    assert more is not None
    assert found[0] < mean < found[1]
    assert more[1] - more[0] < found[1] - found[0]


@pytest.mark.parametrize(("n", "point"), [(5, 2.7764), (10, 2.2622), (30, 2.0452), (121, 1.9799)])
def test_it_is_student_s(n: int, point: float) -> None:
    """Points of the tables of the distribution."""
    found = mean_interval(0, n**0.5, n)
    assert found is not None
    assert found[1] == pytest.approx(point, rel=0.003)


@pytest.mark.parametrize(("deviation", "n"), [(1.0, 4), (0.0, 40)])
def test_too_few_and_all_alike_have_none(deviation: float, n: int) -> None:
    assert mean_interval(3, deviation, n) is None
