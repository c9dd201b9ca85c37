"""Control charts on pages: whole weeks, baselines of their own, and the runs of each week."""

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.models import User
from apps.kpis.models.clock import database_now
from apps.kpis.rules.buckets import BucketSize, label_of
from apps.kpis.rules.facts import Facts, RunSeen
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors.weeks import control_charts_for
from apps.kpis.services import write_facts
from apps.kpis.views.dashboards import FILES_OF
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.kpis import make_run
from tests.kpis.test_versions import UTC_ZONE, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def week_of(ago: int, *, took_s: float = 3600, n: int = 6, failed: int = 0, **fields: Any) -> list[RunSeen]:
    """Runs that ended in the middle of the week so many weeks ago."""
    now = database_now()
    end = (now - timedelta(days=now.weekday()) - timedelta(weeks=ago)).replace(hour=12) + timedelta(days=2)
    start = end - timedelta(seconds=took_s)
    states = ["failed"] * failed + ["succeeded"] * n
    return [make_run(state=state, finished_at=end, started_at=start, **fields) for state in states]


def usual(weeks: int, *, last: int = 1, **fields: Any) -> list[RunSeen]:
    """So many weeks, the newest ``last`` weeks ago, whose medians go up and down by a tenth."""
    return [
        run
        for ago in range(last, last + weeks)
        for run in week_of(ago, took_s=3600 if ago % 2 else 3960, n=12, failed=1, **fields)
    ]


def charts(user: User) -> dict[str, Any]:
    asked = filter_of({"workflow": "w"}, now=database_now(), zone=UTC_ZONE)
    return {one.key: one for one in control_charts_for(user, asked)}


def page(user: User, **headers: str) -> str:
    client = Client()
    client.force_login(user)
    return client.get("/dashboards/w/weeks/", headers=headers).content.decode()


def label(ago: int) -> str:
    return label_of(week_of(ago)[0].started_at, BucketSize.WEEK, UTC_ZONE)


def test_a_week_out_of_line_is_worth_a_look_and_leads_to_its_runs(executive: User) -> None:
    write_facts(facts=Facts(runs=[*usual(26, last=2), *week_of(1, took_s=36_000), *week_of(0, took_s=90_000)]))
    found = charts(executive)["cycle_time_p50_s"]
    assert (found.looks, found.lines[0].word, found.lines[0].label) == (1, "Above what is usual", label(1))
    assert len(found.lines) == 27  # the week that is not over is none
    html = page(executive)
    assert f"the last {label(1)}, above what is usual" in text_of(html)
    assert "1 week worth a look" in text_of(html)
    client = Client()
    client.force_login(executive)
    runs = client.get(found.lines[0].href).content.decode()
    assert runs.count('href="/runs/') == 6


def test_the_file_holds_every_point_of_every_chart(executive: User) -> None:
    write_facts(facts=Facts(runs=[*usual(26, last=2), *week_of(1, took_s=36_000)]))
    client = Client()
    client.force_login(executive)
    text = client.get("/dashboards/w/weeks.csv?tz=UTC&simulated=true").content.decode()
    assert {"# zone: UTC", "# filter: workflow=w&simulated=true"} < set(text.splitlines())
    head, *rows = [row for row in csv.reader(io.StringIO(text)) if not row[0].startswith("#")]
    told = [dict(zip(head, row, strict=True)) for row in rows]
    found = charts(executive)
    assert len(told) == sum(len(one.lines) for one in found.values())
    first = next(row for row in told if row["KPI"] == "cycle_time_p50_s")
    assert (first["week"], first["value"], first["n"], first["look"]) == (label(1), "36000.0", "6", "above")
    assert float(first["middle"]) == found["cycle_time_p50_s"].centre
    assert client.get("/dashboards/overview/weeks.csv").status_code == 404


def test_every_file_of_a_dashboard_says_of_what_it_is(executive: User) -> None:
    write_facts(facts=Facts(runs=usual(26, last=2)))
    client = Client()
    client.force_login(executive)
    for name in FILES_OF:
        lines = client.get(f"/dashboards/w/{name}.csv?tz=UTC").content.decode().splitlines()
        said = {line.partition(":")[0].strip('"') for line in lines}
        assert {"# filter", "# zone", "# as of"} < said, name


def test_shares_have_limits_by_how_many_ran(executive: User) -> None:
    write_facts(facts=Facts(runs=[*usual(25, last=3), *week_of(2, n=3, failed=2), *week_of(1, n=90, failed=30)]))
    lines = charts(executive)["error_rate"].lines
    assert [line.word for line in lines[:2]] == ["Above what is usual", ""]
    assert charts(executive)["cycle_time_p50_s"].lines[1].limits == "—"  # three runs are no point


def test_a_new_version_has_a_baseline_of_its_own_once_it_is_whole(executive: User) -> None:
    faster = {"took_s": 1800, "version": 2}
    old = usual(26, last=25, version=1)
    write_facts(facts=Facts(runs=[*old, *(run for ago in range(24, 1, -1) for run in week_of(ago, **faster))]))
    found = charts(executive)["cycle_time_p50_s"]
    assert [line.event for line in found.lines if line.event] == ["v2"]
    assert found.looks > 10  # 22 whole weeks of it: still against the older
    write_facts(facts=Facts(runs=[*week_of(1, **faster), *week_of(25, **faster)]))
    assert charts(executive)["cycle_time_p50_s"].looks == 0


def test_too_few_weeks_say_so(executive: User) -> None:
    write_facts(facts=Facts(runs=usual(9)))
    assert charts(executive)["cycle_time_p50_s"].finding.startswith("9 of 24 weeks with at least 5 runs")


def test_before_a_week_is_over_there_is_no_chart(executive: User) -> None:
    write_facts(facts=Facts(runs=[make_run(finished_at=database_now(), started_at=database_now())]))
    assert "No week is over yet" in text_of(page(executive))


def test_the_dashboard_fetches_the_same_as_a_fragment(executive: User) -> None:
    write_facts(facts=Facts(runs=usual(3)))
    fragment, whole = page(executive, **{"HX-Request": "true"}), page(executive)
    assert "<html" not in fragment
    assert fragment.count('class="plot"') == 4
    assert re.sub(r"\s+", " ", fragment.strip()) in re.sub(r"\s+", " ", whole)
    client = Client()
    client.force_login(executive)
    assert 'hx-get="/dashboards/w/weeks/?' in client.get("/dashboards/w/").content.decode()
    assert "/weeks/" not in client.get("/dashboards/overview/").content.decode()


def test_nothing_to_see_for_strangers(executive: User) -> None:
    write_facts(facts=Facts(runs=usual(2, unit_id=make_unit().pk)))
    client = Client()
    client.force_login(make_user())
    assert client.get("/dashboards/w/weeks/").status_code == 403
    client.force_login(make_holder("kpis.view_kpi", unit=make_unit()))
    assert client.get("/dashboards/w/weeks/").status_code == 404
