"""Errors of a workflow by class: four colours at most, and behind the last of them exactly what it stands for."""

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kpis.rules.facts import Facts
from apps.kpis.selectors.parts import key_beside, keys_beside
from apps.kpis.services import write_facts
from tests.factories.access import make_holder, make_unit
from tests.factories.kpis import NOON, make_run
from tests.kpis.test_bars import Door, charts_of, said_count

PERIOD = "from=2026-11-01&to=2026-12-01&bucket=month"
COUNTS = {"timeout": 5, "a|b, <i>c</i>": 4, "": 3, "refused": 2, "lost": 2, "late": 1}


def ended(counts: dict[str, int], **fields: Any) -> Facts:
    facts, made = Facts(), 0
    for name, n in counts.items():
        for _run in range(n):
            made += 1
            end = NOON - timedelta(hours=made)
            facts.runs.append(make_run(state="failed", error_class=name, finished_at=end, workflow="w", **fields))
    facts.runs.append(make_run(workflow="w", finished_at=NOON))
    return facts


def errors_on(page: str) -> dict[str, Any] | None:
    found = re.search(r'<figure class="card chart" id="error-classes">.*?</figure>', page, re.DOTALL)
    if found is None:
        return None
    chart = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', found[0])[0])
    words = re.findall(r'<p class="finding">(.*?)</p>', found[0])[0]
    return {"traces": chart["data"], "layout": chart["layout"], "says": html.unescape(words), "html": found[0]}


@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=3))
def test_the_key_of_all_others_says_what_it_leaves_out(names: list[str]) -> None:
    key = key_beside(names)
    assert keys_beside(key) == names
    assert key.isprintable()
    assert len(key) <= 3_000
    assert all(keys_beside(name) is None for name in ("timeout", "~mismatch", "~beside", "a|b"))


@pytest.mark.django_db
def test_more_classes_than_colours_share_the_last_one() -> None:
    write_facts(facts=ended(COUNTS))
    door = Door(make_holder("kpis.view_kpi"))
    shown = errors_on(door.page(f"/dashboards/w/?{PERIOD}"))
    assert shown is not None
    assert [(one["name"], sum(one["y"]), one["marker"]["color"]) for one in shown["traces"]] == [
        ("timeout", 5, "--series-1"),
        ("a|b, ‹i›c‹/i›", 4, "--series-2"),
        ("No class named", 3, "--series-3"),
        ("Others", 5, "--series-4"),
    ]
    assert shown["layout"]["barmode"] == "stack"
    assert shown["says"] == "Most frequent: timeout, 5 of 17 runs with an error (29.4%)."
    link = shown["traces"][3]["customdata"][0]
    page = door.page(link)
    assert said_count(page) == 5
    assert "Class of error: all but timeout, a|b, &lt;i&gt;c&lt;/i&gt;, No class named" in page
    table = re.findall(r'<td class="num[^"]*">(?:<a href="([^"]*)">)?([^<]*)', shown["html"])
    assert [text for _link, text in table[:4]] == ["5", "4", "3", "5"]
    assert html.unescape(table[3][0]) == link
    raw = door.page(f"/dashboards/w/error-classes.csv?{PERIOD}").splitlines()
    assert raw[-1].startswith("2026-11,5,4,3,5,0.944")


@pytest.mark.django_db
def test_four_classes_have_a_colour_each() -> None:
    write_facts(facts=ended({"timeout": 1, "": 3, "refused": 2, "lost": 2}))
    shown = errors_on(Door(make_holder("kpis.view_kpi")).page(f"/dashboards/w/?{PERIOD}"))
    assert shown is not None
    assert [one["name"] for one in shown["traces"]] == ["No class named", "lost", "refused", "timeout"]


@pytest.mark.django_db
def test_without_errors_and_beside_one_workflow_there_is_no_such_chart() -> None:
    write_facts(facts=ended({}))
    door = Door(make_holder("kpis.view_kpi"))
    assert errors_on(door.page(f"/dashboards/w/?{PERIOD}")) is None
    assert door.browser.get(f"/dashboards/w/error-classes.csv?{PERIOD}").status_code == 404
    write_facts(facts=ended({"timeout": 1}))
    assert errors_on(door.page(f"/dashboards/w/?{PERIOD}")) is not None
    assert errors_on(door.page(f"/dashboards/overview/?{PERIOD}")) is None
    assert len(charts_of(door.page(f"/dashboards/overview/?{PERIOD}"))) == 7


@pytest.mark.django_db
def test_errors_of_other_units_are_in_no_bar() -> None:
    own, other = make_unit(name="Own"), make_unit(name="Other")
    write_facts(facts=ended({"timeout": 2}, unit_id=own.pk))
    write_facts(facts=ended({"refused": 3}, unit_id=other.pk))
    shown = errors_on(Door(make_holder("kpis.view_kpi", unit=own)).page(f"/dashboards/w/?{PERIOD}"))
    assert shown is not None
    assert [(one["name"], sum(one["y"])) for one in shown["traces"]] == [("timeout", 2)]


@pytest.mark.django_db
def test_the_chart_is_on_paper_too() -> None:
    write_facts(facts=ended(COUNTS))
    answer = Door(make_holder("kpis.view_kpi")).browser.get(f"/dashboards/w.pdf?{PERIOD}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
