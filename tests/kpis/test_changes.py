"""What changed in a period: who sees which of it, and that a filter limits it."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.services import promote_version, save_version
from apps.connectors.models import ConnectorCall
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.halts.services import engage_halt, lift_halt
from apps.kpis.models import Baseline, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.buckets import BucketSize, Period
from apps.kpis.rules.changes import Change, ChangeKind
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.changes import changes_for
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation
from tests.factories.kpis import make_approved, make_baseline, make_fixed, make_price
from tests.factories.kpis import make_run as make_fact
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import make_workflow

pytestmark = pytest.mark.django_db
VIEW = "kpis.view_kpi"


def flow(**fields: Any) -> Workflow:
    return make_workflow({"steps": {"check": {"agent": "order.check"}}}, **fields)


def seen(actor: User, **limits: Any) -> list[Change]:
    now = database_now()
    period = Period(now - timedelta(days=1), now + timedelta(days=1))
    return changes_for(actor, KpiFilter(period=period, zone=reporting_zone(), size=BucketSize.DAY, **limits))


def texts(actor: User, **limits: Any) -> list[str]:
    return [change.text for change in seen(actor, **limits)]


def test_versions_of_workflows_are_seen_in_their_unit_and_lead_to_their_runs() -> None:
    unit = make_unit()
    workflow = flow(unit=unit.slug)
    (change,) = [one for one in seen(make_holder(VIEW, unit=unit)) if one.kind == ChangeKind.VERSION]
    assert change.text == f"{workflow.name}: version 1 in force"
    assert f"/dashboards/{workflow.slug}/?" in change.href
    assert "version=1" in change.href
    assert texts(make_holder(VIEW, unit=make_unit())) == []
    assert texts(make_holder(VIEW, unit=unit), workflow="another") == []


def test_a_version_of_an_agent_says_why() -> None:
    agent, admin = make_agent(unit=make_unit()), make_admin()
    version, _ = save_version(admin, agent=agent, model="small", activate=False)
    promote_version(admin, agent=agent, version=version, handover="return", reason="Cheaper.")
    (change,) = seen(make_holder(VIEW, unit=agent.unit))
    assert change.text == f"Agent {agent.name}: version 2 active"
    assert (change.kind, change.why) == (ChangeKind.VERSION, "Cheaper.")
    assert texts(make_holder(VIEW, unit=agent.unit), workflow="where-it-took-no-part") == []
    assert texts(make_holder(VIEW, unit=agent.unit), agent="another") == []


def test_rules_are_named_only_to_who_may_see_their_policy() -> None:
    unit = make_unit()
    make_policy(make_rule(slug="no", effect="deny"), unit=unit, name="Payments")
    may = make_holder(VIEW, "policies.view_policy", unit=unit)
    assert "Rules of Payments: version 1 in force" in texts(may)
    assert not [text for text in texts(make_holder(VIEW, unit=unit)) if "Payments" in text]
    elsewhere = make_holder(VIEW, "policies.view_policy", unit=make_unit())
    assert not [text for text in texts(elsewhere) if "Payments" in text]


def test_halts_say_from_when_until_when_and_why() -> None:
    unit, admin = make_unit(), make_admin()
    halt = engage_halt(admin, scope="unit", target=unit.slug, unit=unit, reason="Wrong payments.")
    person = make_holder(VIEW, unit=unit)
    (change,) = seen(person)
    assert (change.kind, change.text, change.why) == (ChangeKind.HALT, f"Stopped: unit {unit.slug}", "Wrong payments.")
    assert change.until is None
    lift_halt(make_admin(), halt_id=halt.pk, reason="Mended.")
    (change,) = seen(person)
    assert change.until is not None
    assert seen(make_holder(VIEW, unit=make_unit())) == []


def test_a_halt_of_one_workflow_is_not_on_anothers_page() -> None:
    workflow = flow()
    engage_halt(make_admin(), scope="workflow", target=workflow.slug, unit=workflow.unit, reason="Wrong.")
    admin = make_admin()
    assert f"Stopped: workflow {workflow.slug}" in texts(admin, workflow=workflow.slug)
    assert f"Stopped: workflow {workflow.slug}" not in texts(admin, workflow="another")


def test_an_outage_is_seen_where_its_system_is() -> None:
    unit = make_unit()
    connector = make_operation().connector
    type(connector).objects.filter(pk=connector.pk).update(unit=unit, name="Ledger")
    at = database_now().replace(minute=30) - timedelta(hours=3)
    calls = [
        ConnectorCall(connector=connector, purpose="effect", end="silent", in_trouble=n < 6, created_at=at)
        for n in range(8)
    ]
    ConnectorCall.objects.bulk_create(calls)
    (change,) = [one for one in seen(make_holder(VIEW, unit=unit)) if one.kind == ChangeKind.OUTAGE]
    assert change.text == "Ledger: 6 of 8 calls failed"
    assert change.until == at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert seen(make_holder(VIEW, unit=make_unit())) == []


def test_a_price_counts_from_the_day_from_which_it_holds() -> None:
    make_price(model="large", valid_from=database_now())
    make_price(model="old", valid_from=datetime(2020, 1, 1, tzinfo=UTC))
    assert texts(make_holder(VIEW, unit=make_unit())) == ["Another price for the model large"]


def test_a_rate_counts_from_the_day_from_which_it_holds_for_whom_it_concerns() -> None:
    mine, other, now = make_unit(), make_unit(), database_now()
    make_agent(slug="payer", unit=mine)
    hour = {"kind": "people", "per": "hour", "valid_from": now}
    make_fixed(4_500, unit=mine.slug, source="Union", **hour)
    make_fixed(4_600, unit=other.slug, **hour)
    make_fixed(4_700, **hour)
    make_fixed(4_800, role="old", **{**hour, "valid_from": datetime(2020, 1, 1, tzinfo=UTC)})
    make_fixed(3, kind="agent", per="task", agent="payer", valid_from=now)
    make_fixed(7, kind="operation", per="call", operation="bank.pay", valid_from=now)
    make_fixed(100_00, workflow="w", valid_from=now)
    make_fixed(108, kind="currency", per="unit", of_currency="USD", valid_from=now)
    rate, fee = "Rate of people's time, %s: %s EUR", "Fee of bank.pay: 0.07 EUR"
    everywhere = {rate % ("everywhere", "47.00"), fee, "Rate of exchange of USD: 1.08 EUR"}
    ours = {rate % (mine.slug, "45.00"), "Rate of the agent payer: 0.03 EUR", *everywhere}
    assert set(texts(make_holder(VIEW, unit=mine))) == ours
    executive = make_holder(VIEW)
    fixed, theirs = "Fixed cost of a month, w: 100.00 EUR", rate % (other.slug, "46.00")
    assert set(texts(executive)) == {fixed, theirs, *ours}
    assert set(texts(executive, unit=mine.slug)) == {fixed, *ours}
    assert set(texts(executive, workflow="v")) == {theirs, *ours} - {"Rate of the agent payer: 0.03 EUR"}
    assert set(texts(executive, agent="nobody")) == {fixed, theirs, *ours} - {"Rate of the agent payer: 0.03 EUR"}
    told = {one.text: one for one in seen(executive)}[rate % (mine.slug, "45.00")]
    assert (told.kind, told.why, told.href) == (ChangeKind.PRICE, "Union", "/dashboards/rates/")


def test_an_approved_baseline_counts_from_the_day_from_which_it_holds_or_on_which_it_was_approved() -> None:
    unit, today = make_unit(), database_now().astimezone(reporting_zone()).date()
    mine = Workflow.objects.create(slug="mine", name="Mine", unit=unit)
    other = Workflow.objects.create(slug="other", name="Other", unit=make_unit())
    make_baseline(kpi="error_rate", workflow=mine.slug, value=0.2, valid_from=today)
    person = make_holder(VIEW, unit=unit)
    assert texts(person) == [], "nobody approved it"
    make_approved(kpi="rework_rate", workflow=mine.slug, value=0.1, valid_from=today, reason="Counted.")
    make_approved(kpi="rework_rate", workflow=other.slug, value=0.3, valid_from=today)
    make_approved(kpi="cost_per_success_minor", workflow="", value=2_000, valid_from=date(2026, 1, 1))
    old = make_approved(kpi="error_rate", workflow=mine.slug, value=0.1, valid_from=date(2026, 1, 1))
    Baseline.objects.filter(pk=old.pk).update(ended_at=database_now())
    ours = {
        "Mine: baseline of Rework rate from here on, 10.0%",
        "All workflows: baseline of Cost per workflow for runs from 2026-01-01 approved, 20.00 EUR",
    }
    theirs = "Other: baseline of Rework rate from here on, 30.0%"
    assert set(texts(person)) == ours
    executive = make_holder(VIEW)
    assert set(texts(executive)) == {*ours, theirs}
    assert set(texts(executive, unit=unit.slug)) == set(texts(executive, workflow="mine")) == ours
    told = {one.text: one for one in seen(person)}["Mine: baseline of Rework rate from here on, 10.0%"]
    assert (told.kind, told.why, told.href) == (ChangeKind.BASELINE, "Counted.", "/dashboards/goals/")


def test_a_unit_sees_what_concerns_it_and_everything_above_it() -> None:
    top = make_unit()
    below, beside = make_unit(parent=top), make_unit(parent=top)
    for unit in (top, below, beside):
        engage_halt(make_admin(), scope="unit", target=unit.slug, unit=unit, reason="Drill.")
    person = make_holder(VIEW, unit=top)
    grant(person, make_role(VIEW), below)
    assert texts(person, unit=below.slug) == [f"Stopped: unit {unit.slug}" for unit in (top, below)]


def test_who_may_see_no_figures_sees_no_changes() -> None:
    with pytest.raises(NotAllowedError):
        seen(make_holder("agents.view_agent"))


def test_a_dashboard_marks_it_in_every_chart_and_says_it_in_table_and_csv() -> None:
    unit = make_unit()
    engage_halt(make_admin(), scope="unit", target=unit.slug, unit=unit, reason="Wrong payments.")
    client = Client()
    client.force_login(make_holder(VIEW, unit=unit))
    html = client.get("/dashboards/overview/?range=7d").content.decode()
    assert html.count('"annotations"') == 7
    assert html.count(f'<td class="told small">1. Stopped: unit {unit.slug}') == 7
    assert "Wrong payments." in html
    assert 'data-png="overview-cycle-time-20' in html
    raw = client.get("/dashboards/overview/cycle-time.csv?range=7d").content.decode()
    rows = [row for row in csv.reader(io.StringIO(raw)) if not row[0].startswith("#")]
    assert rows[0][-1] == "What changed"
    assert rows[-1][-1] == f"Stopped: unit {unit.slug}"
    assert rows[1][-1] == ""


def test_however_many_agents_changed_one_question_says_which_took_part() -> None:
    workflow, admin = flow(), make_admin()
    agents = [make_agent(unit=workflow.unit) for _ in range(6)]
    run = make_fact(workflow=workflow.slug, unit_id=workflow.unit_id, finished_at=database_now())
    write_facts(facts=Facts(runs=[run]))
    RunFact.objects.update(agents=[agents[0].slug, agents[1].slug, "another"])
    for agent in agents[:3]:
        version, _ = save_version(admin, agent=agent, model="small", activate=False)
        promote_version(admin, agent=agent, version=version, handover="return", reason="Cheaper.")
    for agent in agents[1:]:
        engage_halt(admin, scope="agent", target=agent.slug, unit=agent.unit, reason="Wrong.")
    with CaptureQueriesContext(connection) as asked:
        found = texts(admin, workflow=workflow.slug)
    told = [*(f"Agent {agent.name}: version 2 active" for agent in agents[:2]), f"Stopped: agent {agents[1].slug}"]
    assert sorted(text for text in found if "gent " in text) == sorted(told)
    assert sum("kpis_runfact" in query["sql"] for query in asked) == 1
