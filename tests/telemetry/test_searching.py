"""Searching in spans: what is found in which words, within which bounds, and what is found by nobody."""

from typing import Any
from urllib.parse import urlencode

import pytest

from apps.agents.models import Agent
from apps.telemetry.models import Span
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.telemetry import body_of, rejected, send, span
from tests.oversight.test_api import caller
from tests.telemetry.test_looking import VIEW, listed, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> Agent:
    return make_agent()


def told_of(worker: Agent, number: int, name: str, attributes: dict[str, Any]) -> None:
    assert rejected(send(worker, body_of(span(number, attributes, name=name)))) == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("looks UP", ["1"]),
        ("bank_pay", ["2"]),
        ("large-2", ["3"]),
        ("Zürich", ["1"]),
        ("claim.place", ["1"]),
        ("100%", ["2"]),
        ("10_%", []),
        ("secret words", []),
        ("nowhere", []),
    ],
)
def test_text_is_found_in_name_tool_model_and_attributes_alone(worker: Agent, text: str, found: list[str]) -> None:
    pays = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "bank_pay", "of": "100%"}
    told_of(worker, 1, "looks up a claim", {"claim.place": "Zürich"})
    told_of(worker, 2, "pays", pays)
    told_of(worker, 3, "thinks", {"gen_ai.response.model": "large-2", "gen_ai.input.messages": "secret words"})
    viewer, query = make_holder(VIEW), urlencode({"text": text})
    assert listed(viewer, query) == found
    html = signed_in(viewer).get(f"/spans/?{query}").content.decode()
    names = {"1": "looks up a claim", "2": "pays", "3": "thinks"}
    assert [number for number, name in names.items() if f">{name}</a>" in html] == found
    assert "newest 20,000 spans" in html


def test_a_search_is_bounded_and_within_the_other_filters(worker: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        told_of(worker, number, f"look {number}", {})
    viewer = make_holder(VIEW)
    assert listed(viewer, "text=look") == ["1", "2", "3", "4", "5"]
    assert listed(viewer, "text=look&agent=another") == []
    assert listed(viewer, f"text=look+3&agent={worker.slug}") == ["3"]
    monkeypatch.setattr("apps.telemetry.selectors.spans.MOST_SEARCHED", 2)
    assert listed(viewer, "text=look") == ["4", "5"], "the newest two alone are looked at"
    assert listed(viewer, "text=look+1") == []


def test_a_version_is_looked_for_as_far_as_a_text_is(worker: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        told_of(worker, number, f"look {number}", {"gen_ai.agent.version": "v7" if number % 2 else "1.4.2"})
    viewer = make_holder(VIEW)
    assert listed(viewer, "version=7") == ["1", "3", "5"]
    assert listed(viewer, "version=7&text=look+3") == ["3"]
    assert "newest 20,000 spans" in signed_in(viewer).get("/spans/?version=7").content.decode()
    monkeypatch.setattr("apps.telemetry.selectors.spans.MOST_SEARCHED", 3)
    assert listed(viewer, "version=7") == ["3", "5"], "the newest three alone are looked at"
    assert listed(viewer, "version=1.4.2") == ["4"]
    assert listed(viewer, "version=7&agent=another") == []


def test_what_belongs_to_another_unit_is_found_by_nobody_of_this_one(worker: Agent) -> None:
    told_of(worker, 1, "look", {"place": "Bern"})
    assert listed(make_holder(VIEW, unit=make_unit()), "text=Bern") == []
    assert listed(make_holder(VIEW, unit=worker.unit), "text=Bern") == ["1"]


def test_a_text_that_is_too_long_is_refused_and_cut_on_the_page() -> None:
    viewer = make_holder(VIEW)
    answer = caller(viewer).get(f"/api/v1/spans/?text={'x' * 101}")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["text"])
    assert signed_in(viewer).get(f"/spans/?text={'x' * 5000}").status_code == 200
    assert signed_in(viewer).get("/spans/?text=%00a").status_code == 422


def test_erased_words_are_found_no_more(worker: Agent) -> None:
    told_of(worker, 1, "looks up", {"place": "Bern"})
    viewer = make_holder(VIEW)
    assert listed(viewer, "text=Bern") == ["1"]
    Span.objects.update(attributes={}, name="")
    assert listed(viewer, "text=Bern") == []
