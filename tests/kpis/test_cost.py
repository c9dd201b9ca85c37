"""The page on cost: every number is the sum of the costs listed behind it, and what the other doors say."""

import csv
import html
import io
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget
from tests.factories.kpis import NOON, make_cost, make_run
from tests.kpis.oracle import make_world
from tests.kpis.test_agreement import Asker
from tests.policies.test_giving_back import spent

pytestmark = pytest.mark.django_db
AUTUMN, DAYS = date(2025, 10, 20), 12
AUTUMN_PERIOD = {"from": "2025-10-18", "to": "2025-11-05", "bucket": "day"}
PERIOD = "from=2026-11-01&to=2026-12-01"
FILES = ("by-kind", "by-workflow", "by-agent", "by-model", "without-a-price")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(client: Client, query: Any) -> str:
    answer = client.get(
        "/dashboards/cost/", query if isinstance(query, dict) else dict(p.split("=") for p in query.split("&"))
    )
    assert answer.status_code == 200
    return answer.content.decode()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def file_of(client: Client, figure: str, query: dict[str, str]) -> list[dict[str, str]]:
    raw = client.get(f"/dashboards/cost/{figure}.csv", query).content.decode()
    head, *rows = [row for row in csv.reader(io.StringIO(raw)) if not row[0].startswith("#")]
    money = [name for name in head if name.endswith(" (EUR)")]
    assert bool(money) == (figure in {"by-kind", "by-workflow", "by-agent", "by-model"} and bool(rows)), head
    return [dict(zip([name.removesuffix(" (EUR)") for name in head], row, strict=True)) for row in rows]


def euros(cell: str) -> float:
    return float(cell or 0)


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


@pytest.mark.parametrize("limit", [{}, {"workflow": "a"}, {"unit": "above1"}, {"agent": "x"}, {"version": "2"}])
def test_every_way_to_take_the_spend_apart_adds_up_to_the_figure(
    executive: User, settings: Any, limit: dict[str, str]
) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    make_world(AUTUMN, DAYS, seed=1, runs=90)
    asker, asked = Asker(executive), {**AUTUMN_PERIOD, **limit}
    answer = asker.answer(asked)
    spend = answer["totals"]["spend_minor"]
    assert spend["value"] > 1000
    for figure in FILES[:3]:
        rows = file_of(asker.browser, figure, asked)
        assert sum(euros(row["Spend"]) for row in rows) * 100 == pytest.approx(spend["value"], abs=1e-3), figure
        kinds = sum(euros(row[one]) for row in rows for one in ("People's time", "Models", "Connectors", "Agents"))
        assert kinds * 100 == pytest.approx(spend["value"], abs=1e-3), figure
    by_bucket = [point["spend_minor"] for point in answer["series"]]
    assert [euros(row["Spend"]) * 100 for row in file_of(asker.browser, "by-kind", asked)] == pytest.approx(by_bucket)
    unpriced = [sum(int(row["Without a price"]) for row in file_of(asker.browser, one, asked)) for one in FILES[:3]]
    named = sum(int(row["Costs"]) for row in file_of(asker.browser, "without-a-price", asked))
    assert set(unpriced) == {named}
    assert named == asker.browser.get("/dashboards/overview/", asked).context["page"].unpriced


def test_a_workflows_row_says_what_its_own_dashboard_says(executive: User, settings: Any) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    make_world(AUTUMN, DAYS, seed=2, runs=90)
    asker = Asker(executive)
    rows = {row["Workflow"]: row for row in file_of(asker.browser, "by-workflow", AUTUMN_PERIOD)}
    assert set(rows) == {"a", "b"}
    for slug, row in rows.items():
        totals = asker.answer({**AUTUMN_PERIOD, "workflow": slug})["totals"]
        assert euros(row["Spend"]) * 100 == pytest.approx(totals["spend_minor"]["value"])
        each = totals["cost_per_success_minor"]
        assert euros(row["Cost per run that succeeded"]) * 100 == pytest.approx(each["value"])
        assert int(row["Runs that succeeded"]) == each["denominator"] == totals["throughput"]["value"]


def test_the_cost_of_a_run_stands_beside_that_of_a_success(executive: User) -> None:
    """Thirty runs succeeded, ten failed and one was cancelled at 0.50 each: successes pay for all of them."""
    states = [*["succeeded"] * 30, *["failed"] * 10, "cancelled"]
    runs = [make_run(state=state) for state in states]
    write_facts(facts=Facts(runs=runs, costs=[make_cost(run) for run in runs]))
    page = signed_in(executive).get(f"/dashboards/cost/?{PERIOD}")
    cards = {card.key: (card.text, card.n) for card in page.context["page"].cards}
    assert cards["cost_per_success_minor"] == ("0.68 EUR", "30")
    assert cards["cost_per_finished_minor"] == ("0.51 EUR", "40")


