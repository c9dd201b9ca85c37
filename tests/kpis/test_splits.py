"""Figures taken apart: every number of a split is as many as its list has, and nothing else asks for a part."""

import html
import re
from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.test import Client

from apps.core.models import User
from apps.kpis.models import ActionFact, RollupDay, RunFact
from apps.kpis.rules.definitions import DEFINITIONS, LIVE, RELEASES, UPTIME
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors import rows_told
from apps.kpis.services import write_facts
from apps.kpis.services.rollups import recompute_rollups
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import NOON, make_cost, make_decision, make_run, make_step
from tests.kpis.test_bars import Door, said_count

pytestmark = pytest.mark.django_db
LARGEST = ("cycle_time_p50_s", "error_rate", "sla_adherence", "cost_per_success_minor", "no_touch_rate")
WRONG = ("error=a%00b", "hour=8-01", "hour=1-24", "hour=1", "error=a&step=b", "step=" + "x" * 64, "reason=" + "x" * 200)
PERIOD = "from=2026-10-20&to=2026-11-20&tz=Europe/Berlin"


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def make_parts(seed: int, runs: int = 120) -> Facts:
    """Runs, steps, decisions and actions by chance, written as facts; some of the unit *elsewhere*, others of none.

    Of a run that failed some steps did not fail; of a few that succeeded a system shows something else.
    """
    random, facts, elsewhere = Random(seed), Facts(), make_unit(slug="elsewhere")
    for _run in range(runs):
        end = NOON - timedelta(minutes=random.randint(0, 15 * 1440))
        run = make_run(
            workflow=random.choice("vwx"),
            unit_id=random.choice([None, elsewhere.pk]),
            finished_at=end,
            started_at=end - timedelta(minutes=random.randint(3, 900)),
            state=(state := random.choice(["succeeded"] * 3 + ["failed"])),
            error_class=random.choice(["timeout", "refused", ""]) if state == "failed" else "",
            sla_ms=18_000_000,
        )
        facts.runs.append(run)
        facts.costs.append(make_cost(run))
        for _ in range(random.randint(0, 2)):
            facts.steps.append(
                make_step(
                    run,
                    name=random.choice(["read", "pay"]),
                    state=random.choice(["failed", "failed", "done"]) if state == "failed" else "done",
                    overdue=random.random() < 0.1,
                )
            )
        for _ in range(random.randint(0, 2)):
            facts.decisions.append(
                make_decision(
                    run,
                    kind=random.choice(["action", "question", "approval"]),
                    rule=random.choice(["", "limits/large", "limits/odd"]),
                    overdue=random.random() < 0.1,
                    decided_at=end - timedelta(hours=random.randint(0, 99)),
                )
            )
    facts.runs.append(mixed := make_run(state="failed", error_class="timeout"))
    facts.steps += [make_step(mixed, name="read"), make_step(mixed, name="pay", state="failed")]
    write_facts(facts=facts)
    for n in range(12):
        ActionFact.objects.create(
            action_id=uuid4(), agent="a", operation="b.pay" if n % 3 else "b.read", state="succeeded", ended_at=NOON,
            alone=n % 2 == 0, unit=random.choice([None, elsewhere.pk]),
        )  # fmt: skip
    ActionFact.objects.create(action_id=uuid4(), agent="a", operation="b.ask", state="succeeded", ended_at=NOON)
    off = [run.run_id for run in facts.runs if run.state == "succeeded"][:5]
    RunFact.objects.filter(run_id__in=off).update(mismatches=1)
    recompute_rollups(touched={("", NOON.date()), *RollupDay.objects.values_list("workflow", "day")})
    return facts


@pytest.fixture
def door(executive: User) -> Door:
    make_parts(7)
    return Door(executive)


def table_of(page: str, slug: str) -> str:
    found = page[page.index(f'id="{slug}"') :]
    return found[: found.index("</table>")]


def links_in(table: str) -> list[tuple[str, int]]:
    found = re.findall(r'<a href="([^"]*)">([\d,]+)</a>', table)
    return [(html.unescape(link), int(text.replace(",", ""))) for link, text in found]


@pytest.mark.parametrize(
    ("kpi", "split", "part"),
    [
        ("error_rate", "by-error", "error"),
        ("failed", "by-error", "error"),
        ("error_rate", "by-step", "step"),
        ("escalation_rate", "by-reason", "reason"),
        ("escalation_rate", "by-hour", "hour"),
        ("actions_alone", "by-operation", "operation"),
    ],
)
@pytest.mark.parametrize("place", ["overview", "w"])
def test_every_number_of_a_split_leads_to_as_many(door: Door, place: str, kpi: str, split: str, part: str) -> None:
    if place == "w" and kpi == "actions_alone":
        return  # these belong to no workflow
    page = door.page(f"/dashboards/{place}/{kpi}/?{PERIOD}")
    whole = said_count(page)
    links = links_in(table_of(page, split))
    assert len(links) > 1
    assert all(f"{part}=" in link for link, _n in links)
    for link, n in links:
        listed = door.page(link)
        assert said_count(listed) == n, link
        assert f'id="{split}"' not in listed
    counts = [n for _link, n in links]
    if part in {"error", "operation"}:
        assert sum(counts) == whole
    if part == "reason":
        assert max(counts) <= whole <= sum(counts)


