"""What stands behind a bar, a point and a cell of a chart is as many, and as much, as it shows."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.factories.access import make_holder
from tests.factories.kpis import NOON, make_cost, make_decision, make_run

pytestmark = pytest.mark.django_db
OUTCOMES = ["Without a person", "Approved as asked", "Edited or sent back", "Rejected or failed"]
CLASSES = ["timeout", "timeout", "timeout", "", "of <b>two</b>|parts", "a,b", "refused"]
PERIOD = "from=2026-10-20&to=2026-11-20&tz=Europe/Berlin"


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


class Door:
    """One person's browser and key."""

    def __init__(self, user: User) -> None:
        self.browser, self.api = Client(), Client(headers={"Authorization": f"Bearer {self._token(user)}"})
        self.browser.force_login(user)
        self.seen: dict[str, list[dict[str, Any]]] = {}

    @staticmethod
    def _token(user: User) -> str:
        return create_token(user, user=user, days=1)

    def page(self, address: str) -> str:
        return self.browser.get(html.unescape(address)).content.decode()

    def behind(self, link: str) -> list[dict[str, Any]]:
        """The rows behind a link by the API; the page of the link says how many these are."""
        if link not in self.seen:
            parts = urlsplit(html.unescape(link))
            workflow, kpi = parts.path.strip("/").split("/")[1:]
            narrowed = f"&workflow={workflow}" if workflow != "overview" and "workflow=" not in parts.query else ""
            following: str | None = f"/api/v1/kpis/{kpi}/runs/?{parts.query}{narrowed}"
            rows: list[dict[str, Any]] = []
            while following:
                answer = self.api.get(following).json()
                rows += answer["results"]
                following = answer["next"]
            assert said_count(self.page(link)) == len(rows), link
            self.seen[link] = rows
        return self.seen[link]


def said_count(page: str) -> int:
    found = re.search(r"<p>([\d,\s]+) in this list</p>", page)
    return int(re.sub(r"\D", "", found[1])) if found else 0


def some_runs() -> None:
    random, facts = Random(4), Facts()
    for n in range(160):
        end = NOON - timedelta(days=20) + timedelta(minutes=random.randint(0, 25 * 1440))
        state = random.choice(["succeeded"] * 6 + ["failed", "cancelled"])
        run = make_run(
            finished_at=end,
            started_at=end - timedelta(minutes=random.randint(1, 900)),
            state=state,
            sla_ms=random.choice([None, 18_000_000]),
            workflow=random.choice("vw"),
            error_class=random.choice(CLASSES) if state == "failed" else "",
        )
        facts.runs.append(run)
        facts.costs += [
            make_cost(run, kind=kind, amount_micro=random.randint(1, 9) * 10_000) for kind in ("llm", "human")
        ]
        if n % 3 == 0:
            outcome = random.choice(["approved", "approved", "rejected", "changes_requested", "answered"])
            asked = {"kind": random.choice(["approval", "action"]), "edited": random.random() < 0.3}
            facts.decisions.append(make_decision(run, outcome=outcome, **asked))
    write_facts(facts=facts)


def points_of(trace: dict[str, Any]) -> Iterator[tuple[int, float, str]]:
    """Place, height and link of what is drawn."""
    for place, (height, link) in enumerate(zip(trace["y"], trace["customdata"], strict=True)):
        if height is not None:
            yield place, height, link


def charts_of(page: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def linked(chart: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in chart["data"] if "customdata" in trace]


class Page:
    """A dashboard with its charts, one after the other, and how many runs ended in each bucket."""

    def __init__(self, door: Door, place: str, bucket: str) -> None:
        self.door, self.place, self.query = door, place, f"{PERIOD}&bucket={bucket}"
        charts = charts_of(door.page(f"/dashboards/{place}/?{self.query}"))
        classes = charts.pop(3) if place != "overview" else {"data": []}
        drawn = map(linked, charts)
        self.cycle, self.throughput, self.errors, self.sla, self.cost, self.escalations, self.autonomy = drawn
        self.classes = linked(classes)
        self.ended = {
            (at, trace["name"]): len(door.behind(link)) for trace in self.throughput for at, _, link in points_of(trace)
        }

    def finished(self, at: int) -> int:
        return self.ended[at, "Succeeded"] + self.ended[at, "Failed"]

    def table(self, chart: str) -> list[dict[str, str]]:
        text = self.door.page(f"/dashboards/{self.place}/{chart}.csv?{self.query}")
        return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith(("#", '"#', "'#"))))


@pytest.fixture(params=[("overview", "day"), ("w", "week")], ids="-".join)
def page(request: pytest.FixtureRequest, executive: User) -> Page:
    some_runs()
    return Page(Door(executive), *request.param)


def test_behind_every_bar_of_runs_are_as_many(page: Page) -> None:
    assert {trace["name"] for trace in page.throughput} == {"Succeeded", "Failed", "Cancelled"}
    for trace in page.throughput:
        for at, height, _link in points_of(trace):
            assert height == page.ended[at, trace["name"]]
    assert sum(page.ended.values()) > 40


def test_behind_every_bar_of_autonomy_is_its_share(page: Page) -> None:
    assert [trace["name"] for trace in page.autonomy] == OUTCOMES
    for trace in page.autonomy:
        assert any(height for _at, height, _link in points_of(trace))
        for at, height, link in points_of(trace):
            share = 100 * len(page.door.behind(link)) / page.finished(at)
            assert height == pytest.approx(share), (trace["name"], at)