def test_behind_every_number_lies_a_list_that_adds_up_to_it(executive: User, settings: Any) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    make_world(AUTUMN, DAYS, seed=1, runs=60)
    client = signed_in(executive)
    page = page_of(client, {**AUTUMN_PERIOD, "bucket": "week"})
    linked = re.findall(r'<td class="num"><a href="(/dashboards/cost/behind/costs/[^"]+)">([^<]+)</a>', page)
    assert len(linked) > 40
    for href, shown in linked:
        listed = client.get(html.unescape(href))
        assert listed.status_code == 200
        said = text_of(listed.content.decode())
        is_sum = "EUR" in shown
        assert f"together {shown}." in said if is_sum else re.search(rf"\b{shown} costs? in this list", said), href
        if not is_sum:
            assert re.search(rf"{shown} of them ha(s|ve) no price", said)


def test_what_has_no_price_is_counted_and_named_and_no_zero(executive: User) -> None:
    run = make_run()
    unpriced = {"amount_micro": 0, "priced_by": "unpriced"}
    write_facts(
        facts=Facts(
            runs=[run],
            costs=[
                make_cost(run, model="large"),
                *(make_cost(run, model="unheard-of", agent="x", **unpriced) for _ in range(2)),
                make_cost(run, kind="human", **unpriced),
            ],
        )
    )
    client = signed_in(executive)
    page = text_of(page_of(client, PERIOD))
    assert "3 costs of this period have no price and are in no sum" in page
    assert "Models: unheard-of 2 " in page
    assert "People's time 1 In another currency than EUR" in page
    assert "unheard-of — 2 0 2" not in page
    period = {"from": "2026-11-01", "to": "2026-12-01"}
    models = {row["Model"]: row for row in file_of(client, "by-model", period)}
    assert (models["unheard-of"]["Spend"], models["unheard-of"]["Without a price"]) == ("", "2")
    assert (models["large"]["Spend"], models["large"]["Without a price"]) == ("0.5", "0")
    (people,) = list(file_of(client, "by-workflow", period))
    assert (people["People's time"], people["Models"], people["Connectors"]) == ("", "0.5", "0")
    (drawn, _each) = client.get("/dashboards/cost/", period).context["page"].drawings
    bars = {trace["name"]: trace["y"] for trace in drawn.chart["data"]}
    assert set(bars) == {"People's time", "Models"}
    assert None in bars["People's time"]
    assert sum(bars["Models"]) == 0.5


def moved(**fields: Any) -> ActionFact:
    agent = fields.pop("agent", "x")
    return ActionFact.objects.create(
        **{
            "action_id": make_cost().source_id, "agent": agent, "operation": "o.p", "state": "succeeded",
            "ended_at": NOON, "amount_minor": 1000, "currency": "EUR", "workflow": "w", **fields,
        }
    )  # fmt: skip


def test_money_that_actions_moved_stands_apart_by_currency(executive: User) -> None:
    for fields in (
        {}, {"amount_minor": 250}, {"state": "compensated"}, {"state": "failed"}, {"state": "denied"},
        {"amount_minor": None}, {"currency": "USD", "amount_minor": 700}, {"ended_at": NOON - timedelta(days=90)},
        {"simulated": True},
    ):  # fmt: skip
        moved(**fields)
    client = signed_in(executive)
    page = page_of(client, PERIOD)
    said = text_of(page)
    assert "EUR 12.50 EUR 2 10.00 EUR 1 USD 7.00 USD 1 0.00 USD 0" in said
    assert "19.50" not in said
    assert "No cost in this period" in said
    assert "/dashboards/cost/moved.csv?" in page
    rows = file_of(client, "moved", dict(one.split("=") for one in PERIOD.split("&")))
    assert [list(row.values()) for row in rows] == [["EUR", "12.5", "2", "10.0", "1"], ["USD", "7.0", "1", "0.0", "0"]]
    links = re.findall(r'href="(/dashboards/cost/behind/money/[^"]+)"', page)
    listed = [text_of(client.get(html.unescape(one)).content.decode()) for one in links]
    assert "3 actions in this list. Done: 12.50 EUR; done and taken back: 10.00 EUR." in listed[0]
    assert "1 action in this list. Done: 7.00 USD; done and taken back: 0.00 USD." in listed[1]


