"""How far the figures can be trusted: lag, what was not taken, what has no price, clocks, durations, coverage."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import Cursor
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import RunFact
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from apps.telemetry.models import Span
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.kpis import make_cost, make_run
from tests.factories.telemetry import SECOND, body_of, now_ns, send, span
from tests.kpis.test_bars import Door, said_count
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
VIEW, AGENTS = "kpis.view_kpi", "agents.view_agent"


@pytest.fixture
def agent() -> Agent:
    """Sent three spans: one whose clock is ten minutes ahead, one linked, and one that was not taken."""
    agent = make_agent()
    action = make_action(agent=agent)
    send(
        agent,
        body_of(
            span(1, {}, ended_ns=now_ns() + 600 * SECOND),
            span(2, {"acp.action.id": str(action.pk)}, trace="2" * 32, ended_ns=now_ns() - 60 * SECOND),
            {"name": "nothing"},
        ),
    )
    return agent


def asked(person: User) -> Any:
    answer = caller(person).get("/api/v1/data-quality/")
    assert answer.status_code == 200
    return answer.json()


def page_of(person: User) -> str:
    client = Client()
    client.force_login(person)
    answer = client.get("/dashboards/data-quality/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_of_nothing_nothing_is_said(db: None) -> None:
    told = asked(make_holder(VIEW, AGENTS))
    nothing = {"part": 0, "n": 0, "value": None, "low": None, "high": None}
    assert told["durations_clamped"] == nothing
    assert told["unpriced"] == []
    assert told["reported"] == {
        "spans_not_taken": nothing,
        "spans_unlinked": 0,
        "clocks_ahead": nothing,
        "coverage": nothing,
    }
    assert "no call of a tool was seen" in page_of(make_holder(VIEW, AGENTS))


def test_what_agents_report_is_weighed(agent: Agent) -> None:
    reader = make_holder(VIEW, AGENTS)
    told = asked(reader)["reported"]
    assert (told["spans_not_taken"]["part"], told["spans_not_taken"]["n"]) == (1, 3)
    assert told["spans_unlinked"] == 1
    assert (told["clocks_ahead"]["part"], told["clocks_ahead"]["n"], told["clocks_ahead"]["value"]) == (1, 2, 0.5)
    text = page_of(reader)
    assert "Clocks that are ahead" in text
    assert agent.name in text


def test_coverage_stands_there_with_its_interval(agent: Agent) -> None:
    Span.objects.filter(span_id__endswith="1").update(tool="search", tool_call="ungoverned")
    told = asked(make_holder(VIEW, AGENTS))["reported"]["coverage"]
    assert (told["part"], told["n"], told["value"], told["low"]) == (0, 1, 0.0, 0.0)
    assert "0 of 1; 95 % interval" in page_of(make_holder(VIEW, AGENTS))


def test_tokens_without_a_price_stand_by_model_and_simulated_ones_nowhere(db: None) -> None:
    odd = {"amount_micro": 0, "priced_by": "unpriced"}
    write_facts(
        facts=Facts(costs=[make_cost(model="odd", quantity=120, **odd), make_cost(model="odd", quantity=30, **odd)])
    )
    write_facts(facts=Facts(costs=[make_cost(model="invented", quantity=9, **odd)]), simulated=True)
    (line,) = asked(make_holder(VIEW))["unpriced"]
    assert (line["model"], line["calls"], line["tokens"]) == ("odd", 2, 150)
    assert "150" in page_of(make_holder(VIEW))


def test_runs_whose_times_ran_backwards_are_counted_of_those_that_ended_lately(db: None) -> None:
    write_facts(facts=Facts(runs=[make_run() for _ in range(3)]))
    RunFact.objects.update(finished_at=ClockTimestamp() - timedelta(days=1))
    first, second, third = RunFact.objects.all()
    RunFact.objects.filter(pk__in=[first.pk, third.pk]).update(clock_clamped=True)
    RunFact.objects.filter(pk=third.pk).update(finished_at=ClockTimestamp() - timedelta(days=31))
    told = asked(make_holder(VIEW))["durations_clamped"]
    assert (told["part"], told["n"]) == (1, 2)
    assert second.clock_clamped is False


def test_runs_whose_times_ran_backwards_and_costs_abroad_have_lists_of_as_many(db: None) -> None:
    unit, viewer = make_unit(), make_holder(VIEW)
    odd = {"amount_micro": 0, "priced_by": "unpriced", "kind": "human"}
    facts = Facts(
        runs=[make_run(unit_id=unit.pk) for _ in range(4)],
        costs=[make_cost(**odd), make_cost(**odd), make_cost(), make_cost(**{**odd, "kind": "llm"})],
    )
    write_facts(facts=facts)
    RunFact.objects.update(finished_at=ClockTimestamp() - timedelta(days=1))
    kept = RunFact.objects.order_by("pk").first()
    assert kept is not None
    RunFact.objects.exclude(pk=kept.pk).update(clock_clamped=True)
    door = Door(viewer)
    page = door.page("/dashboards/data-quality/")
    for part, n in (("times-ran-backwards", 3), ("other-currencies", 2)):
        link = f"/dashboards/data-quality/behind/{part}/"
        assert f'<a href="{link}">{n}</a>' in page
        listed = door.page(link)
        assert said_count(listed) == n
        assert "UTC" in listed.partition("<h1>")[2].partition("</header>")[0]
        assert f"/runs/{kept.pk}/" not in listed
        own = Door(make_holder(VIEW, unit=make_unit()))
        assert said_count(own.page(link)) == 0
        assert Door(make_holder(AGENTS)).browser.get(link).status_code == 403
    assert door.browser.get("/dashboards/data-quality/behind/nothing/").status_code == 404
    assert "As of 20" in page


def test_the_figures_say_how_far_they_are_behind(db: None) -> None:
    Cursor.objects.update_or_create(pk="kpis", defaults={"read_at": ClockTimestamp() - timedelta(minutes=5)})
    assert asked(make_holder(VIEW))["lag_s"] >= 300


def test_rows_of_other_units_do_not_count_and_agents_are_for_whoever_sees_them(agent: Agent) -> None:
    write_facts(facts=Facts(costs=[make_cost(amount_micro=0, quantity=5, priced_by="unpriced")]))
    assert asked(make_holder(VIEW))["reported"] is None
    assert "Spans not taken" not in page_of(make_holder(VIEW))
    elsewhere = asked(make_holder(VIEW, AGENTS, unit=make_unit()))
    assert elsewhere["unpriced"] == []
    assert elsewhere["reported"]["clocks_ahead"]["n"] == elsewhere["reported"]["spans_unlinked"] == 0


def test_whoever_sees_no_figures_is_refused(agent: Agent) -> None:
    assert caller(make_user()).get("/api/v1/data-quality/").status_code == 403
    assert caller(make_holder(VIEW)).get("/api/v1/data-quality/?period=x").status_code == 422
    headers = {"Authorization": f"Bearer {make_key_for(agent)}"}
    assert Client().get("/api/v1/data-quality/", headers=headers).status_code == 403
