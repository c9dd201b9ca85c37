"""Figures taken apart over the API: what the page and its files say, and each number is as many as its list has."""

import csv
import io
import re
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from apps.access.models import BusinessUnit
from apps.core.models import User
from apps.kpis.models import ActionFact, RunFact
from apps.kpis.rules.definitions import DEFINITIONS, LIVE, RELEASES, UPTIME, Kind
from apps.kpis.rules.facts import ESCALATING_KINDS, Facts
from apps.kpis.selectors.parts import MISMATCH, OVERDUE, UNNAMED
from apps.kpis.selectors.splits import BY_WORKFLOW
from apps.kpis.services import write_facts
from apps.kpis.services.rollups import recompute_rollups
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.kpis import NOON, make_cost, make_run, make_step, make_target
from tests.kpis.test_bars import Door
from tests.kpis.test_splits import PERIOD, WRONG, make_parts, table_of

pytestmark = pytest.mark.django_db
API = "/api/v1/kpis"
SPLIT = tuple(dict.fromkeys([*BY_WORKFLOW, "failed", "actions_alone"]))
IN_UTC = "from=2026-10-20&to=2026-11-20"
"""Whole days of the reporting zone: what rollups answer."""


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


@pytest.fixture
def door(executive: User) -> Door:
    make_parts(7)
    return Door(executive)


def asked(door: Door, kpi: str, query: str) -> dict[str, Any]:
    answer = door.api.get(f"{API}/{kpi}/splits/?{query}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def listed(door: Door, address: str) -> list[str]:
    """What a list has, page by page, each by what it is called."""
    rows: list[dict[str, Any]] = []
    following = f"{address}&limit=200"
    while following:
        answer = door.api.get(following)
        assert answer.status_code == 200, (following, answer.content)
        rows += answer.json()["results"]
        following = answer.json()["next"]
    return [row.get("action") or row["run"] for row in rows]


def refused(door: Door, address: str) -> dict[str, list[str]]:
    answer = door.api.get(address)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), (address, answer.content)
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


def of_page(door: Door, place: str, kpi: str, query: str) -> dict[str, list[list[Any]]]:
    """The raw cells of every table above the list of the page."""
    tables = door.browser.get(f"/dashboards/{place}/{kpi}/?{query}").context["splits"]
    return {table.slug: [[cell.raw for cell in row] for row in table.rows] for table in tables}


def of_file(door: Door, place: str, kpi: str, split: str, query: str) -> list[list[str]]:
    body = door.page(f"/dashboards/{place}/{kpi}/{split}.csv?{query}")
    rows = list(csv.reader(io.StringIO(body)))
    assert {row[0].partition(":")[0] for row in rows if row[0].startswith("#")} > {"# filter", "# zone", "# as of"}
    return [row for row in rows if not row[0].startswith("#")][1:]


def cells_of(split: dict[str, Any], kpi: str) -> list[list[Any]]:
    """The rows of the API as the page's table has them."""
    rows = split["rows"]
    match split["split"]:
        case "by-workflow":
            scale = 100 if kpi.endswith("_minor") else 1  # files have whole units
            figures = [row["figure"] for row in rows]
            wanted = [one.get("target") for one in figures]
            values = [None if one["value"] is None else one["value"] / scale for one in figures]
            return [
                [row["key"], value, target, one["n"]]
                for row, one, value, target in zip(rows, figures, values, wanted, strict=True)
            ]
        case "by-operation":
            return [[row["key"], row["figure"]["value"], row["count"], row["figure"]["n"]] for row in rows]
        case "by-error":
            return [[row["key"], row["count"], row["share"]] for row in rows]
        case "by-step":
            return [[row["key"], row["count"], row["running_share"]] for row in rows]
        case "by-hour":
            counts = {row["key"]: row["count"] for row in rows}
            return [[hour, *(counts.get(f"{day}-{hour:02}", 0) for day in range(1, 8))] for hour in range(24)]
    return [[row["key"], row["count"]] for row in rows]


def told_of(total: dict[str, Any], kpi: str) -> int:
    """How many the tile counts, by what it says of itself."""
    definition = DEFINITIONS[kpi]
    return int({Kind.SHARE: total.get("numerator"), Kind.COUNT: total["value"]}.get(definition.kind, total["n"]))


QUESTIONS = ("", "workflow=w", "unit=elsewhere", "version=1", "simulated=true")


