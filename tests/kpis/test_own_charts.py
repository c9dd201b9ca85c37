"""Charts of figures of one's own: each bucket as its list has it, goals as levels, and nothing of others."""

import html
import json
import re
from datetime import date, timedelta
from statistics import mean, median
from typing import Any
from uuid import uuid4

import pytest

from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Kpi, KpiValue
from apps.kpis.rules.facts import Facts
from apps.kpis.services import save_baseline, save_kpi, save_target, write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_holder, make_unit
from tests.factories.classification import make_data_class
from tests.factories.kpis import NOON, make_run
from tests.factories.workflows import make_workflow
from tests.kpis.test_bars import Door, charts_of, points_of, said_count
from tests.kpis.test_business import RATED

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-11-02&to=2026-11-16&tz=Europe/Berlin"
GIVEN = {1: [1, 4, 4], 2: [5], 3: [2, 2], 8: [4] * 40}
"""Values by the day before noon of the 15th or so on which their runs ended."""


class Rated:
    """A workflow whose runs of two weeks gave values."""

    def __init__(self) -> None:
        make_data_class(slug="health")
        self.flow: Workflow = make_workflow(RATED)
        self.viewer: User = make_holder("kpis.view_kpi", "kpis.manage_target", unit=self.flow.unit)
        self.door, self.runs, self.values = Door(self.viewer), Facts(), dict[str, list[float]]()
        self.last = NOON.replace(day=15)
        for days, values in GIVEN.items():
            end = self.last - timedelta(days=days)
            self.values[f"{end:%Y-%m-%d}"] = [float(value) for value in values]
            self.runs.runs += [self.run(end) for _value in values]
        write_facts(facts=self.runs)

    def run(self, end: Any) -> Any:
        return make_run(workflow=self.flow.slug, unit_id=self.flow.unit_id, finished_at=end, run_id=uuid4())

    def kpi(self, aggregate: str = "mean", **more: Any) -> Kpi:
        asks = "run.output.rate.solved" if aggregate == "share" else "run.output.rate.stars"
        named = {"name": "Stars <b>", "unit": "stars", "direction": "up", **more}
        kpi, _is_new = save_kpi(
            system_user("console"), slug="stars", workflow=self.flow.slug, value=asks, aggregate=aggregate, **named
        )
        told = [value for values in self.values.values() for value in values]
        KpiValue.objects.filter(kpi="stars").delete()
        for run, value in zip(self.runs.runs, told, strict=True):
            KpiValue.objects.create(
                kpi="stars", digest=kpi.digest, run_id=run.run_id, finished_at=run.finished_at, workflow=self.flow.slug,
                unit=self.flow.unit_id, value=float(value > 3) if aggregate == "share" else value,
            )  # fmt: skip
        return kpi

    def page(self, query: str = f"{PERIOD}&bucket=day") -> str:
        return self.door.page(f"/dashboards/{self.flow.slug}/?{query}")

    def drawn(self, query: str = f"{PERIOD}&bucket=day") -> tuple[list[dict[str, Any]], str, str]:
        """The traces, the finding, and the figure's HTML."""
        figure = re.search(r'<figure class="card chart" id="own-stars">.*?</figure>', self.page(query), re.DOTALL)
        assert figure is not None
        chart = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', figure[0])[0])
        says = html.unescape(re.findall(r'<p class="finding">(.*?)</p>', figure[0])[0])
        return chart["data"], says, figure[0]


@pytest.fixture
def rated(db: None) -> Rated:
    return Rated()


@pytest.mark.parametrize(
    ("aggregate", "kind", "made"),
    [("mean", "scatter", mean), ("p50", "scatter", median), ("sum", "bar", sum)],
)
def test_each_point_is_what_its_runs_gave_and_leads_to_them(rated: Rated, aggregate: str, kind: str, made: Any) -> None:
    rated.kpi(aggregate)
    (trace,), _says, shown = rated.drawn()
    assert (trace["type"], trace["name"]) == (kind, "Stars ‹b›")
    seen = {trace["x"][at]: (height, link) for at, height, link in points_of(trace)}
    assert {day: height for day, (height, _link) in seen.items()} == pytest.approx(
        {day: round(made(values), 4) for day, values in rated.values.items()}
    )
    for day, (_height, link) in seen.items():
        assert said_count(rated.door.page(link)) == len(rated.values[day])
        assert html.escape(link) in shown, "the table leads there, too"
    assert "Stars &lt;b&gt;" in shown
    raw = rated.door.page(f"/dashboards/{rated.flow.slug}/own-stars.csv?{PERIOD}&bucket=day").splitlines()
    assert "From,Value (stars),n" in raw
    assert f"2026-11-07,{float(made(GIVEN[8]))},40" in [line.replace(",4,", ",4.0,") for line in raw]


