"""Figures by unit and by agent: they come to the whole, lead to what they count, and show nobody what is not theirs."""

import csv
import html
import io
import re
from typing import Any
from uuid import uuid4

import pytest

from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.by_unit import FIGURES, unit_table_for
from apps.kpis.selectors.drawings import cell_of
from apps.kpis.services import write_facts
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.kpis import NOON, make_cost, make_decision, make_run, make_step
from tests.kpis.test_bars import Door
from tests.kpis.test_selectors import ask
from tests.kpis.test_views import signed_in, text_of

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-11-01&to=2026-12-01"
ADDED = ("throughput", "failed", "cancelled", "spend_minor")


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def runs_in(unit: Any, n: int, agent: str = "", **fields: Any) -> None:
    runs = [make_run(unit_id=unit and unit.pk, **fields) for _ in range(n)]
    steps = [make_step(run, agent=agent) for run in runs] if agent else []
    write_facts(facts=Facts(runs=runs, steps=steps, costs=[make_cost(run, agent=agent) for run in runs]))


@pytest.mark.parametrize("limit", [{}, {"workflow": "w"}, {"agent": "x"}], ids=str)
def test_units_at_the_top_come_to_the_whole_and_hold_what_is_below_them(executive: User, limit: dict[str, Any]) -> None:
    above, other = make_unit(name="Above"), make_unit(name="Other")
    below = make_unit(name="Below", parent=above)
    for unit, n in ((above, 2), (below, 3), (other, 5), (None, 7)):
        runs_in(unit, n, "x", state="failed" if unit is below else "succeeded")
        runs_in(unit, n, workflow="v")
    table = unit_table_for(executive, answer := kpis_for(executive, ask(**limit)))
    assert table is not None
    named = {row[0].text.lstrip("› "): dict(zip(FIGURES, row[1:], strict=True)) for row in table.rows}
    assert list(named) == ["Above", "Below", "Other", "No unit"]
    for key in ADDED:
        whole = cell_of(answer.totals[key].figure).raw
        assert sum(named[top][key].raw for top in ("Above", "Other", "No unit")) == whole
        assert dict(zip(FIGURES, table.last[1:], strict=True))[key].raw == whole
    assert named["Above"]["failed"].raw == named["Below"]["failed"].raw == 3
    assert named["Above"]["error_rate"].raw == (3 / 10 if not limit else 3 / 5)


def test_a_units_numbers_and_its_name_lead_to_what_they_say(executive: User) -> None:
    above, other = make_unit(name="Above"), make_unit(name="Other")
    for unit, n in ((above, 2), (make_unit(name="Below", parent=above), 3), (other, 5)):
        runs_in(unit, n)
    door = Door(executive)
    page = door.page(f"/dashboards/overview/?{PERIOD}")
    section = page[page.index('id="by-unit"') : page.index("<tfoot>", page.index('id="by-unit"'))]
    links = re.findall(r'<a href="(/dashboards/overview/throughput/[^"]*)">(\d+)</a>', section)
    assert [int(text) for _link, text in links] == [5, 3, 5]
    assert all(len(door.behind(link)) == int(text) for link, text in links)
    (own,) = re.findall(r'<a href="(/dashboards/overview/\?[^"]*)">Other</a>', section)
    said = text_of(door.page(own))
    assert "Unit: Other" in said
    assert "Agents finished 5 runs" in said
    rows = list(csv.reader(io.StringIO(door.page(f"/dashboards/overview/by-unit.csv?{PERIOD}"))))
    assert any("EUR" in head for head in next(row for row in rows if row[0].startswith("Unit")))
    assert [row[:2] for row in rows if row[0] in {above.slug, other.slug}] == [[above.slug, "5"], [other.slug, "5"]]


def test_nobody_sees_a_unit_that_is_not_theirs() -> None:
    mine, hers = make_unit(name="Mine"), make_unit(name="Hers")
    below = make_unit(name="Under mine", parent=mine)
    for unit in (mine, below, hers):
        runs_in(unit, 4)
    viewer = make_holder("kpis.view_kpi", unit=mine)
    page = signed_in(viewer).get(f"/dashboards/overview/?{PERIOD}").content.decode()
    assert "Under mine" in page
    assert "Hers" not in page
    assert "Hers" not in signed_in(viewer).get(f"/dashboards/overview/by-unit.csv?{PERIOD}").content.decode()