@pytest.mark.parametrize("period", [PERIOD, IN_UTC])
@pytest.mark.parametrize("seed", [7, 8])
def test_tile_page_file_api_and_lists_agree(executive: User, seed: int, period: str) -> None:
    make_parts(seed)
    make_target(workflow="v", kpi="error_rate", value=0.2)
    door, seen = Door(executive), Counter[str]()
    for question in QUESTIONS:
        query = f"{period}&{question}"
        totals = door.api.get(f"{API}/?{query}").json()["totals"]
        place, limit = ("w", query.replace("&workflow=w", "")) if "workflow" in question else ("overview", query)
        for kpi in SPLIT:
            found, where = asked(door, kpi, query), (kpi, question)
            whole = listed(door, found["behind"])
            assert found["count"] == len(whole), where
            if kpi != "cost_per_success_minor":  # of which all runs that ended are behind
                assert found["count"] == told_of(totals[kpi], kpi), where
            pages = of_page(door, place, kpi, limit)
            assert list(pages) == [one["split"] for one in found["splits"]], where
            for split in found["splits"]:
                agree(door, kpi, split, whole, totals[kpi])
                cells = cells_of(split, kpi)
                assert pages[split["split"]] == [pytest.approx(row) for row in cells], where
                texts = of_file(door, place, kpi, split["split"], limit)
                wanted = [["" if cell is None else str(cell) for cell in row] for row in pages[split["split"]]]
                assert texts == wanted, where
                seen[split["split"]] += len(split["rows"])
    assert set(seen) == {"by-workflow", "by-error", "by-step", "by-reason", "by-hour", "by-operation"}
    assert min(seen.values()) > 5


def agree(door: Door, kpi: str, split: dict[str, Any], whole: list[str], total: dict[str, Any]) -> None:
    """Each row has as many as its list; together they are the figure, where the split says so."""
    lists = {row["key"]: listed(door, row["behind"]) for row in split["rows"]}
    for row in split["rows"]:
        assert row["count"] == len(lists[row["key"]]) == len(set(lists[row["key"]])), (kpi, row)
        assert set(lists[row["key"]]) <= set(whole), (kpi, row)
        assert parse_qs(urlsplit(row["behind"]).query)[split["part"]] == [row["key"]]
    together = [one for rows in lists.values() for one in rows]
    if split["adds_up"]:
        assert sorted(together) == sorted(whole), (kpi, split["split"])
        figures = [row["figure"] for row in split["rows"] if "figure" in row]
        assert not figures or sum(one["n"] for one in figures) == total["n"]
        if DEFINITIONS[kpi].kind == Kind.SHARE:
            assert sum(row["count"] for row in split["rows"]) == total["numerator"]
    if split["split"] == "by-reason":
        assert set(together) == set(whole)


def test_a_workflow_of_which_nothing_succeeded_is_a_part_of_what_a_success_cost(door: Door) -> None:
    runs = [make_run(workflow="vain", state="failed", error_class="timeout") for _ in range(3)]
    write_facts(facts=Facts(runs=runs, costs=[make_cost(run) for run in runs]))
    recompute_rollups(touched={("", NOON.date()), ("vain", NOON.date())})
    for period in (PERIOD, IN_UTC):
        found = asked(door, "cost_per_success_minor", period)
        total = door.api.get(f"{API}/?{period}").json()["totals"]["cost_per_success_minor"]
        (split,) = found["splits"]
        agree(door, "cost_per_success_minor", split, listed(door, found["behind"]), total)
        last = split["rows"][-1]
        assert (last["key"], last["count"], last["figure"]["value"]) == ("vain", 3, None)
        costs = [row["figure"]["numerator"] for row in split["rows"]]
        assert sum(costs) == pytest.approx(total["numerator"])
    table = table_of(door.page(f"/dashboards/overview/cost_per_success_minor/?{PERIOD}"), "by-workflow")
    assert re.search(r'<a href="/dashboards/vain/[^"]*">—</a>', table)