def test_behind_every_part_of_a_bar_of_errors_are_as_many(page: Page) -> None:
    assert len(page.classes) == (4 if page.place == "w" else 0)
    told = page.table("error-classes") if page.classes else []
    for trace in page.classes:
        assert sum(trace["y"]) > 0
        for at, height, link in points_of(trace):
            assert height == said_count(page.door.page(link)), (trace["name"], at)
    for at, height in enumerate(map(sum, zip(*(trace["y"] for trace in page.classes), strict=True))):
        assert height == round(sum(len(page.door.behind(trace["customdata"][at])) for trace in page.errors))
        counts = [value for name, value in told[at].items() if name != "From" and "Error rate" not in name]
        assert height == sum(map(int, counts))
        assert len(counts) == len(page.classes)


def test_behind_every_point_of_escalation_is_its_share(page: Page) -> None:
    (rate,) = page.escalations
    told = {row["From"]: int(row["Went to people unplanned"]) for row in page.table("escalation-rate")}
    for at, height, link in points_of(rate):
        went = len(page.door.behind(link))
        assert height == pytest.approx(100 * went / page.finished(at), abs=1e-3), at
        assert went == told[rate["x"][at]]
    assert any(height for _at, height, _link in points_of(rate))


def test_behind_every_point_of_a_rate_is_its_share(page: Page) -> None:
    due = [int(row["Runs"]) for row in page.table("sla")]
    rate, breaches = page.sla
    for at, height, link in points_of(breaches):
        assert height == len(page.door.behind(link)), at
    assert sum(breaches["y"]) > 5
    for (trace,), of in ((page.errors, page.finished), ([rate], due.__getitem__)):
        assert any(height for _at, height, _link in points_of(trace))
        for at, height, link in points_of(trace):
            assert height == pytest.approx(100 * len(page.door.behind(link)) / of(at), abs=1e-3), (trace["name"], at)


def test_behind_every_point_of_a_time_are_runs_with_this_median(page: Page) -> None:
    (trace,) = page.cycle
    told, scales = page.table("cycle-time"), set[int]()
    for at, height, link in points_of(trace):
        took = median(row["cycle_time_s"] for row in page.door.behind(link))
        assert float(told[at]["Median (s)"]) == pytest.approx(took, abs=1e-3)
        scales.add(round(took / height / 60))
    assert len(scales) == 1


def test_behind_every_bar_of_costs_are_runs_that_cost_so_much(page: Page) -> None:
    seen = 0
    for at, *heights in zip(range(len(page.cost[0]["y"])), *(trace["y"] for trace in page.cost), strict=True):
        links = {trace["customdata"][at] for trace in page.cost}
        if None not in heights:
            paid = sum(row["cost_minor"] for link in links for row in page.door.behind(link)) / len(links)
            assert sum(heights) == pytest.approx(paid / 100 / page.ended[at, "Succeeded"], abs=2e-4)
            seen += 1
    assert seen > 3


def test_behind_every_number_of_a_table_is_as_many_as_it_says(executive: User) -> None:
    some_runs()
    door, followed = Door(executive), 0
    page = door.page(f"/dashboards/overview/?{PERIOD}&bucket=week")
    for link, kpi, text in re.findall(
        r'<td class="num[^"]*"><a [^>]*href="(/dashboards/\w+/(\w+)/[^"]*)">([^<]*)</a>', page
    ):
        if kpi in {"throughput", "failed", "cancelled", "helped", "backlog", "arrivals"}:
            assert int(text.replace(",", "")) == len(door.behind(link)), link
            followed += 1
    assert followed > 12


def test_behind_every_week_is_what_its_point_shows(executive: User) -> None:
    some_runs()
    door, followed = Door(executive), 0
    charts = charts_of(door.page(f"/dashboards/w/weeks/?{PERIOD}"))
    points = [point for chart in charts for trace in linked(chart) for point in points_of(trace)]
    for _at, height, link in points:
        if "cycle_time" not in link:
            whole = [door.behind(re.sub(r"/w/\w+/", f"/w/{kpi}/", link)) for kpi in ("throughput", "failed")]
            assert height == pytest.approx(100 * len(door.behind(link)) / sum(map(len, whole)), abs=1e-3)
            followed += 1
    assert followed > 6


def test_a_list_longer_than_is_counted_says_so(executive: User, monkeypatch: pytest.MonkeyPatch) -> None:
    some_runs()
    monkeypatch.setattr(import_module("apps.kpis.views.dashboards"), "MOST", 7)
    page = Door(executive).page(f"/dashboards/overview/throughput/?{PERIOD}")
    assert "<p>More than 7 in this list</p>" in page


def test_a_bucket_that_is_not_over_and_not_drawn_stretches_no_axis(executive: User) -> None:
    now = database_now()
    ended = [make_run(finished_at=now - timedelta(days=1 + at % 5)) for at in range(400)]
    young = [make_run(finished_at=now, state="failed" if at < 3 else "succeeded") for at in range(12)]
    write_facts(facts=Facts(runs=[*ended, *young]))
    chart = charts_of(Door(executive).page("/dashboards/overview/?range=7d&bucket=day"))[2]
    assert chart["layout"]["yaxis"]["range"][1] < 10, "of the day that runs 53 % might fail"