def test_budgets_stand_with_what_is_used_and_only_those_that_may_be_seen() -> None:
    mine, other = make_unit(), make_unit()
    seen, hidden = (
        make_budget(make_agent(unit=unit), cap=5000, name=name) for unit, name in ((mine, "Mine"), (other, "Theirs"))
    )
    calls = make_budget(make_agent(unit=mine), cap=7, name="Often", measure="calls", currency="")
    client = signed_in(make_holder("kpis.view_kpi", "policies.view_policy", unit=mine))
    page = text_of(page_of(client, PERIOD))
    assert f"Mine Agent {seen.target}" in page
    assert "0.00 EUR 0.00 EUR 50.00 EUR a day" in page
    assert f"Often Agent {calls.target}" in page
    assert "0 calls 0 calls 7 calls a day" in page
    assert "Theirs" not in page
    assert hidden.target not in page
    told = {row["budget"]: row for row in file_of(client, "budgets", dict(one.split("=") for one in PERIOD.split("&")))}
    assert set(told) == {seen.slug, calls.slug}
    assert [told[seen.slug][name] for name in ("of", "spent", "at most", "unit", "a")] == [
        seen.target, "0.0", "50.0", "EUR", "day"
    ]  # fmt: skip
    assert [told[calls.slug][name] for name in ("spent", "at most", "unit")] == ["0", "7", "calls"]
    limited = text_of(page_of(client, f"{PERIOD}&unit={mine.slug}"))
    assert "Mine Agent" in limited
    reader = signed_in(make_holder("kpis.view_kpi", unit=mine))
    assert reader.get(f"/dashboards/cost/budgets.csv?{PERIOD}").status_code == 404
    no_reader = text_of(page_of(reader, PERIOD))
    assert "Budgets now" not in no_reader
    assert "Mine Agent" not in no_reader


def test_a_budget_says_what_is_spent_and_what_is_reserved() -> None:
    desk, budget, _action = spent()
    held = desk.ask(25_000, execution="agent").json()
    assert held["state"] == "approved"
    client = signed_in(make_admin())
    assert "600.00 EUR 250.00 EUR 1,000.00 EUR a day" in text_of(page_of(client, PERIOD))
    (told,) = file_of(client, "budgets", dict(one.split("=") for one in PERIOD.split("&")))
    assert [told[name] for name in ("budget", "spent", "reserved", "at most")] == [
        budget.slug, "600.0", "250.0", "1000.0"
    ]  # fmt: skip


def test_nobody_counts_what_belongs_to_another_unit(settings: Any) -> None:
    mine, other = make_unit(), make_unit()
    runs = [make_run(unit_id=mine.pk, workflow="w"), make_run(unit_id=other.pk, workflow="elsewhere")]
    write_facts(facts=Facts(runs=runs, costs=[make_cost(run, model=f"model-of-{run.workflow}") for run in runs]))
    moved(unit=other.pk, currency="USD", workflow="elsewhere")
    client = signed_in(make_holder("kpis.view_kpi", unit=mine))
    page = page_of(client, PERIOD)
    assert "model-of-w" in page
    assert "elsewhere" not in page
    assert "USD" not in page
    listed = text_of(client.get(f"/dashboards/cost/behind/costs/?{PERIOD}&of_workflow=elsewhere").content.decode())
    assert "Nothing is behind this number" in listed
    assert "model-of" not in listed
    money = text_of(client.get(f"/dashboards/cost/behind/money/?{PERIOD}").content.decode())
    assert "Nothing is behind this number" in money
    assert client.get(f"/dashboards/cost/?{PERIOD}&workflow=elsewhere").status_code == 422
    assert "elsewhere" not in client.get(f"/dashboards/cost/by-workflow.csv?{PERIOD}").content.decode()


def test_strangers_see_nothing_and_odd_addresses_are_refused(executive: User) -> None:
    stranger = signed_in(make_holder("audit.view_entry"))
    for path in ("", "by-kind.csv", "behind/costs/", "behind/money/"):
        assert stranger.get(f"/dashboards/cost/{path}").status_code == 403, path
    client = signed_in(executive)
    assert client.get("/dashboards/cost/nothing.csv").status_code == 404
    assert client.get("/dashboards/cost/behind/nothing/").status_code == 404
    assert client.get("/dashboards/cost/behind/costs/?of_kind=gold").status_code == 422
    assert client.get("/dashboards/cost/?from=2026-12-01&to=2026-11-01").status_code == 422


def test_it_is_reached_from_every_dashboard_and_says_what_is_next_where_nothing_cost_anything(executive: User) -> None:
    client = signed_in(executive)
    assert re.search(r'<a class="chip" href="/dashboards/cost/\?', client.get("/dashboards/overview/").content.decode())
    page = page_of(client, PERIOD)
    assert "No cost in this period" in page
    assert 'href="/dashboards/prices/"' in page


def test_what_is_spent_a_day_is_money_too(executive: User) -> None:
    write_facts(facts=Facts(costs=[make_cost(amount_micro=90_000_000)]))
    page = text_of(page_of(signed_in(executive), "from=2026-11-01&to=2026-12-01"))
    (card,) = [
        one
        for one in signed_in(executive).get(f"/dashboards/cost/?{PERIOD}").context["page"].cards
        if one.key == "spend_minor"
    ]
    assert card.note.endswith(" EUR a day")
    assert f"90.00 EUR {card.note}" in page


def test_a_long_table_says_how_much_of_it_is_shown(executive: User) -> None:
    write_facts(facts=Facts(costs=[make_cost(model=f"m{number:02}") for number in range(60)]))
    client = signed_in(executive)
    page = page_of(client, PERIOD)
    assert "The first 50 of 60; the file has all." in text_of(page)
    assert len(file_of(client, "by-model", {"from": "2026-11-01", "to": "2026-12-01"})) == 60