def plain_parts(facts: Facts, name: str) -> set[tuple[str, str]]:
    """The parts and their runs, by loops over what was written, with nothing of what answers."""
    state_of = {run.run_id: run.state for run in facts.runs}
    off = set(RunFact.objects.filter(mismatches__gt=0).values_list("run_id", flat=True))
    failed = {run for run, state in state_of.items() if state == "failed"}
    sent = [one for one in facts.decisions if one.kind in ESCALATING_KINDS]
    late = [one for one in facts.decisions if one.kind not in ESCALATING_KINDS and one.overdue]
    late_steps = [step for step in facts.steps if step.overdue]
    found: set[tuple[str, Any]] = set()
    match name:
        case "error":
            found = {(run.error_class or UNNAMED, run.run_id) for run in facts.runs if run.run_id in failed}
            found |= {(MISMATCH, run) for run in off - failed}
        case "step":
            found = {(one.name, one.run_id) for one in facts.steps if one.state == "failed" and one.run_id in failed}
        case "reason":
            found = {(one.rule or f"~{one.kind}", one.run_id) for one in sent}
            found |= {(OVERDUE, one.run_id) for one in (*late, *late_steps)}
        case "hour":
            clocks = [(one.requested_at.astimezone(ZoneInfo("Europe/Berlin")), one.run_id) for one in sent]
            found = {(f"{clock.isoweekday()}-{clock.hour:02}", run) for clock, run in clocks}
    return {(key, str(run)) for key, run in found}


def test_every_part_has_the_runs_that_a_plain_count_finds(executive: User) -> None:
    facts, door = make_parts(9), Door(executive)
    for kpi in ("error_rate", "escalation_rate"):
        for split in asked(door, kpi, PERIOD)["splits"][1:]:
            found = {(row["key"], one) for row in split["rows"] for one in listed(door, row["behind"])}
            assert found == plain_parts(facts, split["part"]), split["part"]
            assert len(found) > 5


def test_every_figure_can_be_asked_and_most_are_not_taken_apart(door: Door) -> None:
    for kpi in (*DEFINITIONS, *LIVE, *UPTIME, *RELEASES):
        found = asked(door, kpi, PERIOD)
        assert bool(found["splits"]) == (kpi in SPLIT), kpi
        assert found["count"] == len(door.api.get(f"{found['behind']}&limit=200").json()["results"]), kpi
    assert door.api.get(f"{API}/happiness/splits/").status_code == 404


def test_an_answer_says_what_it_is_about(door: Door) -> None:
    found = asked(door, "failed", f"{PERIOD}&workflow=w")
    assert found["formula"] == DEFINITIONS["failed"].formula
    assert (found["kpi"], found["tz"]) == ("failed", "Europe/Berlin")
    assert found["filter"]["workflow"] == "w"
    by_error, by_step = found["splits"]
    assert (by_error["part"], by_error["adds_up"]) == ("error", True)
    assert (by_step["part"], by_step["adds_up"]) == ("step", False)
    assert {row["key"]: row["name"] for row in by_error["rows"]}[UNNAMED] == "No class named"
    assert sum(row["share"] for row in by_error["rows"]) == pytest.approx(1)
    assert by_step["rows"][-1]["running_share"] == 1
    hours = asked(door, "escalation_rate", PERIOD)["splits"][-1]["rows"]
    assert [row["key"] for row in hours] == sorted(row["key"] for row in hours)
    assert hours[0]["name"].startswith("Mon ")


@pytest.mark.parametrize("query", WRONG)
def test_a_part_that_is_none_is_refused_by_its_name(door: Door, query: str) -> None:
    errors = refused(door, f"{API}/failed/runs/?{PERIOD}&{query}")
    assert set(errors) <= {part.partition("=")[0] for part in query.split("&")}


@pytest.mark.parametrize(
    ("kpi", "part", "allowed"),
    [
        ("failed", "reason=limits/odd", "error, step"),
        ("error_rate", "hour=1-09", "error, step"),
        ("escalation_rate", "error=timeout", "reason, hour"),
        ("actions_alone", "step=pay", "operation, capability"),
        ("accuracy", "error=timeout", "operation, capability"),
        ("throughput", "error=~mismatch", ""),
        ("spend_minor", "step=pay", ""),
        ("wip", "step=pay", ""),
        ("uptime_agents", "reason=~overdue", ""),
    ],
)
def test_a_part_that_the_figure_does_not_have_is_refused_with_those_it_has(
    door: Door, kpi: str, part: str, allowed: str
) -> None:
    ((name, (text,)),) = refused(door, f"{API}/{kpi}/runs/?{PERIOD}&{part}").items()
    assert name == part.partition("=")[0]
    assert text.endswith(f"It can be limited to: {allowed}." if allowed else "knows no such part.")
    assert refused(door, f"{API}/failed/runs/?{PERIOD}&operation=b.pay") == {
        "operation": ["Only figures of actions know the operation."]
    }


