"""The second sentence: what it counts, within which filter, and that each part leads to what it counts."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.agents.models import Agent
from apps.core.models import User
from apps.kpis.models import ActionFact, IncidentFact
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors import behind_for, kpis_for, live_for
from apps.kpis.selectors.definitions import any_definition_for
from apps.kpis.selectors.reading import Reader
from apps.kpis.selectors.risk import governed_for, risk_parts_for
from apps.kpis.services import write_facts
from apps.kpis.services.rollups import recompute_rollups
from apps.telemetry.models import Span
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.kpis import NOON, make_run
from tests.kpis.test_selectors import ask
from tests.kpis.test_views import PERIOD, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def acted(state: str = "succeeded", **more: Any) -> None:
    ActionFact.objects.create(
        **{"action_id": uuid4(), "agent": "a", "operation": "o.p", "workflow": "w", "ended_at": NOON, **more},
        state=state,
    )


def went_wrong(**more: Any) -> None:
    IncidentFact.objects.create(
        **{"kind": "unknown", "source_id": uuid4(), "workflow": "w", "began_at": NOON, "agent": "a", **more}
    )


def called(agent: Agent, n: int, *, governed: bool = True, run_id: UUID | None = None, days: int = 0) -> None:
    at = NOON - timedelta(days=days)
    for _ in range(n):
        Span.objects.create(
            agent=agent,
            trace_id=uuid4().hex,
            span_id=uuid4().hex[:16],
            started_at=at,
            ended_at=at,
            tool="pay",
            tool_call="governed" if governed else "ungoverned",
            governed_by=uuid4() if governed else None,
            run_id=run_id,
        )


def a_month() -> Agent:
    """Three incidents of the month and one of before; two denied; a hundred judged, one wrong; 8 of 10 governed."""
    went_wrong(ended_at=NOON)
    went_wrong(ended_at=NOON)
    went_wrong()
    went_wrong(began_at=NOON - timedelta(days=90))
    went_wrong(began_at=NOON - timedelta(days=90), ended_at=NOON)
    acted("denied")
    acted("denied")
    for number in range(100):
        acted(decided=number > 0)
    recompute_rollups(touched={("w", NOON.date()), ("w", (NOON - timedelta(days=90)).date())})
    agent = make_agent()
    called(agent, 8)
    called(agent, 2, governed=False)
    called(agent, 5, governed=False, days=60)
    return agent


def parts_for(actor: User, asked: KpiFilter) -> list[tuple[str, str]]:
    return risk_parts_for(actor, kpis_for(actor, asked), live_for(actor, asked))


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def test_the_sentence_says_incidents_denials_governed_calls_and_accuracy(executive: User) -> None:
    a_month()
    html = signed_in(executive).get(f"/dashboards/overview/?{PERIOD}").content.decode()
    assert (
        "3 incidents; 2 open now; 2 denied attempts; "
        "80.0% of 10 reported calls of tools governed (49.0%–94.3%); "
        "accuracy 99.0% (94.6%–99.8%, 100 judged)." in text_of(html)
    )


def test_it_can_be_read_in_thirty_seconds(executive: User) -> None:
    """Two hundred words a minute: all three sentences together."""
    a_month()
    html = signed_in(executive).get(f"/dashboards/overview/?{PERIOD}").content.decode()
    opening = html.partition("In three sentences")[2].partition("</section>")[0]
    assert 20 < len(text_of(opening).split()) < 100


def test_each_part_leads_to_exactly_what_it_counts(executive: User) -> None:
    a_month()
    client = signed_in(executive)
    parts = parts_for(executive, ask())
    for text, href in parts[:3]:
        html = client.get(href).content.decode()
        n = text.split()[0]
        assert f"<p>{n} in this list</p>" in html
        assert html.count('<th scope="row">') == int(n)
    assert [href.partition("?")[0] for _text, href in parts] == [
        "/dashboards/overview/incidents/",
        "/dashboards/overview/incidents_open/",
        "/dashboards/overview/denied/",
        "",
        "/dashboards/overview/accuracy/",
    ]
    watcher = make_holder("kpis.view_kpi", "agents.view_agent")
    assert parts_for(watcher, ask())[3][1] == "/tool-findings/"
    assert signed_in(watcher).get("/tool-findings/").status_code == 200


def test_one_is_one(executive: User) -> None:
    went_wrong(ended_at=NOON)
    acted("denied")
    recompute_rollups(touched={("w", NOON.date())})
    parts = [text for text, _href in parts_for(executive, ask())]
    assert parts[:3] == ["1 incident", "0 open now", "1 denied attempt"]


def test_a_filter_limits_every_part(executive: User) -> None:
    unit = make_unit()
    run = make_run(workflow="other", unit_id=unit.pk, version=2)
    write_facts(facts=Facts(runs=[run]))
    agent = a_month()
    inside = make_agent(unit=unit)
    called(inside, 3, run_id=run.run_id)
    called(inside, 1, governed=False, run_id=run.run_id)
    acted("denied", workflow="other", unit=unit.pk)
    went_wrong(workflow="other", unit=unit.pk)
    recompute_rollups(touched={("other", NOON.date())})
    assert governed_for(executive, ask()) == (11, 14)
    assert governed_for(executive, ask(agent=agent.slug)) == (8, 10)
    assert governed_for(executive, ask(unit=unit.slug)) == (3, 4)
    assert governed_for(executive, ask(workflow="other")) == (3, 4)
    assert governed_for(executive, ask(workflow="other", version=1)) == (0, 0)
    for asked in (ask(workflow="other"), ask(unit=unit.slug)):
        parts = [text for text, _href in parts_for(executive, asked)]
        assert parts[:4] == [
            "1 incident",
            "1 open now",
            "1 denied attempt",
            "75.0% of 4 reported calls of tools governed (30.1%–95.4%)",
        ]
    assert kpis_for(executive, ask(agent="a")).totals["denied"].figure.value == 3


def test_who_sees_one_unit_is_told_of_that_alone() -> None:
    unit = make_unit()
    a_month()
    called(make_agent(unit=unit), 1)
    went_wrong(unit=unit.pk)
    acted("denied", unit=unit.pk)
    recompute_rollups(touched={("w", NOON.date())})
    own = make_holder("kpis.view_kpi", unit=unit)
    parts = [text for text, _href in parts_for(own, ask())]
    assert parts[:3] == ["1 incident", "1 open now", "1 denied attempt"]
    assert governed_for(own, ask()) == (1, 1)


def test_open_incidents_are_a_figure_of_now(executive: User) -> None:
    a_month()
    figure = live_for(executive, ask()).figures["incidents_open"]
    assert (figure.value, figure.definition.unit) == (2, "incidents")
    rows, order = behind_for(executive, any_definition_for(executive, "incidents_open"), ask())
    assert [one.began_at for one in rows.order_by(*order)] == [NOON - timedelta(days=90), NOON]


def test_denied_attempts_of_a_day_are_kept_in_its_sums(executive: User) -> None:
    a_month()
    reader = Reader(executive, ask(), [])
    assert reader.rollups.get(denied__gt=0).denied == 2


def test_calls_are_of_the_day_on_which_they_ended_whenever_they_say_that_they_began(executive: User) -> None:
    called(make_agent(), 1)
    Span.objects.update(started_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert governed_for(executive, ask()) == (1, 1)