def test_an_agents_dashboard_counts_what_it_took_part_in(executive: User) -> None:
    make_agent(slug="payer", name="Payer")
    runs_in(None, 40, "payer")
    runs_in(None, 9, "other")
    for n in range(35):
        verdict = {"reviewed": n > 6, "agent_version": 1 + n % 2, "state": "succeeded"}
        ActionFact.objects.create(
            action_id=uuid4(), agent="payer", operation="o.p", ended_at=NOON, workflow="w", **verdict
        )
    page = signed_in(executive).get(f"/dashboards/agents/payer/?{PERIOD}").content.decode()
    text = text_of(page)
    assert "<h1>Agent: Payer</h1>" in page
    assert "Agents finished 40 runs" in text
    assert page.count('class="card kpi"') == 9
    assert "80.0%" in text  # 28 of 35 were found right
    assert "20.00 EUR" in text
    assert "What the plane is not asked about is shown to whoever may see the agent." in text
    seer = signed_in(make_holder("kpis.view_kpi", "agents.view_agent"))
    assert "No call of a tool was seen of it" in text_of(
        seer.get(f"/dashboards/agents/payer/?{PERIOD}").content.decode()
    )
    assert 'id="by-version"' in page
    assert 'href="/agents/payer/"' not in page  # it is not theirs to see
    assert 'href="/dashboards/agents/payer/?' in page
    door = Door(executive)
    links = re.findall(r'<p class="v"><a href="(/dashboards/overview/throughput/[^"]*)">40</a>', page)
    assert len(door.behind(links[0])) == 40


def test_agents_stand_in_a_table_that_leads_to_each(executive: User) -> None:
    make_agent(slug="payer", name="Payer")
    runs_in(None, 4, "payer")
    run = make_run()
    write_facts(
        facts=Facts(runs=[run], decisions=[make_decision(run, agent="payer")], steps=[make_step(run, agent="b")])
    )
    door = Door(executive)
    page = door.page(f"/dashboards/agents/?{PERIOD}")
    assert re.findall(r'<a href="/dashboards/agents/(\w+)/\?[^"]*">([^<]*)</a>', page) == [
        ("payer", "Payer"),
        ("b", "b"),
    ]
    links = re.findall(r'<a href="(/dashboards/overview/throughput/[^"]*)">(\d+)</a>', page)
    assert [(len(door.behind(link)), int(text)) for link, text in links] == [(5, 5), (1, 1)]
    table = door.page(f"/dashboards/overview/by-agent.csv?{PERIOD}")
    assert [line.split(",")[:2] for line in table.splitlines() if line[:2] in {"pa", "b,"}] == [
        ["payer", "5"],
        ["b", "1"],
    ]


def test_an_agent_of_which_one_sees_nothing_is_not_there() -> None:
    make_agent(slug="payer", unit=make_unit(name="Hers"))
    viewer = make_holder("kpis.view_kpi", unit=make_unit(name="Mine"))
    client = signed_in(viewer)
    assert client.get("/dashboards/agents/payer/").status_code == 404
    assert client.get("/dashboards/agents/nobody/").status_code == 404
    assert "No agent took part in anything" in client.get("/dashboards/agents/").content.decode()


def test_the_form_offers_agents_and_the_page_says_which(executive: User) -> None:
    make_agent(slug="payer", name="Payer")
    runs_in(None, 3, "payer")
    page = signed_in(executive).get(f"/dashboards/overview/?{PERIOD}&agent=payer").content.decode()
    assert '<option value="payer" selected>Payer</option>' in page
    assert "Agent: Payer" in html.unescape(page[page.index("<title>") : page.index("</title>")])
    assert "agent=payer" in page[page.index("print-only") :][:400]


