"""Uptime: what is looked at each minute, what counts as up, what nobody looked at, and what lies behind the number."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.agents.models import Agent, AgentCredential
from apps.connectors.models import Connector, ConnectorCall, Operation
from apps.core.models import User
from apps.halts.models import Halt
from apps.kpis.models import CallHour, MinuteSpell
from apps.kpis.rules.buckets import Period
from apps.kpis.rules.definitions import UPTIME
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.uptime import Cause
from apps.kpis.selectors import behind_for
from apps.kpis.selectors.uptime import Uptime, uptime_for
from apps.kpis.services import forget_minutes, look_at_minutes
from apps.workflows.models import Workflow, WorkflowPermission
from tests.factories.access import make_calendar, make_holder, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_connector
from tests.factories.workflows import make_worker, make_workflow
from tests.kpis.test_selectors import ask
from tests.kpis.test_views import signed_in

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
"""A Monday, half past eight in Berlin."""
LONG_AGO = START - timedelta(days=400)


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def an_agent(**fields: Any) -> Agent:
    agent = make_agent(**fields)
    make_key_for(agent)
    Agent.objects.filter(pk=agent.pk).update(created_at=LONG_AGO)
    return agent


def calls_at(agent: Agent, at: datetime | None) -> None:
    AgentCredential.objects.filter(agent=agent).update(last_used_at=at)


def look(minute: datetime, seconds: int = 5) -> int:
    """Look at ``minute`` shortly after it ended."""
    return look_at_minutes(now=minute + MINUTE + timedelta(seconds=seconds))


def day(**more: Any) -> KpiFilter:
    return ask(START.date(), START.date(), **more)


def told(actor: User, key: str = "uptime_agents", **more: Any) -> tuple[int, int, int]:
    found = next(one for one in uptime_for(actor, day(**more)) if one.key == key)
    return found.up, found.down, found.unobserved


def listed(actor: User, key: str, asked: KpiFilter) -> list[Any]:
    rows, order = behind_for(actor, UPTIME[key], asked)
    return list(rows.order_by(*order))


def stop(scope: str, target: str) -> Halt:
    return Halt.objects.create(scope=scope, target=target, reason="It errs.", engaged_by=make_user())


@dataclass
class Watched:
    """One agent with what chance did to it, minute by minute: how each was, and why."""

    agent: Agent
    in_office: bool
    minutes: list[tuple[datetime, str, str]] = field(default_factory=list)

    def live(self, random: Random, minute: datetime, *, is_down: bool) -> None:
        called = random.choice([None, minute - 3 * MINUTE, minute - timedelta(seconds=30), minute])
        state = random.choice(["active", "active", "pilot", "suspended"])
        Halt.objects.filter(target=self.agent.slug).delete()
        if halted := random.random() < 0.2:
            stop("agent", self.agent.slug)
        calls_at(self.agent, called)
        Agent.objects.filter(pk=self.agent.pk).update(state=state)
        if self.in_office and minute.astimezone(ZoneInfo("Europe/Berlin")).hour != 9:
            return
        silent = "" if called is not None and called >= minute - MINUTE else "silent"
        cause = "suspended" if state == "suspended" else "halted" if halted else silent
        condition = "unobserved" if is_down else "down" if cause else "up"
        self.minutes.append((minute, condition, "plane" if is_down else cause))

    def count(self, *conditions: str) -> int:
        return sum(one in conditions for _at, one, _cause in self.minutes)


def test_minutes_against_a_count_of_each_one(viewer: User) -> None:
    """Two hours of chance: calls, suspensions, halts, a plane that is down; each minute kept in a list beside."""
    random, office, until = Random(7), make_unit(), START + 120 * MINUTE
    calendar = make_calendar(hours={"mon": ["09:00-10:00"]}, timezone="Europe/Berlin")
    BusinessUnit.objects.filter(pk=office.pk).update(calendar=calendar)
    watched = [Watched(an_agent(unit=office), in_office=True), Watched(an_agent(), in_office=False)]
    for number in range(120):
        minute = START + number * MINUTE
        is_down = number > 0 and random.random() < 0.15
        for one in watched:
            one.live(random, minute, is_down=is_down)
        for seconds in [] if is_down else random.sample(range(1, 59), random.randint(1, 3)):
            look(minute, seconds)
    look(until)
    for one in watched:
        asked = replace(day(agent=one.agent.slug), period=Period(START, until))
        found = next(told for told in uptime_for(viewer, asked) if told.key == "uptime_agents")
        assert (found.up, found.down, found.unobserved) == tuple(map(one.count, ("up", "down", "unobserved")))
        assert found.figure.value == found.up / (found.up + found.down)
        spells = listed(viewer, "uptime_agents", asked)
        assert [
            (spell.since + step * MINUTE, spell.condition, spell.cause)
            for spell in reversed(spells)
            for step in range((min(spell.until, until) - spell.since) // MINUTE)
        ] == [minute for minute in one.minutes if minute[1] != "up"]
        assert sum((spell.within for spell in spells), timedelta()) == one.count("down", "unobserved") * MINUTE
        assert min(map(one.count, ("up", "down", "unobserved"))) > 3


def test_a_minute_is_looked_at_once(viewer: User) -> None:
    agent = an_agent()
    calls_at(agent, START)
    assert look(START) == 1
    calls_at(agent, None)
    assert (look(START, 25), look(START, 45), look(START - 5 * MINUTE)) == (0, 0, 0)
    assert told(viewer) == (1, 0, 0)
    assert MinuteSpell.objects.count() == 1


def test_minutes_in_a_row_that_are_alike_are_one_row(viewer: User) -> None:
    agent = an_agent()
    for number in range(30):
        calls_at(agent, START + number * MINUTE)
        look(START + number * MINUTE)
    assert told(viewer) == (30, 0, 0)
    assert MinuteSpell.objects.count() == 1


def test_a_plane_that_was_down_says_neither_up_nor_down(viewer: User) -> None:
    agent = an_agent()
    calls_at(agent, START)
    look(START)
    calls_at(agent, START + 61 * MINUTE)
    look(START + 61 * MINUTE)
    assert told(viewer) == (2, 0, 60)
    (spell,) = listed(viewer, "uptime_agents", day())
    assert (spell.since, spell.until, spell.cause) == (START + MINUTE, START + 61 * MINUTE, "plane")
    figure = uptime_for(viewer, day())[0].figure
    assert (figure.value, figure.n, figure.low) == (1.0, 2, None)


def test_what_was_made_while_nobody_looked_is_not_missing_before(viewer: User) -> None:
    look(START)
    agent = an_agent()
    Agent.objects.filter(pk=agent.pk).update(created_at=START + 5 * MINUTE)
    look(START + 9 * MINUTE)
    assert told(viewer) == (0, 1, 3)


def test_drafts_and_retired_agents_are_in_no_service(viewer: User) -> None:
    for state in ("draft", "retired"):
        an_agent(state=state)
    assert look(START) == 0
    found = uptime_for(viewer, day())[0]
    assert found.figure.value is None
    assert found.why_none == "No service minute of an agent that you may see was observed"


def test_a_test_key_keeps_nobody_up(viewer: User) -> None:
    agent = make_agent()
    make_key_for(agent, environment="test")
    Agent.objects.filter(pk=agent.pk).update(created_at=LONG_AGO)
    calls_at(agent, START)
    look(START)
    assert told(viewer) == (0, 1, 0)


FLOW = {
    "slug": "w",
    "steps": {"read": {"agent": "reading"}, "pay": {"operation": "bank.pay", "needs": ["read"]}},
}


def a_workflow() -> tuple[Workflow, Agent, Operation]:
    workflow = make_workflow(FLOW)
    operation = Operation.objects.get(slug="bank.pay")
    worker = make_worker(workflow, "reading")
    WorkflowPermission.objects.exclude(user=worker.user).delete()
    Workflow.objects.filter(pk=workflow.pk).update(created_at=LONG_AGO)
    Agent.objects.update(created_at=LONG_AGO)
    return workflow, worker, operation


def troubles(connector: Connector, n: int, at: datetime, *, bad: bool = True, **more: Any) -> None:
    for _ in range(n):
        call = ConnectorCall.objects.create(
            connector=connector, purpose="effect", end="answered", in_trouble=bad, **more
        )
        ConnectorCall.objects.filter(pk=call.pk).update(created_at=at)


@pytest.mark.parametrize(
    ("happen", "cause"),
    [
        (lambda flow, worker, pay: None, ""),
        (lambda flow, worker, pay: Workflow.objects.filter(pk=flow.pk).update(active=None), Cause.NO_VERSION),
        (lambda flow, worker, pay: stop("workflow", "w"), Cause.HALTED),
        (lambda flow, worker, pay: stop("unit", flow.unit.slug), Cause.HALTED),
        (lambda flow, worker, pay: stop("everything", ""), Cause.HALTED),
        (lambda flow, worker, pay: Agent.objects.filter(pk=worker.pk).update(state="suspended"), Cause.NO_AGENT),
        (lambda flow, worker, pay: Agent.objects.filter(pk=worker.pk).update(capabilities=[]), Cause.NO_AGENT),
        (lambda flow, worker, pay: stop("version", f"{worker.slug}@1"), Cause.NO_AGENT),
        (lambda flow, worker, pay: WorkflowPermission.objects.all().delete(), Cause.NO_AGENT),
        (lambda flow, worker, pay: stop("connector", pay.connector.slug), Cause.HALTED),
        (lambda flow, worker, pay: stop("operation", "bank.pay"), Cause.HALTED),
        (lambda flow, worker, pay: Operation.objects.update(state="disabled"), Cause.DISABLED),
        (lambda flow, worker, pay: Connector.objects.update(state="disabled"), Cause.DISABLED),
        (lambda flow, worker, pay: troubles(pay.connector, 5, START - 30 * MINUTE), Cause.OUTAGE),
        (lambda flow, worker, pay: troubles(pay.connector, 4, START), ""),
        (lambda flow, worker, pay: troubles(pay.connector, 5, START - 60 * MINUTE), ""),
        (lambda flow, worker, pay: troubles(pay.connector, 5, START, environment="test"), ""),
        (lambda flow, worker, pay: stop("agent", "another"), ""),
    ],
)
def test_a_run_could_have_proceeded_or_why_not(viewer: User, happen: Any, cause: str) -> None:
    parts = a_workflow()
    happen(*parts)
    look(START)
    assert told(viewer, "uptime_workflows") == ((0, 1, 0) if cause else (1, 0, 0))
    assert [one.cause for one in listed(viewer, "uptime_workflows", day())] == ([cause] if cause else [])


def test_an_outage_needs_half_of_the_calls(viewer: User) -> None:
    _flow, _worker, operation = a_workflow()
    troubles(operation.connector, 5, START)
    troubles(operation.connector, 6, START, bad=False)
    look(START)
    assert told(viewer, "uptime_workflows") == (1, 0, 0)
    assert told(viewer, "uptime_connectors") == (6, 5, 0)


def test_calls_are_counted_by_the_hour_and_outlive_their_lines(viewer: User) -> None:
    connector = make_connector()
    troubles(connector, 3, START - timedelta(days=20), bad=False)
    troubles(connector, 2, START)
    troubles(connector, 7, START, bad=False)
    troubles(connector, 9, START, environment="test")
    look(START)
    look(START + MINUTE)
    assert told(viewer, "uptime_connectors") == (7, 2, 0)
    assert sorted(CallHour.objects.values_list("calls", flat=True)) == [3, 9]
    (hour,) = listed(viewer, "uptime_connectors", day())
    assert (hour.slug, hour.hour, hour.troubled, hour.calls) == (connector.slug, START.replace(minute=0), 2, 9)
    troubles(connector, 1, START + MINUTE)
    ConnectorCall.objects.filter(created_at__lt=START - timedelta(days=1)).delete()
    look(START + 90 * MINUTE)
    assert told(viewer, "uptime_connectors") == (7, 3, 0)
    assert CallHour.objects.filter(hour__lt=START - timedelta(days=1)).get().calls == 3
    figure = uptime_for(viewer, day())[1].figure
    assert figure.low is not None, "calls are single ones: their share has an interval"


def test_unit_agent_workflow_and_version_limit_what_is_told(viewer: User) -> None:
    workflow, worker, operation = a_workflow()
    elsewhere = an_agent()
    make_key_for(worker)
    for agent in (worker, elsewhere):
        calls_at(agent, START)
    troubles(operation.connector, 2, START, bad=False)
    troubles(make_connector(), 4, START, bad=False)
    look(START)
    assert told(viewer)[0] == 2
    assert told(viewer, agent=elsewhere.slug)[0] == 1
    assert told(viewer, unit=elsewhere.unit.slug)[0] == 1
    assert told(viewer, workflow="w")[0] == 1
    assert told(viewer, version=1) == (0, 0, 0)
    assert told(viewer, "uptime_connectors")[0] == 6
    assert told(viewer, "uptime_connectors", workflow="w")[0] == 2
    assert told(viewer, "uptime_connectors", agent=elsewhere.slug)[0] == 0
    assert told(viewer, "uptime_workflows", workflow="w")[0] == 1
    assert told(viewer, "uptime_workflows", unit=workflow.unit.slug)[0] == 1
    assert told(viewer, "uptime_workflows", unit=elsewhere.unit.slug)[0] == 0


def test_who_sees_one_unit_is_told_of_its_things_alone() -> None:
    mine, other = an_agent(), an_agent()
    look(START)
    own = make_holder("kpis.view_kpi", unit=mine.unit)
    assert told(own) == (0, 1, 0)
    assert [one.slug for one in listed(own, "uptime_agents", day())] == [mine.slug]
    client = signed_in(own)
    page = client.get(f"/dashboards/uptime/of-agents/{mine.slug}/?from=2026-11-01&to=2026-11-08&tz=Asia/Tokyo")
    assert page.status_code == 200
    assert "Uptime · 2026-11-01 to 2026-11-07, days of Asia/Tokyo, as of 20" in page.content.decode()
    assert client.get(f"/dashboards/uptime/of-agents/{other.slug}/").status_code == 404
    assert client.get("/dashboards/uptime/of-agents/nobody/").status_code == 404
    assert client.get(f"/dashboards/uptime/of-people/{mine.slug}/").status_code == 404
    assert signed_in(make_user()).get(f"/dashboards/uptime/of-agents/{mine.slug}/").status_code == 403


def test_page_csv_and_api_say_the_same(viewer: User) -> None:
    _flow, worker, operation = a_workflow()
    make_key_for(worker)
    calls_at(worker, START)
    look(START)
    look(START + 3 * MINUTE)
    troubles(operation.connector, 1, START)
    look(START + 5 * MINUTE)
    client, query = signed_in(viewer), "from=2026-11-02&to=2026-11-03"
    its = f"{query}&agent={worker.slug}"
    html = client.get(f"/dashboards/overview/?{its}").content.decode()
    assert "1 minutes up, 2 down, 3 not observed" in html
    rows = client.get(f"/dashboards/overview/uptime.csv?{its}").content.decode().splitlines()
    assert [row.partition(",")[0] for row in rows[-3:]] == list(UPTIME)
    assert rows[-3].endswith(",3,1,2,3")
    token = {"Authorization": f"Bearer {create_token(viewer, user=viewer, days=1)}"}
    answer = client.get(f"/api/v1/kpis/?{its}", headers=token).json()
    agents = answer["uptime"]["uptime_agents"]
    assert (agents["value"], agents["up"], agents["down"], agents["unobserved"]) == (1 / 3, 1, 2, 3)
    assert answer["definitions"]["uptime_agents"] == UPTIME["uptime_agents"].formula
    behind = client.get(f"/api/v1/kpis/uptime_agents/runs/?{its}", headers=token).json()["results"]
    assert [(one["about"], one["outcome"], one["took_s"]) for one in behind] == [
        (worker.slug, "silent", 60.0),
        (worker.slug, "plane", 60.0),
        (worker.slug, "silent", 60.0),
        (worker.slug, "plane", 120.0),
    ]
    calls = client.get(f"/api/v1/kpis/uptime_connectors/runs/?{query}", headers=token).json()["results"]
    assert [(one["about"], one["in_trouble"], one["calls"]) for one in calls] == [(operation.connector.slug, 1, 1)]
    for kind, slug in (("agents", worker.slug), ("workflows", "w"), ("systems", operation.connector.slug)):
        page = client.get(f"/dashboards/uptime/of-{kind}/{slug}/?{query}").content.decode()
        assert slug in page.partition("</thead>")[2], kind
    for key in UPTIME:
        assert "as an event log" not in client.get(f"/dashboards/overview/{key}/?{query}").content.decode()
        assert client.get(f"/dashboards/overview/{key}/events.csv?{query}").status_code == 404
        assert client.get(f"/api/v1/kpis/{key}/events/?{query}", headers=token).status_code == 404
    empty = client.get("/dashboards/uptime/of-workflows/w/?from=2026-10-01&to=2026-10-02").content.decode()
    assert "Nothing was down" in empty


def test_what_is_two_years_old_is_forgotten(viewer: User) -> None:
    an_agent()
    look(datetime(2020, 1, 1, tzinfo=UTC) - MINUTE)
    Agent.objects.update(created_at=datetime(2019, 1, 1, tzinfo=UTC))
    look(datetime(2020, 1, 1, tzinfo=UTC))
    CallHour.objects.create(slug="old", hour=datetime(2020, 1, 1, tzinfo=UTC), calls=1, answered=1)
    CallHour.objects.create(slug="new", hour=START, calls=1, answered=1)
    assert forget_minutes() == 2
    assert list(CallHour.objects.values_list("slug", flat=True)) == ["new"]


def test_uptime_is_said_with_words(viewer: User) -> None:
    found: list[Uptime] = uptime_for(viewer, day())
    assert [one.figure.text for one in found] == ["—"] * 3
    assert {one.href for one in found} == {""}
