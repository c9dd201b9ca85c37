"""Pages: what an executive sees, what a stranger does not, and that page, CSV and API say the same."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import ActionFact, Baseline, Target
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.goals import LIVE
from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.history import history_of
from apps.kpis.rules.traits import sample_traits
from apps.kpis.selectors.drawings import OVERVIEW
from apps.kpis.services import write_facts
from apps.kpis.urls import pages
from apps.workflows.rules.schema import DASHBOARDS
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.kpis import NOON, make_baseline, make_cost, make_decision, make_run, make_target
from tests.factories.workflows import make_workflow

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-11-01&to=2026-12-01"
HOUR = timedelta(hours=1)


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def some_runs(n: int = 60) -> None:
    runs = [make_run(state="failed" if i % 20 == 0 else "succeeded", sla_ms=7_200_000) for i in range(n)]
    decisions = [make_decision(run) for run in runs[:10]]
    write_facts(facts=Facts(runs=runs, decisions=decisions, costs=[make_cost(run) for run in runs]))


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def seen_of(html: str) -> str:
    """Without what is there for listeners alone."""
    return re.sub(r'<(\w+) class="vh">.*?</\1>', "", html)


def test_a_figure_says_for_how_much_it_speaks_and_what_was_asked(executive: User) -> None:
    runs = [make_run(sla_ms=7_200_000 if i % 4 == 0 else None) for i in range(60)]
    write_facts(facts=Facts(runs=runs))
    client = signed_in(executive)
    page = text_of(client.get(f"/dashboards/w/?{PERIOD}").content.decode())
    assert "Coverage 15 of 60 (25.0%) finished runs have an SLA" in page
    assert "0 of 60 (0.0%) runs that succeeded were in a unit with a calendar" in page
    assert page.count("Filter 2026-11-01 to 2026-11-30, days of UTC, as of") == 7
    assert "Workflow: w" in page
    totals = client.get(f"/api/v1/kpis/?{PERIOD}").json()["totals"]
    assert totals["sla_adherence"]["coverage"] == {"counted": 15, "of": 60}
    assert "coverage" not in totals["error_rate"], "it counts every finished run"


def test_the_next_page_of_a_list_is_not_called_after_its_figure(executive: User) -> None:
    write_facts(facts=Facts(runs=[make_run() for _ in range(51)]))
    page = signed_in(executive).get(f"/dashboards/overview/throughput/?{PERIOD}").content.decode()
    assert re.search(r'rel="next">.*Load older</a>', page)


def test_no_workflow_hides_behind_the_name_of_another_page() -> None:
    routes = [str(one.pattern).split("/") for one in pages if str(one.pattern).startswith("dashboards/")]
    assert {name for _, name, *_rest in routes if name and "<" not in name} <= set(DASHBOARDS)
    assert OVERVIEW in DASHBOARDS


def test_the_address_of_all_dashboards_leads_to_the_overview(executive: User) -> None:
    answer = signed_in(executive).get("/dashboards/?range=7d")
    assert answer.status_code == 302
    assert answer["Location"] == "/dashboards/overview/?range=7d"


def test_the_overview_says_value_risk_and_attention_and_shows_seven_cards(executive: User) -> None:
    make_baseline(kpi="cost_per_success_minor", value=300, source="Estimate of May")
    make_baseline(kpi="error_rate", value=0.2)
    make_target(value=0.02)
    some_runs()
    html = signed_in(executive).get(f"/dashboards/overview/?{PERIOD}").content.decode()
    text = text_of(html)
    assert (
        "Agents finished 60 runs: 80.0% succeeded without a person, 15.0% with one, 5.0% failed. They saved 141.00 EUR "
        "against the baseline" in text
    )
    assert (
        "0 incidents ; 0 open now ; 0 denied attempts ; no call of a tool was reported; "
        "no action was judged, so no accuracy ." in text
    )
    assert "Nothing got clearly worse" in text
    assert html.count('class="card kpi"') == 7
    assert "15.0% succeeded with a person, 5.0% failed" in text
    assert "approvals that a workflow plans are not in it" in text
    assert "2026-11-01 to 2026-11-30, days of" in text
    assert html.index("In three sentences") < html.index('id="range"')
    assert "It rests on a baseline" not in text
    assert "was 20.0%" in text
    assert "5.0% ▼ −15.0 pp better was 20.0%" in text_of(seen_of(html))
    assert html.count('class="plot"') == 7
    assert html.count("application/json") == 7
    assert "Estimate of May" in text


def test_a_workflow_has_a_page_of_its_own(executive: User) -> None:
    some_runs()
    write_facts(facts=Facts(runs=[make_run(workflow="other") for _ in range(40)]))
    client = signed_in(executive)
    text = text_of(client.get(f"/dashboards/w/?{PERIOD}").content.decode())
    assert "Agents finished 60 runs" in text  # without the 40 of the other; no bare numbers, people's names have some
    assert client.get("/dashboards/nowhere/").status_code == 404


def test_few_runs_are_grey_and_compared_with_nothing(executive: User) -> None:
    make_baseline(kpi="error_rate", value=0.2)
    some_runs(12)
    text = text_of(signed_in(executive).get(f"/dashboards/overview/?{PERIOD}").content.decode())
    assert "Not enough data (12 of 30)" in text
    assert "was 20.0%" not in text


def test_an_empty_dashboard_says_so_and_shows_no_zero_rates(executive: User) -> None:
    text = text_of(signed_in(executive).get("/dashboards/overview/").content.decode())
    assert "No run finished in this period." in text
    assert "0.0%" not in text
    assert "No baseline yet" in text


def test_a_dash_says_what_there_was_none_of(executive: User) -> None:
    """Forty runs finished, none of which had an SLA: that none finished would be untrue."""
    write_facts(facts=Facts(runs=[make_run() for _ in range(40)]))
    client = signed_in(executive)
    page = text_of(client.get(f"/dashboards/overview/?{PERIOD}").content.decode())
    assert "No finished run has an SLA" in page
    assert "No decision was taken" in page
    assert "No finished runs" not in page
    totals = client.get(f"/api/v1/kpis/?{PERIOD}").json()["totals"]
    assert totals["sla_adherence"]["reason"] == "No finished run has an SLA"
    assert totals["accuracy_reviewed"]["reason"] == "No action was reviewed"
    assert all(bool(total.get("reason")) is (total["value"] is None) for total in totals.values())


def test_page_csv_and_api_say_the_same(executive: User) -> None:
    some_runs()
    client = signed_in(executive)
    query = f"{PERIOD}&simulated=false"
    token = create_token(executive, user=executive, days=1)
    answer = Client().get(f"/api/v1/kpis/?{query}", headers={"Authorization": f"Bearer {token}"}).json()
    raw = client.get(f"/dashboards/overview/kpis.csv?{query}").content.decode()
    rows = list(csv.reader(io.StringIO(raw)))
    table = [row for row in rows if not row[0].startswith("#")]
    total = dict(zip(table[0], table[1], strict=True))
    page = text_of(client.get(f"/dashboards/overview/?{query}").content.decode())
    for key in DEFINITIONS:
        value = answer["totals"][key]["value"]
        assert total[key] == ("" if value is None else str(value)), key
        told = {name: answer["totals"][key].get(name) for name in ("n", "low", "high")}
        beside = {name: total[f"{key}_{name}"] for name in told if f"{key}_{name}" in total}
        assert beside == {name: "" if told[name] is None else str(told[name]) for name in beside}, key
        assert len(table) - 2 == len(answer["series"])
    for at, point in enumerate(answer["series"]):
        found = dict(zip(table[0], table[at + 2], strict=True))
        assert found["throughput"] == str(point["throughput"])
    assert f"{answer['totals']['error_rate']['value']:.1%}" in page
    assert any("# as of" in row[0] for row in rows)
    assert {"error_rate_n", "error_rate_low", "error_rate_high", "cycle_time_p50_s_n"} <= total.keys()
    assert any(row[0].startswith("# coverage of sla_adherence: 60 of 60 ") for row in rows)


def test_each_chart_has_a_table_with_the_same_values_and_a_csv(executive: User) -> None:
    some_runs()
    client = signed_in(executive)
    html = client.get(f"/dashboards/overview/?{PERIOD}").content.decode()
    figures = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html)]
    assert all(trace["type"] in {"scatter", "bar"} for figure in figures for trace in figure["data"])
    assert all(len(trace["x"]) <= 400 for figure in figures for trace in figure["data"])
    for slug in ("cycle-time", "throughput", "error-rate", "sla", "cost", "escalation-rate", "autonomy"):
        answer = client.get(f"/dashboards/overview/{slug}.csv?{PERIOD}")
        assert answer["Content-Type"].startswith("text/csv")
        assert len([one for one in answer.content.decode().splitlines() if not one.startswith(("#", '"#'))]) == 31
    assert client.get(f"/dashboards/overview/nothing.csv?{PERIOD}").status_code == 404


def test_a_number_leads_to_the_runs_behind_it(executive: User) -> None:
    some_runs()
    client = signed_in(executive)
    html = client.get(f"/dashboards/overview/?{PERIOD}").content.decode()
    (url,) = re.findall(r'<p class="v"><a href="([^"]*/error_rate/[^"]*)"', html)
    page = client.get(url.replace("&amp;", "&")).content.decode()
    assert page.count("/runs/") == 3
    first = client.get(f"/dashboards/overview/throughput/?{PERIOD}").content.decode()
    (following,) = re.findall(r'href="([^"]*after=[^"]*)"', first)
    second = client.get(following.replace("&amp;", "&")).content.decode()
    seen = re.findall(r'href="/runs/([^"]*)/"', first + second)
    assert len(set(seen)) == len(seen) == 57


@pytest.mark.parametrize("kpi", sorted(DEFINITIONS))
def test_every_kpi_has_a_page_behind_it(executive: User, kpi: str) -> None:
    some_runs(3)
    assert signed_in(executive).get(f"/dashboards/overview/{kpi}/?{PERIOD}").status_code == 200


def test_invented_history_is_badged_and_can_be_left_out(executive: User, settings: Any) -> None:
    write_facts(facts=Facts(runs=[make_run() for _ in range(40)]), simulated=True)
    client = signed_in(executive)
    badge = "Includes simulated history"
    assert badge not in client.get(f"/dashboards/overview/?{PERIOD}").content.decode()
    settings.ACP_DEMO = True
    assert badge in client.get(f"/dashboards/overview/?{PERIOD}").content.decode()
    assert badge not in client.get(f"/dashboards/overview/?{PERIOD}&simulated=false").content.decode()


def test_who_holds_nothing_is_refused_and_a_unit_sees_its_own() -> None:
    mine, other = make_unit(), make_unit()
    write_facts(facts=Facts(runs=[make_run(unit_id=mine.id), make_run(unit_id=other.id, workflow="secret")]))
    stranger = signed_in(make_user())
    approver = signed_in(make_holder("oversight.decide_escalation"))
    for path in ("overview/", "w/", "overview/kpis.csv", "overview/throughput/"):
        assert stranger.get(f"/dashboards/{path}").status_code == 403, path
        assert approver.get(f"/dashboards/{path}").status_code == 403, path
        assert Client().get(f"/dashboards/{path}").status_code == 302, path
    holder = signed_in(make_holder("kpis.view_kpi", unit=mine))
    assert "secret" not in holder.get(f"/dashboards/overview/?{PERIOD}").content.decode().lower()
    assert holder.get(f"/dashboards/secret/?{PERIOD}").status_code == 404
    assert holder.get(f"/dashboards/overview/throughput/?{PERIOD}").content.decode().count("/runs/") == 1


def test_a_question_that_does_not_fit_is_refused_with_its_field(executive: User) -> None:
    answer = signed_in(executive).get("/dashboards/overview/?tz=Nowhere")
    assert answer.status_code == 422
    assert "tz" in answer.content.decode()


def test_a_quarter_takes_a_fixed_number_of_queries(executive: User) -> None:
    now = datetime.now(UTC)
    client = signed_in(executive)
    client.get("/dashboards/overview/?range=quarter&simulated=true")
    counts = []
    for traits in sample_traits(None, None):
        write_facts(
            facts=history_of(traits, seed=1, until=now - timedelta(hours=1), days=30, zone=reporting_zone()),
            simulated=True,
        )
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get("/dashboards/overview/?range=quarter&simulated=true").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 56, [query["sql"][:120] for query in queries.captured_queries]


def test_a_simulated_run_has_a_page_that_says_so(executive: User) -> None:
    unit = make_unit()
    traits = replace(sample_traits(unit.id, unit.id)[1], weekly=40.0)
    facts = history_of(traits, seed=1, until=datetime.now(UTC) - timedelta(hours=1), days=7, zone=reporting_zone())
    write_facts(facts=facts, simulated=True)
    run_id = facts.decisions[0].run_id
    html = signed_in(executive).get(f"/runs/{run_id}/").content.decode()
    assert "This run never ran" in html
    assert "Expense declaration" in html
    assert signed_in(make_user()).get(f"/runs/{run_id}/").status_code == 404
    elsewhere = make_holder("kpis.view_kpi", unit=make_unit())
    assert signed_in(elsewhere).get(f"/runs/{run_id}/").status_code == 404


def test_a_real_run_is_not_shown_by_its_facts_alone(executive: User) -> None:
    run = make_run()
    write_facts(facts=Facts(runs=[run]))
    assert signed_in(executive).get(f"/runs/{run.run_id}/").status_code == 404


BASELINE = {
    "baseline-workflow": "",
    "baseline-kpi": "cycle_time_p50_s",
    "baseline-value": "4.2 d",
    "baseline-valid_from": "2026-01-01",
    "baseline-source": "Estimate",
}


def test_an_admin_sets_and_removes_a_baseline_as_people_write_it() -> None:
    client = signed_in(make_admin())
    assert client.post("/dashboards/goals/baselines/", BASELINE).status_code == 302
    row = Baseline.objects.get()
    assert (row.value, row.source) == (362880, "Estimate")
    assert "4 d 5 h" in client.get("/dashboards/goals/").content.decode()
    assert client.post("/dashboards/goals/baselines/", {**BASELINE, "baseline-value": "3 d"}).status_code == 302
    assert Baseline.objects.get().value == 259200
    assert client.post(f"/dashboards/goals/baselines/{row.slug}/remove/").status_code == 302
    assert not Baseline.objects.filter(LIVE).exists()
    target = {"target-kpi": "error_rate", "target-value": "2 %"}
    assert client.post("/dashboards/goals/targets/", target).status_code == 302
    assert (float(Target.objects.get().value), Target.objects.get().tolerance) == (0.02, 0)
    assert client.post("/dashboards/goals/targets/", {**target, "target-tolerance": "0.5 %"}).status_code == 302
    assert float(Target.objects.get().tolerance) == 0.005
    assert "tolerance 0.5%" in client.get("/dashboards/goals/").content.decode()
    for wrong in ("some", "-1 %"):
        refused = client.post("/dashboards/goals/targets/", {**target, "target-tolerance": wrong})
        assert refused.status_code == 422
        assert 'href="#id_target-tolerance"' in refused.content.decode()
    assert float(Target.objects.get().tolerance) == 0.005


@pytest.mark.parametrize(
    "change",
    [
        {"baseline-value": "soon"},
        {"baseline-source": ""},
        {"baseline-kpi": "joy"},
        {"baseline-workflow": "x"},
        {"baseline-kpi": "sla_adherence", "baseline-value": "250 %"},
        {"baseline-kpi": "error_rate", "baseline-value": "-1 %"},
    ],
)
def test_a_baseline_that_does_not_fit_comes_back_with_its_words(change: dict[str, str]) -> None:
    answer = signed_in(make_admin()).post("/dashboards/goals/baselines/", {**BASELINE, **change})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert not Baseline.objects.exists()


def test_of_what_history_alone_tells_of_nothing_can_be_said() -> None:
    """The page offers no workflow that it would refuse."""
    known = make_workflow({"steps": {"a": {"agent": "lab.do"}}})
    write_facts(facts=Facts(runs=[make_run(workflow="of-history")]), simulated=True)
    client = signed_in(make_admin())
    assert "Of history" in client.get("/dashboards/overview/?simulated=true").content.decode()
    html = client.get("/dashboards/goals/").content.decode()
    assert f'<option value="{known.slug}">' in html
    assert "of-history" not in html


@pytest.mark.parametrize(
    ("kpi", "value", "says"),
    [
        ("error_rate", "3 percent", "is a share"),
        ("cycle_time_p50_s", "soon", "is a time"),
        ("cost_per_success_minor", "x", "is money"),
        ("throughput", "1 d", "is a number"),
    ],
)
def test_a_value_that_cannot_be_read_says_once_what_its_kpi_takes(kpi: str, value: str, says: str) -> None:
    change = {**BASELINE, "baseline-kpi": kpi, "baseline-value": value}
    html = signed_in(make_admin()).post("/dashboards/goals/baselines/", change).content.decode()
    (error,) = re.findall(r'<p class="error" id="id_baseline-value_error">([^<]*)</p>', html)
    assert says in error
    assert "Such as" not in error


def test_an_executive_reads_goals_and_sets_none(executive: User) -> None:
    make_baseline(workflow="")
    client = signed_in(executive)
    html = client.get("/dashboards/goals/").content.decode()
    assert "2 h" in html
    assert "Set a baseline" not in html
    assert "sets them on this page: ask an administrator" in html
    assert client.post("/dashboards/goals/baselines/", BASELINE).status_code == 403
    assert client.post(f"/dashboards/goals/baselines/{Baseline.objects.get().slug}/remove/").status_code == 403
    assert Baseline.objects.count() == 1
    assert signed_in(make_user()).get("/dashboards/goals/").status_code == 403


def test_the_list_behind_a_number_reads_no_more_rows_than_it_shows(executive: User) -> None:
    some_runs(80)
    client = signed_in(executive)
    with CaptureQueriesContext(connection) as queries:
        html = client.get(f"/dashboards/overview/throughput/?{PERIOD}").content.decode()
    assert html.count('<th scope="row">') == 50
    lists = [query["sql"] for query in queries.captured_queries if '"kpis_runfact"."error_class"' in query["sql"]]
    assert lists
    assert all(sql.endswith("LIMIT 51") for sql in lists)


def test_the_form_keeps_the_version_and_the_zone_of_the_page_and_takes_the_version_away(executive: User) -> None:
    write_facts(facts=Facts(runs=[make_run(version=n) for n in (1, 2, 2)]))
    client = signed_in(executive)
    for path in ("/dashboards/w/", "/dashboards/cost/", "/dashboards/oversight/"):
        page = client.get(f"{path}?{PERIOD}&version=2&tz=America/New_York").content.decode()
        form = page[page.index('class="filters"') :].partition("</form>")[0]
        assert '<option value="2" selected>v2</option>' in form
        assert '<option value="">All versions</option>' in form
        assert 'name="tz" value="America/New_York"' in form
    page = client.get(f"/dashboards/w/?{PERIOD}").content.decode()
    assert 'name="version"' not in page
    assert 'name="tz"' not in page


def test_oversight_says_and_keeps_all_that_it_is_limited_to(executive: User) -> None:
    unit = make_unit(name="Finance")
    write_facts(facts=Facts(runs=[make_run(version=2, unit_id=unit.pk)]))
    page = signed_in(executive).get(f"/dashboards/oversight/?{PERIOD}&workflow=w&version=2&unit={unit.slug}")
    html = page.content.decode()
    title = html.partition("<title>")[2].partition("</title>")[0]
    head = html[html.index('class="page-head"') :].partition("</header>")[0]
    for words in ("Workflow: W", "Unit: Finance", "Version: 2"):
        assert words in title
        assert words in head
    form = html[html.index('class="filters"') :].partition("</form>")[0]
    assert '<option value="w" selected>' in form


@pytest.mark.parametrize("place", ["overview", "w", "cost", "oversight", "agents"])
def test_the_form_keeps_a_bucket_that_was_asked_for_and_gives_it_up_where_it_is_too_small(
    executive: User, place: str
) -> None:
    write_facts(facts=Facts(runs=[make_run()]))
    client = signed_in(executive)
    hidden = 'type="hidden" name="bucket" value="'
    page = client.get(f"/dashboards/{place}/?{PERIOD}&bucket=week").content.decode()
    assert f'{hidden}week"' in page
    assert hidden not in client.get(f"/dashboards/{place}/?{PERIOD}").content.decode()
    longer = client.get(f"/dashboards/{place}/?range=12w&bucket=hour")
    assert longer.status_code == 200
    assert hidden not in longer.content.decode()
    assert client.get(f"/dashboards/{place}/?from=2020-01-01&to=2026-01-01&bucket=hour").status_code == 422


@pytest.mark.parametrize("path", ["overview/", "cost/", "oversight/", "agents/", "w/weeks/"])
def test_every_dashboard_says_as_of_when_it_is_in_which_zone_and_how_far_behind(executive: User, path: str) -> None:
    write_facts(facts=Facts(runs=[make_run()]))
    html = signed_in(executive).get(f"/dashboards/{path}?{PERIOD}&tz=America/New_York").content.decode()
    said = re.findall(r"As of 20[\d: -]{14} UTC · days of America/New_York · [^<]+ behind the ledger", html)
    assert len(said) == 1


def test_the_form_keeps_utc_where_the_reporting_zone_is_another(executive: User, settings: Any) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    page = signed_in(executive).get("/dashboards/overview/?tz=UTC").content.decode()
    assert 'name="tz" value="UTC"' in page


def test_a_list_says_its_period_by_the_clocks_of_its_zone_and_what_else_it_is_limited_to(executive: User) -> None:
    unit = make_unit(name="Finance")
    make_agent(slug="payer", name="Payer")
    write_facts(facts=Facts(runs=[make_run(unit_id=unit.pk, version=2)]))
    ActionFact.objects.create(action_id=uuid4(), agent="payer", operation="bank.pay", state="succeeded", ended_at=NOON)
    client = signed_in(executive)

    def head(path: str) -> str:
        page = client.get(path).content.decode()
        return text_of(page[page.index("<h1>") :].partition("</header>")[0])

    said = head(
        f"/dashboards/w/throughput/?{PERIOD}&tz=America/New_York&unit={unit.slug}&version=2&agent=payer&simulated=true"
    )
    assert "2026-11-01 to 2026-11-30, days of America/New_York, as of 20" in said
    assert "Unit: Finance · Agent: Payer · Version: 2 · includes simulated history" in said
    hour = head("/dashboards/w/throughput/?from=2026-11-10T13:00:00Z&to=2026-11-10T14:00:00Z&tz=America/New_York")
    assert "2026-11-10 08:00 to 2026-11-10 09:00 in America/New_York" in hour
    assert "simulated" not in hour
    assert "Now, as of 20" in head(f"/dashboards/w/wip/?{PERIOD}")
    actions = head(f"/dashboards/overview/accuracy/?{PERIOD}&agent=payer&agent_version=3&operation=bank.pay")
    assert "Agent: Payer v3 · Operation: bank.pay" in actions


@pytest.mark.parametrize("name", ["releases", "uptime", "kpis", "by-unit"])
def test_every_file_says_its_zone_and_as_of_when_it_is(executive: User, name: str) -> None:
    write_facts(facts=Facts(runs=[make_run(unit_id=make_unit().pk) for _ in range(2)]))
    lines = (
        signed_in(executive).get(f"/dashboards/w/{name}.csv?{PERIOD}&tz=America/New_York").content.decode().splitlines()
    )
    assert "# zone: America/New_York" in lines
    assert any(line.startswith("# as of: 20") for line in lines)
    assert any(line.startswith('"# filter: ' if "," in line else "# filter: ") for line in lines)


def test_more_figures_hold_the_slowest_runs_and_the_queue_before_their_start(executive: User) -> None:
    hours = [NOON - timedelta(hours=1 + n) for n in range(30)]
    runs = [make_run(started_at=at, created_at=at - timedelta(minutes=30)) for at in hours]
    write_facts(facts=Facts(runs=runs))
    page = signed_in(executive).get(f"/dashboards/overview/?{PERIOD}").content.decode()
    more = text_of(page[page.index('id="more-figures"') :].partition("</table>")[0])
    assert re.search(r"Cycle time, 95th percentile .*? type 7 1 d 5 h ", more)
    assert re.search(r"Lead time, median .*? included 16 h ", more)
    assert re.search(r"Lead time, 90th percentile .*? included 1 d 4 h ", more)


def test_more_figures_say_how_each_stands_to_its_target(executive: User) -> None:
    make_target(kpi="rework_rate", value=0.02, workflow="")
    make_target(kpi="failed", value=2, workflow="")
    some_runs()
    page = signed_in(executive).get(f"/dashboards/overview/?{PERIOD}").content.decode()
    more = page[page.index('id="more-figures"') :].partition("</table>")[0]
    told = {
        key: text_of(more[more.index(f">{key}<br>") :].partition("</tr>")[0]) for key in ("Rework rate", "Failed runs")
    }
    assert "Target 2.0% Cannot tell yet" in told["Rework rate"]
    assert "Target 2 a day, it is 0.1 a day Met" in told["Failed runs"]
    assert "Target" not in text_of(more[more.index(">Arrivals<br>") :].partition("</tr>")[0])


def test_goals_say_how_each_figure_stands_now(executive: User) -> None:
    now = database_now()
    failed = [make_run(state="failed", finished_at=now, started_at=now - HOUR) for _ in range(20)]
    good = [make_run(finished_at=now, started_at=now - HOUR) for _ in range(20)]
    young = [make_run(workflow="young", finished_at=now, started_at=now - HOUR) for _ in range(4)]
    write_facts(facts=Facts(runs=[*failed, *good, *young], costs=[make_cost(run) for run in good]))
    make_baseline(kpi="cost_per_success_minor", workflow="w", value=100)
    for workflow, kpi, value in (
        ("w", "error_rate", 0.1),
        ("", "business_time_p50_s", 60),
        ("young", "error_rate", 0.1),
        ("", "lead_time_p50_s", 7200),
        ("of-nobody", "error_rate", 0.1),
    ):
        make_target(kpi=kpi, workflow=workflow, value=value)
    door = signed_in(executive)
    page = door.get("/dashboards/goals/").content.decode()
    rows = {
        tuple(re.findall(r"<th scope=.row.>([^<]*)</th><td>([^<]*)</td>", row)[0]): text_of(row)
        for row in page.split("<tr>")
        if '<th scope="row">' in row
    }
    assert "Now 0.50 EUR" in rows["W", "Cost per workflow"]
    assert "Now 50.0% n 40 Missed" in rows["W", "Error rate"]
    assert "Now 0.0% n 4 Not enough data" in rows["Young", "Error rate"]
    assert "n 24 Not enough data" in rows["All workflows", "Lead time, median"]
    assert "Now — Not enough data" in rows["All workflows", "Business cycle time, median"]
    assert "Now —" in rows["of-nobody", "Error rate"]
    assert "Not enough" not in rows["of-nobody", "Error rate"]
    (link,) = re.findall(r'<a href="([^"]*)">50.0%</a>', page)
    assert door.get(link.replace("&amp;", "&")).content.decode().count('class="badge bad') >= 20
    assert f"{now:%Y-%m-%d}, days of UTC, as of" in page