def test_few_values_are_grey_and_say_how_many_they_are_wherever_figures_stand_in_rows(executive: User) -> None:
    """One failed of four is 25.0%, and so it is of four hundred: the page must not let them look alike."""
    few, many = make_unit(name="Few"), make_unit(name="Many")
    for unit, n, slug in ((few, 1, "young"), (many, 10, "old")):
        runs_in(unit, 3 * n, slug, workflow=slug)
        runs_in(unit, n, slug, workflow=slug, state="failed")
    for n in range(4):
        ActionFact.objects.create(
            action_id=uuid4(), agent="young", agent_version=1, operation="o.p", ended_at=NOON, reviewed=n > 0
        )
    door = Door(executive)
    overview, agents = door.page(f"/dashboards/overview/?{PERIOD}"), door.page(f"/dashboards/agents/?{PERIOD}")
    for page, anchor in ((overview, "by-workflow"), (overview, "by-unit"), (agents, "by-agent")):
        table = page[page.index(f'id="{anchor}"') :]
        table = table[: table.index("</table>")]
        (grey,) = re.findall(r'<td class="num muted"><a class="muted" href="([^"]*)">25.0%</a><br>[^>]*>n 4<', table)
        assert len(door.behind(grey)) == 1
        assert re.findall(r'<td class="num"><a href="[^"]*">25.0%</a><br><span class="muted small">n 40<', table)
    own = door.page(f"/dashboards/agents/young/?{PERIOD}")
    assert re.search(r'class="num muted"><a class="muted" href="[^"]*">75.0%</a><br>[^>]*>n 4<', own)
    lines = door.page(f"/dashboards/overview/by-unit.csv?{PERIOD}").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [(row["Error rate (0..1)"], row["n: Error rate"]) for row in rows] == [
        ("0.25", "4"),
        ("0.25", "40"),
        ("0.25", "44"),
    ]


def test_workflows_and_versions_are_there_as_files_with_what_a_verdict_goes_by(executive: User) -> None:
    for version, n in ((1, 10), (2, 1)):
        runs_in(None, 3 * n, version=version)
        runs_in(None, n, version=version, state="failed")
    door = Door(executive)

    def file(path: str) -> list[dict[str, str]]:
        lines = door.page(f"{path}?{PERIOD}").splitlines()
        assert any(line.startswith("# zone: ") for line in lines)
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))

    (row,) = file("/dashboards/overview/by-workflow.csv")
    assert (row["Workflow"], row["Error rate (0..1)"], row["n: Error rate"]) == ("W", "0.25", "44")
    page = door.page(f"/dashboards/overview/?{PERIOD}")
    assert row["Verdict"] == "fix"
    assert row["Because"] in text_of(page)
    assert 'href="/dashboards/overview/by-workflow.csv?' in page
    told = [
        (one["Version"], one["Error rate (0..1)"], one["n: Error rate"]) for one in file("/dashboards/w/versions.csv")
    ]
    assert told == [("2", "0.25", "4"), ("1", "0.25", "40")]
    assert 'href="/dashboards/w/versions.csv?' in door.page(f"/dashboards/w/?{PERIOD}")
    client = signed_in(executive)
    assert client.get("/dashboards/w/by-workflow.csv").status_code == 404
    assert client.get("/dashboards/overview/versions.csv").status_code == 404


def test_few_runs_of_a_version_are_grey_and_lead_to_themselves(executive: User) -> None:
    for version, n in ((1, 10), (2, 1)):
        runs_in(None, 3 * n, version=version)
        runs_in(None, n, version=version, state="failed")
    door = Door(executive)
    page = door.page(f"/dashboards/w/?{PERIOD}")
    table = page[page.index('id="versions"') :]
    (grey,) = re.findall(r'<td class="num muted"><a class="muted" href="([^"]*)">25.0%</a><br>[^>]*>n 4<', table)
    assert len(door.behind(grey)) == 1
    (own,) = re.findall(r'<th scope="row"><a href="([^"]*)">v2</a>', table)
    assert "Version: 2" in text_of(door.page(own))


def test_a_card_of_few_runs_leads_to_them(executive: User) -> None:
    runs_in(None, 3)
    runs_in(None, 1, state="failed")
    door = Door(executive)
    page = door.page(f"/dashboards/overview/?{PERIOD}")
    (link,) = re.findall(r'<p class="v"><a class="muted" href="([^"]*/error_rate/[^"]*)">25.0%</a>', page)
    assert len(door.behind(link)) == 1


def test_few_values_of_a_bucket_are_grey_in_the_table_and_counted_in_the_file_of_a_chart(executive: User) -> None:
    runs_in(None, 3)
    runs_in(None, 1, state="failed")
    door = Door(executive)
    page = door.page(f"/dashboards/overview/?{PERIOD}&bucket=month")
    table = page[page.index('id="table-error-rate"') :].partition("</table>")[0]
    assert re.search(r'class="num muted"><a class="muted" href="[^"]*">25.0%</a><br>[^>]*>n 4<', table)
    lines = door.page(f"/dashboards/overview/error-rate.csv?{PERIOD}&bucket=month").splitlines()
    (row,) = csv.DictReader(line for line in lines if not line.strip('"').startswith("#"))
    assert (row["Error rate (0..1)"], row["n: Error rate"]) == ("0.25", "4")