@pytest.mark.parametrize(
    ("kpi", "part", "there"),
    [
        ("failed", "error=timeuot", {"timeout", "refused", UNNAMED}),
        ("failed", "error=~overdue", {"timeout", "refused", UNNAMED}),
        ("error_rate", "step=pya", {"pay", "read"}),
        ("escalation_rate", "reason=limits/od", {"limits/odd", "limits/large", OVERDUE, "~action", "~question"}),
        ("escalation_rate", "reason=~approval", {"limits/odd", "limits/large", OVERDUE, "~action", "~question"}),
        ("actions_alone", "operation=b.pya", {"b.pay", "b.read"}),
    ],
)
def test_a_slip_of_the_pen_is_told_what_there_is(door: Door, kpi: str, part: str, there: set[str]) -> None:
    for address in (f"{API}/{kpi}/runs/?{PERIOD}&{part}", f"{API}/{kpi}/events/?{PERIOD}&{part}"):
        ((name, (text,)),) = refused(door, address).items()
        assert name == part.partition("=")[0]
        named = text.partition("In this question there are: ")[2].rstrip(".")
        assert set(named.split(", ")) == there


def test_what_is_there_and_did_not_happen_is_an_empty_list(door: Door) -> None:
    years_ago = "from=2020-01-01&to=2020-02-01"
    write_facts(facts=Facts(runs=[run := make_run(workflow="x")], steps=[make_step(run, name="never")]))
    for kpi, part in (
        ("failed", "error=timeout"),
        ("failed", "error=~mismatch"),
        ("failed", "step=never"),
        ("escalation_rate", "reason=limits/odd"),
        ("escalation_rate", "reason=~exception"),
        ("escalation_rate", "hour=7-23"),
        ("actions_alone", "operation=b.pay"),
    ):
        assert listed(door, f"{API}/{kpi}/runs/?{years_ago}&{part}") == []
    (row,) = (one for one in asked(door, "actions_alone", PERIOD)["splits"][0]["rows"] if one["key"] == "b.ask")
    assert (row["count"], row["figure"]["value"], listed(door, row["behind"])) == (0, 0, [])


def test_an_event_log_has_the_runs_of_the_part(door: Door) -> None:
    answer = door.api.get(f"{API}/failed/events/?{PERIOD}&step=pay")
    body = b"".join(answer).decode()  # type: ignore[call-overload]
    assert {row["case_id"] for row in csv.DictReader(io.StringIO(body))} == set(
        listed(door, f"{API}/failed/runs/?{PERIOD}&step=pay")
    )


def test_a_part_cannot_be_taken_apart_again(door: Door) -> None:
    assert refused(door, f"{API}/failed/splits/?{PERIOD}&error=timeout") == {"error": ["Unknown parameter."]}
    assert refused(door, f"{API}/?{PERIOD}&error=timeout") == {"error": ["Unknown parameter."]}
    errors = refused(door, f"{API}/failed/splits/?{PERIOD}&agent=a&agent_version=1")
    assert set(errors) == {"agent"} or set(errors) == {"agent_version"}


def test_an_agents_version_limits_actions_alone(door: Door) -> None:
    ActionFact.objects.filter(operation="b.pay").update(agent_version=2)
    query = f"{PERIOD}&agent=a&agent_version=2"
    (split,) = asked(door, "actions_alone", query)["splits"]
    assert [row["key"] for row in split["rows"]] == ["b.pay"]
    assert len(listed(door, split["rows"][0]["behind"])) == split["rows"][0]["count"]
    assert set(refused(door, f"{API}/failed/splits/?{query}")) == {"agent_version"}


def test_nobody_is_told_of_parts_in_units_of_others(door: Door) -> None:
    own = make_unit(slug="own")
    stranger = Door(make_holder("kpis.view_kpi", unit=own))
    for kpi in SPLIT:
        found = asked(stranger, kpi, PERIOD)
        assert (found["count"], found["splits"]) == (0, []), kpi
    address = f"{API}/failed/runs/?{PERIOD}&error="
    there, nowhere = refused(stranger, f"{address}timeout"), refused(stranger, f"{address}nothing")
    assert there == {"error": ["You see nothing of this name: timeout."]}
    assert nowhere == {"error": ["You see nothing of this name: nothing."]}
    near = Door(make_holder("kpis.view_kpi", unit=BusinessUnit.objects.get(slug="elsewhere")))
    mine = asked(near, "failed", PERIOD)
    assert 0 < mine["count"] < asked(door, "failed", PERIOD)["count"]
    assert sum(row["count"] for row in mine["splits"][0]["rows"]) == mine["count"]


def test_who_may_see_no_figures_is_refused() -> None:
    door = Door(make_user())
    for path in ("failed/splits/", "failed/runs/?error=timeout"):
        assert door.api.get(f"{API}/{path}").status_code == 403
