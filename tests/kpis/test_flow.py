"""Cumulative flow: the lines are the backlog apart, at every bucket, and every number leads to what it counts."""

import re
from datetime import timedelta
from typing import Any

import pytest

from apps.core.models import User
from apps.kpis.rules.buckets import BucketSize
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.flow import flow_for
from apps.kpis.services import write_facts
from tests.factories.access import make_holder
from tests.factories.kpis import NOON, make_run
from tests.kpis.test_bars import Door, some_runs
from tests.kpis.test_selectors import ask

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-10-28&to=2026-11-25"


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def some_flow() -> None:
    some_runs()
    early = [make_run(started_at=NOON - timedelta(days=30), finished_at=NOON - timedelta(days=n)) for n in range(5)]
    write_facts(facts=Facts(runs=[*early, make_run(started_at=NOON - timedelta(days=2), finished_at=None)]))


@pytest.mark.parametrize("size", [BucketSize.DAY, BucketSize.WEEK, BucketSize.MONTH])
@pytest.mark.parametrize("limit", [{}, {"workflow": "w"}, {"agent": "nobody"}], ids=str)
def test_the_lines_are_the_backlog_apart_and_add_up(executive: User, size: BucketSize, limit: dict[str, Any]) -> None:
    some_flow()
    answer = kpis_for(executive, ask(size=size, **limit))
    flow = flow_for(executive, answer)
    if "agent" in limit:
        assert flow is None
        return
    assert flow is not None
    raw = [[cell.raw for cell in row[1:]] for row in flow.table.rows]
    assert len(raw) == len(answer.series)
    arrived = ended = 0.0
    opened = answer.reader.open_at(answer.asked.period.start)
    for point, (started, good, bad, off, starts, ends, backlog) in zip(answer.series, raw, strict=True):
        assert (started, backlog) == (point.figures["arrivals"].value, point.figures["backlog"].value)
        arrived, ended = arrived + started, ended + good + bad + off
        assert (starts, ends) == (opened + arrived, ended)
        assert starts - ends == backlog
    assert opened >= 5
    assert backlog == answer.totals["backlog"].figure.value > 0


def test_a_workflows_page_draws_it_and_its_numbers_lead_to_as_many(executive: User) -> None:
    some_flow()
    door = Door(executive)
    page = door.page(f"/dashboards/w/?{PERIOD}&bucket=week")
    section = page[page.index('id="flow"') :]
    section = section[: section.index("</table>")]
    links = re.findall(r'<a href="(/dashboards/w/(?:arrivals|throughput|failed|backlog)/[^"]*)">([\d,]+)</a>', section)
    assert len(links) > 8
    assert all(len(door.behind(link)) == int(text) for link, text in links)
    assert 'id="cumulative-flow"' in page
    assert re.search(r"\d+ were open when the period began, \d+ started, \d+ ended: \d+ are open", page)
    assert 'id="cumulative-flow"' not in door.page(f"/dashboards/overview/?{PERIOD}")
    rows = [
        line for line in door.page(f"/dashboards/w/flow.csv?{PERIOD}&bucket=week").splitlines() if line[:5] == "2026-"
    ]
    assert len(rows) == 5