@pytest.mark.parametrize("kpi", LARGEST)
def test_a_figure_stands_workflow_by_workflow_the_largest_first(door: Door, kpi: str) -> None:
    table = table_of(door.page(f"/dashboards/overview/{kpi}/?{PERIOD}"), "by-workflow")
    links = re.findall(r'<a href="(/dashboards/\w/[^"]*)">', table)
    assert sorted(link.split("/")[2] for link in links) == ["v", "w", "x"]
    for link in links:
        assert said_count(door.page(link)) > 0
    raw = door.page(f"/dashboards/overview/{kpi}/by-workflow.csv?{PERIOD}").splitlines()
    values = [float(line.split(",")[1]) for line in raw if line[:2] in {"v,", "w,", "x,"}]
    assert values == sorted(values, reverse=True)
    assert len(values) == 3
    assert ("<polyline" in table) == (kpi == "cycle_time_p50_s")
    assert "by-workflow" not in door.page(f"/dashboards/w/{kpi}/?{PERIOD}")


@pytest.mark.parametrize("query", WRONG)
def test_a_part_that_is_none_is_refused(door: Door, query: str) -> None:
    assert door.browser.get(f"/dashboards/overview/failed/?{PERIOD}&{query}").status_code == 422


def test_only_lists_know_parts(door: Door) -> None:
    for place in ("overview/", "overview/kpis.csv", "cost/", "oversight/", "agents/", "overview/spend_minor/"):
        assert door.browser.get(f"/dashboards/{place}?{PERIOD}&error=timeout").status_code == 422, place
    assert door.browser.get(f"/dashboards/overview/actions_alone/?{PERIOD}&step=pay").status_code == 422
    assert door.browser.get(f"/dashboards/overview/throughput/?{PERIOD}&step=pay").status_code == 422


def test_a_part_of_which_there_is_nothing_now_is_empty_and_one_that_never_was_is_refused(door: Door) -> None:
    years_ago = "from=2020-01-01&to=2020-02-01"
    assert "Nothing is behind this number" in door.page(f"/dashboards/overview/failed/?{years_ago}&error=timeout")
    answer = door.browser.get(f"/dashboards/overview/failed/?{PERIOD}&error=nobody_raised_this")
    assert answer.status_code == 422


def test_a_split_shows_nobody_what_is_not_theirs(door: Door) -> None:
    own = make_unit(name="Own")
    stranger = Door(make_holder("kpis.view_kpi", unit=own))
    page = stranger.page(f"/dashboards/overview/error_rate/?{PERIOD}")
    assert "timeout" not in page
    answer = stranger.browser.get(f"/dashboards/overview/error_rate/?{PERIOD}&error=timeout")
    assert answer.status_code == 422  # as for one that nobody raised
    assert said_count(stranger.page(f"/dashboards/overview/error_rate/?{PERIOD}&error=~unnamed")) == 0


def test_a_step_that_did_not_fail_in_a_run_that_did_counts_for_nothing(door: Door) -> None:
    mixed = RunFact.objects.get(finished_at=NOON, error_class="timeout", workflow="w", state="failed", unit=None)
    found = {
        step: str(mixed.run_id) in door.page(f"/dashboards/w/failed/?{PERIOD}&step={step}") for step in ("pay", "read")
    }
    assert found == {"pay": True, "read": False}


@pytest.mark.parametrize("kpi", [*DEFINITIONS, *LIVE, *UPTIME, *RELEASES])
def test_a_file_without_rows_has_its_columns_and_its_end(executive: User, kpi: str) -> None:
    client = Client()
    client.force_login(executive)
    answer = client.get(f"/dashboards/overview/{kpi}/rows.csv?{PERIOD}")
    *said, head, end = answer.getvalue().decode().splitlines()
    assert all(line.startswith(("#", '"#')) for line in said)
    assert head.startswith(("run,workflow,simulated,", "run,simulated,workflow,"))
    assert end == "# end: 0 rows"


def test_a_file_that_breaks_off_has_no_end(executive: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make_parts(3, runs=20)
    whole, told = rows_told.row_told, list[int]()

    def broken(row: Any) -> dict[str, Any]:
        told.append(1)
        if len(told) == 5:
            raise OperationalError
        return whole(row)

    monkeypatch.setattr(rows_told, "row_told", broken)
    lines, definition = [], DEFINITIONS["throughput"]
    asked = filter_of({"range": "12w"}, now=NOON, zone=ZoneInfo("UTC"))
    with pytest.raises(OperationalError):
        lines.extend(rows_told.rows_csv_for(executive, definition, asked))
    assert len(told) == 5
    assert not [line for line in lines if "# end" in str(line)]


def test_a_file_of_rows_ends_somewhere_and_says_so(executive: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make_parts(3, runs=20)
    client = Client()
    client.force_login(executive)
    where = f"/dashboards/overview/throughput/rows.csv?{PERIOD}"
    whole = client.get(where).getvalue().decode().splitlines()
    assert not [line for line in whole if "There are more" in line]
    monkeypatch.setattr(rows_told, "MOST", 3)
    cut = client.get(where).getvalue().decode().splitlines()
    assert whole[-1] == f"# end: {len([line for line in whole if line.lstrip('"')[0] != '#']) - 1} rows"
    assert cut[-2:] == ["# There are more: these are the first 3. Ask for a shorter period.", "# end: 3 rows"]
    assert cut[-6:-2] == whole[len(cut) - 6 : len(cut) - 2]
    assert client.get(f"/dashboards/overview/unheard_of/rows.csv?{PERIOD}").status_code == 404
    assert client.get(f"/dashboards/nowhere/throughput/rows.csv?{PERIOD}").status_code == 404
    stranger = Client()
    stranger.force_login(make_holder())
    assert stranger.get(where).status_code == 403
