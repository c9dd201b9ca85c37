"""Cost over the API: what the page and its files say, to the digit, and together the spend."""

from datetime import date
from typing import Any

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import make_cost, make_run
from tests.kpis.oracle import make_world
from tests.kpis.test_agreement import Asker
from tests.kpis.test_cost import AUTUMN, AUTUMN_PERIOD, DAYS, PERIOD, euros, file_of, moved, signed_in

pytestmark = pytest.mark.django_db
KINDS = {"human": "People's time", "llm": "Models", "connector": "Connectors", "agent": "Agents"}
NOVEMBER = dict(part.split("=") for part in PERIOD.split("&"))


def caller(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {create_token(user, user=user, days=1)}"})


def cost_of(client: Client, query: dict[str, str]) -> dict[str, Any]:
    answer = client.get("/api/v1/kpis/cost/", query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("limit", [{}, {"workflow": "a"}, {"unit": "above1"}, {"agent": "x"}, {"version": "2"}])
def test_page_files_and_api_agree_and_add_up_to_the_spend(settings: Any, limit: dict[str, str]) -> None:
    settings.ACP_REPORTING_TZ = "Europe/Berlin"
    assert date(2025, 10, 20) == AUTUMN
    make_world(AUTUMN, DAYS, seed=1, runs=90)
    executive = make_holder("kpis.view_kpi")
    asker, asked = Asker(executive), {**AUTUMN_PERIOD, **limit}
    spend = asker.answer(asked)["totals"]["spend_minor"]
    found = cost_of(asker.api, asked)
    assert found["spend"]["minor"] == pytest.approx(spend["value"], abs=1e-3)
    assert found["spend"]["minor"] > 1000
    assert found["spend"]["costs"] == spend["n"]
    for name, figure, key in (("workflows", "by-workflow", "Workflow"), ("agents", "by-agent", "Agent")):
        rows = file_of(asker.browser, figure, asked)
        assert [row[key] for row in rows] == [one[name[:-1]] for one in found[name]]
        for row, one in zip(rows, found[name], strict=True):
            assert euros(row["Spend"]) * 100 == pytest.approx(one["minor"] or 0, abs=1e-3)
            assert int(row["Without a price"]) == one["unpriced"]
            for kind, column in KINDS.items():
                told = one["kinds"].get(kind, {"minor": 0})["minor"]
                assert euros(row[column]) * 100 == pytest.approx(told or 0, abs=1e-3), (kind, one)
    models = file_of(asker.browser, "by-model", asked)
    assert [euros(row["Spend"]) * 100 for row in models] == pytest.approx(
        [one["minor"] or 0 for one in found["models"]]
    )
    assert [int(row["Tokens"]) for row in models] == [one["tokens"] for one in found["models"]]
    by_bucket = [euros(row["Spend"]) * 100 for row in file_of(asker.browser, "by-kind", asked)]
    assert by_bucket == pytest.approx([one["minor"] or 0 for one in found["series"]], abs=1e-3)
    for parts in ("workflows", "agents", "series"):
        assert sum(one["minor"] or 0 for one in found[parts]) == pytest.approx(spend["value"], abs=1e-2), parts
    page = asker.browser.get("/dashboards/cost/", asked).context["page"]
    assert page.unpriced == found["spend"]["unpriced"] == sum(one["costs"] for one in found["unpriced"])
    each = {one["workflow"]: one["cost_per_success_minor"] for one in found["workflows"]}
    for row in file_of(asker.browser, "by-workflow", asked):
        wanted = euros(row["Cost per run that succeeded"]) * 100 if row["Cost per run that succeeded"] else None
        assert each[row["Workflow"]] == pytest.approx(wanted)


def test_what_has_no_price_is_null_and_money_that_was_moved_stands_apart() -> None:
    run = make_run()
    unpriced = make_cost(run, model="unheard-of", amount_micro=0, priced_by="unpriced")
    write_facts(facts=Facts(runs=[run], costs=[unpriced]))
    moved()
    moved(currency="USD", amount_minor=700, state="compensated")
    found = cost_of(caller(make_holder("kpis.view_kpi")), NOVEMBER)
    assert found["spend"] == {
        "minor": None, "costs": 1, "unpriced": 1, "kinds": {"llm": {"minor": None, "costs": 1, "unpriced": 1}},
    }  # fmt: skip
    assert found["unpriced"] == [{"kind": "llm", "model": "unheard-of", "costs": 1}]
    assert [(one["currency"], one["minor"], one["minor_back"]) for one in found["moved"]] == [
        ("EUR", 1000, 0),
        ("USD", 0, 700),
    ]


def test_it_is_of_what_the_reader_sees_and_strangers_get_nothing() -> None:
    mine, other = make_unit(), make_unit()
    runs = [make_run(unit_id=mine.pk, workflow="w"), make_run(unit_id=other.pk, workflow="elsewhere")]
    write_facts(facts=Facts(runs=runs, costs=[make_cost(run, model=f"model-of-{run.workflow}") for run in runs]))
    near = caller(make_holder("kpis.view_kpi", unit=mine))
    assert [one["model"] for one in cost_of(near, NOVEMBER)["models"]] == ["model-of-w"]
    assert near.get("/api/v1/kpis/cost/", {**NOVEMBER, "workflow": "elsewhere"}).status_code == 422
    assert near.get("/api/v1/kpis/cost/", {"colour": "blue"}).status_code == 422
    assert caller(make_holder("audit.view_entry")).get("/api/v1/kpis/cost/").status_code == 403


def test_every_file_names_the_unit_of_its_columns_and_a_chart_has_one() -> None:
    run = make_run()
    write_facts(facts=Facts(runs=[run], costs=[make_cost(run, kind="human")]))
    client = signed_in(make_holder("kpis.view_kpi"))
    heads = {
        figure: heading(client, f"/dashboards/{place}/{figure}.csv")
        for place, figure in (("overview", "cost"), ("overview", "cycle-time"), ("cost", "cost"), ("cost", "by-kind"))
    }
    assert heads["cycle-time"][1].endswith(" (s)")
    for figure in ("cost", "by-kind"):
        assert all(name.endswith(" (EUR)") for name in heads[figure][1:6]), heads[figure]
    (row,) = [
        row
        for row in client.get(f"/dashboards/overview/cost.csv?{PERIOD}&bucket=month").content.decode().splitlines()
        if row.startswith("2026-11,")
    ]
    assert row.split(",")[1:4] == ["0.5", "1", "0.5"]  # the cost of one run, and people's part of it


def heading(client: Client, path: str) -> list[str]:
    lines = client.get(f"{path}?{PERIOD}").content.decode().splitlines()
    return next(line for line in lines if not line.startswith(("#", '"#', "'#"))).split(",")