def test_a_share_has_its_interval_around_it(rated: Rated) -> None:
    rated.kpi("share")
    traces, _says, _shown = rated.drawn()
    lower, upper, middle = traces
    at = middle["x"].index("2026-11-14")
    assert middle["y"][at] == pytest.approx(200 / 3, abs=1e-3)
    known = middle["x"][: at + 1]
    low, high = (dict(zip(one["x"], one["y"], strict=True))[known[-1]] for one in (lower, upper))
    assert (low, high) == pytest.approx((20.77, 93.85), abs=0.05)  # Wilson, 2 of 3
    raw = rated.door.page(f"/dashboards/{rated.flow.slug}/own-stars.csv?{PERIOD}&bucket=day")
    assert "95 % interval" in raw


def test_what_it_was_and_should_be_are_levels(rated: Rated) -> None:
    rated.kpi()
    goal: dict[str, Any] = {"kpi": "stars", "workflow": rated.flow.slug}
    save_baseline(rated.viewer, slug="was", value=3, valid_from=date(2026, 1, 1), source="survey", **goal)
    save_target(rated.viewer, slug="should", value=4.5, direction="up", **goal)
    traces, says, _shown = rated.drawn()
    named = {trace["name"]: (trace["line"]["dash"], set(trace["y"])) for trace in traces[1:]}
    assert named == {"Baseline (not approved)": ("dash", {3.0}), "Target": ("dot", {4.5})}
    assert says == "Too few to compare the halves of this period: n = 40 and 6."


def test_a_level_that_would_flatten_everything_is_not_drawn(rated: Rated) -> None:
    rated.kpi()
    goal: dict[str, Any] = {"kpi": "stars", "workflow": rated.flow.slug}
    save_target(rated.viewer, slug="should", value=400, direction="up", **goal)
    assert len(rated.drawn()[0]) == 1


def test_goals_of_sums_are_of_a_day_and_stand_in_charts_of_days_alone(rated: Rated) -> None:
    rated.kpi("sum")
    goal: dict[str, Any] = {"kpi": "stars", "workflow": rated.flow.slug}
    save_baseline(rated.viewer, slug="was", value=20, valid_from=date(2026, 1, 1), source="survey", **goal)
    save_target(rated.viewer, slug="should", value=30, direction="up", **goal)
    traces, says, _shown = rated.drawn()
    assert [(one["name"], one["y"]) for one in traces[1:]] == [
        ("Baseline (not approved)", [20.0, 20.0]),
        ("Target", [30.0, 30.0]),
    ]
    assert says == ("178 stars in this period, 12.7 stars a day, against a baseline of 20 stars (not approved) a day.")
    assert len(rated.drawn(f"{PERIOD}&bucket=week")[0]) == 1
    traces, says, _shown = rated.drawn(f"{PERIOD}&bucket=day&version=1")
    assert len(traces) == 1  # what is of all runs is not of a version's
    assert says == "178 stars in this period, 12.7 stars a day."


def test_without_a_value_and_beside_the_workflow_there_is_no_chart(rated: Rated) -> None:
    rated.kpi()
    assert "own-stars" not in rated.page("from=2026-01-01&to=2026-02-01&tz=Europe/Berlin")
    assert "own-stars" not in rated.door.page(f"/dashboards/overview/?{PERIOD}")
    assert rated.door.browser.get(f"/dashboards/overview/own-stars.csv?{PERIOD}").status_code == 404
    assert len(charts_of(rated.page())) == 8


def test_who_may_not_count_the_runs_sees_no_chart_of_them(rated: Rated) -> None:
    rated.kpi()
    stranger = Door(make_holder("kpis.view_kpi", unit=make_unit()))
    assert stranger.browser.get(f"/dashboards/{rated.flow.slug}/?{PERIOD}").status_code == 404
    assert stranger.browser.get(f"/dashboards/{rated.flow.slug}/own-stars.csv?{PERIOD}").status_code == 404


def test_the_charts_are_on_paper_too(rated: Rated) -> None:
    rated.kpi(name="Stars \u202e")
    answer = rated.door.browser.get(f"/dashboards/{rated.flow.slug}.pdf?{PERIOD}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
