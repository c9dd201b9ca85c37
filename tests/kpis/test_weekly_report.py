"""The weekly report: what it says, that its numbers are the dashboard's, and to whom."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.models import User
from apps.halts.services import engage_halt
from apps.kpis.models import Baseline
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import filter_of
from apps.kpis.rules.weeks import Week, week_of
from apps.kpis.selectors.dashboards import dashboard_for
from apps.kpis.selectors.reports import Report, last_week_for, report_for
from apps.kpis.services import approve_baseline, decline_baseline, remove_baseline, save_baseline, write_facts
from apps.kpis.services.letters import write_report
from apps.policies.models import Proposal, Waiver
from apps.policies.services import propose_rules, publish_policy
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.kpis import make_approved, make_baseline, make_cost, make_run, make_target
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import make_workflow

pytestmark = pytest.mark.django_db
VIEW = "kpis.view_kpi"
MANAGE = "kpis.manage_target"
FLOW: dict[str, Any] = {"steps": {"check": {"agent": "order.check"}}}
WAS: dict[str, Any] = {"kpi": "error_rate", "value": 0.1, "valid_from": date(2026, 1, 1), "source": "Estimate"}
MONDAY = date(2026, 11, 9)
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def some_runs(n: int = 60, **fields: Any) -> None:
    runs = [make_run(state="failed" if i % 5 == 0 else "succeeded", **fields) for i in range(n)]
    write_facts(facts=Facts(runs=runs, decisions=[], costs=[make_cost(run) for run in runs]))


def report(actor: User, **fields: Any) -> Report:
    return report_for(actor, **{"week": Week(MONDAY), **fields})


def test_it_is_about_the_week_that_ended_last() -> None:
    person = make_holder(VIEW)
    today = database_now().astimezone(reporting_zone()).date()
    assert last_week_for(person) == week_of(today).moved(-1)


def test_its_sentences_and_figures_are_the_dashboards_of_that_week() -> None:
    some_runs()
    some_runs(40, finished_at=NOON - timedelta(days=7))
    person = make_holder(VIEW)
    found = report(person)
    query = {"from": "2026-11-09", "to": "2026-11-16", "compare": "previous"}
    asked = filter_of(query, now=database_now(), zone=reporting_zone())
    shown = dashboard_for(person, "overview", asked)
    assert [one.text for one in found.page.sentences] == [one.text for one in shown.sentences]
    assert [one.text for one in found.page.cards] == [one.text for one in shown.cards]
    assert "Agents finished 60 runs" in found.page.sentences[0].text
    assert all("from=2026-11-09&to=2026-11-16" in one.href for one in found.page.cards)
    assert found.dashboard.partition("?")[2] == asked.query


def test_what_is_counted_in_a_day_is_told_by_the_day_in_both_weeks() -> None:
    some_runs(70)
    some_runs(35, finished_at=NOON - timedelta(days=7))
    person = make_holder(VIEW)
    card = next(one for one in report(person).page.cards if one.key == "throughput")
    assert (card.text, card.note, card.was) == ("56", "8 a day", "4 a day")
    client = Client()
    client.force_login(person)
    page = client.get("/reports/weekly/2026-W46/").content.decode()
    assert f'<a href="{card.href}">8 a day</a>' in page.replace("&amp;", "&")
    assert "56 in all" in page
    letter = write_report(person, monday=MONDAY)
    assert ">8 a day</a></td>" in letter.html
    assert "- Throughput: 8 a day (was 4 a day, +100.0% better)" in letter.text


def test_missed_targets_and_verdicts_ask_for_decisions() -> None:
    make_baseline(kpi="cost_per_success_minor", value=1)
    make_target(kpi="error_rate", value=0.02)
    make_target(kpi="throughput", value=1, direction="up")
    some_runs()
    found = {one.text: one for one in report(make_holder(VIEW)).decisions}
    assert set(found) == {"W: the target of Error rate is missed", "W: the figures suggest to stop it"}
    missed = found["W: the target of Error rate is missed"]
    assert missed.why == "20.0%; the target is 2.0%"
    assert missed.href.startswith("/dashboards/w/error_rate/?")


def test_what_counts_by_the_day_is_told_so_beside_its_target() -> None:
    make_target(kpi="throughput", value=200, direction="up")
    some_runs()
    found = {one.text: one.why for one in report(make_holder(VIEW)).decisions}
    assert found["W: the target of Throughput is missed"] == "6.9 a day; the target is 200 a day"


@pytest.mark.parametrize("kpi", ["lead_time_p50_s", "backlog"])
def test_a_target_of_any_figure_of_a_workflow_is_looked_at(kpi: str) -> None:
    make_target(kpi=kpi, value=0.5)
    some_runs()
    write_facts(facts=Facts(runs=[make_run(finished_at=None, started_at=NOON)]))
    told = [one.text for one in report(make_holder(VIEW)).decisions]
    assert f"W: the target of {DEFINITIONS[kpi].label} is missed" in told


def test_a_target_of_all_workflows_is_looked_at_as_well() -> None:
    make_target(kpi="error_rate", value=0.02, workflow="")
    some_runs()
    assert "All workflows: the target of Error rate is missed" in [o.text for o in report(make_holder(VIEW)).decisions]


def test_proposals_wait_for_who_may_see_their_policy() -> None:
    unit = make_unit()
    policy = make_policy(make_rule(slug="no", effect="deny"), unit=unit, name="Payments")
    rules = [make_rule(slug="no", effect="deny", when="false")]
    propose_rules(make_admin(), policy=policy, rules=rules, tests=[], reason="Less.", instead_of=1)
    may = make_holder(VIEW, "policies.view_policy", unit=unit)
    assert report(may).decisions == [], "it came later"
    Proposal.objects.update(created_at=NOON)
    (one,) = report(may).decisions
    assert one.text == "A change of the rules of Payments waits for another person"
    assert one.href == f"/policies/{policy.slug}/?version=2"
    assert report(may, unit=unit.slug).decisions == [one]
    assert report(make_holder(VIEW, unit=unit)).decisions == []


def test_what_waited_when_the_week_ended_is_told_with_what_became_of_it() -> None:
    policy = make_policy(make_rule(slug="no", effect="deny"), name="Payments")
    rules = [make_rule(slug="no", effect="deny", when="false")]
    propose_rules(make_admin(), policy=policy, rules=rules, tests=[], reason="Less.", instead_of=1)
    publish_policy(make_admin(), policy=policy, version=2)
    may = make_holder(VIEW, "policies.view_policy")
    Proposal.objects.update(created_at=NOON)
    (one,) = report(may).decisions
    assert one.text == "A change of the rules of Payments waited for another person"
    assert one.why.endswith("decided since")
    Proposal.objects.update(decided_at=NOON + timedelta(hours=1))
    assert report(may).decisions == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ["1 waiver waits for approval"]),
        ({"state": "live", "until": datetime(2026, 11, 19, tzinfo=UTC)}, ["1 waiver waits for approval"]),
        ({"state": "live", "until": datetime(2026, 11, 13, tzinfo=UTC)}, []),
        ({"state": "declined", "ended_at": datetime(2026, 11, 20, tzinfo=UTC)}, ["1 waiver waits for approval"]),
        ({"state": "declined", "ended_at": datetime(2026, 11, 12, tzinfo=UTC)}, []),
    ],
)
def test_waivers_wait_until_somebody_answers(fields: dict[str, Any], told: list[str]) -> None:
    about = {
        "rule": "no",
        "digest": "d",
        "effect": "deny",
        "scope": "agent",
        "target": "a",
        "reason": "Known.",
        "times": 1,
        "days": 2,
    }
    policy = make_policy(make_rule(slug="no", effect="deny"))
    approver = make_admin() if "until" in fields else None
    Waiver.objects.create(policy=policy, maker=make_admin(), approver=approver, created_at=NOON, **about, **fields)
    assert [one.text for one in report(make_holder(VIEW, "policies.view_policy")).decisions] == told


def told(person: User, **fields: Any) -> list[tuple[str, str, str]]:
    return [(one.text, one.why, one.href) for one in report(person, **fields).decisions]


def test_baselines_wait_for_who_may_set_them_there() -> None:
    unit, other = make_unit(), make_unit()
    flow = make_workflow(FLOW, unit=unit.slug)
    asking, approving = make_admin(), make_admin()
    may = make_holder(VIEW, MANAGE, unit=unit)
    save_baseline(asking, slug="was", workflow=flow.slug, **WAS)
    save_baseline(asking, slug="of-all", **WAS)
    assert told(may) == [], "they came later"
    Baseline.objects.update(created_at=NOON)
    name = f"{flow.name}: the baseline of Error rate"
    line = (f"{name} waits for another person", f"entered by {asking}", "/dashboards/goals/")
    assert told(may) == [line]
    assert told(may, unit=unit.slug) == [line]
    assert told(make_holder(VIEW, MANAGE, unit=other)) == []
    assert told(make_holder(VIEW, unit=unit)) == [], "they may not answer"
    assert [text for text, _why, _href in told(approving)] == [
        "All workflows: the baseline of Error rate waits for another person",
        line[0],
    ]
    assert told(approving, unit=other.slug) == []
    approve_baseline(approving, slug="was")
    said = f"{name} waited for another person"
    assert told(may) == [(said, f"entered by {asking}, answered since", "/dashboards/goals/")]


def test_corrections_and_removals_wait_until_somebody_answers() -> None:
    flow = make_workflow(FLOW, unit=make_unit().slug)
    asking, approving = make_admin(), make_admin()
    make_approved(slug="was", workflow=flow.slug, kpi="error_rate", created_at=NOON, approved_at=NOON)
    week = week_of(database_now().astimezone(reporting_zone()).date())
    assert told(approving, week=week) == []
    save_baseline(asking, slug="was", workflow=flow.slug, **{**WAS, "value": 0.3}, reason="Counted anew.")
    of = f"{flow.name}: a correction of the baseline of Error rate"
    assert told(approving, week=week) == [
        (f"{of} waits for another person", f"entered by {asking}", "/dashboards/goals/")
    ]
    decline_baseline(approving, slug="was")
    assert told(approving, week=week) == []
    remove_baseline(asking, slug="was")
    of = f"{flow.name}: the removal of the baseline of Error rate"
    assert told(approving, week=week) == [
        (f"{of} waits for another person", f"asked for by {asking}", "/dashboards/goals/")
    ]
    assert told(approving) == [], "nobody had asked by then"
    decline_baseline(approving, slug="was")
    assert told(approving, week=week) == []


def test_a_unit_is_counted_alone_and_only_where_one_may_look() -> None:
    unit, other = make_unit(name="Finance"), make_unit()
    some_runs(40, unit_id=unit.pk)
    some_runs(35, unit_id=other.pk)
    person = make_holder(VIEW, unit=unit)
    assert report(person, unit=unit.slug).unit_name == "Finance"
    assert "Agents finished 40 runs" in report(person).page.sentences[0].text
    with pytest.raises(NotFoundError):
        report(person, unit=other.slug)
    with pytest.raises(NotAllowedError):
        report(make_holder("agents.view_agent"))


def test_there_is_none_of_a_week_to_come() -> None:
    person = make_holder(VIEW)
    report(person, week=last_week_for(person).moved(1))
    with pytest.raises(NotFoundError):
        report(person, week=last_week_for(person).moved(2))


def test_the_letter_says_the_same_with_whole_addresses_and_the_figures_attached(settings: Any) -> None:
    settings.ACP_URL = "https://plane.example"
    unit = make_unit(name="Finance")
    make_target(kpi="error_rate", value=0.01, workflow="")
    some_runs(unit_id=unit.pk)
    person = make_holder(VIEW)
    letter = write_report(person, monday=MONDAY, unit=unit.slug)
    found = report(person, unit=unit.slug)
    assert letter.subject == "Weekly report 2026-W46: Finance"
    (paper, _content, _kind), (name, figures, _text) = letter.attached
    assert (paper, name) == (f"report-2026-W46-{unit.slug}.pdf", f"report-2026-W46-{unit.slug}.csv")
    assert isinstance(figures, str)
    for text in (letter.text, letter.html):
        assert all(one.text in text for one in found.page.sentences)
        assert f"https://plane.example/reports/weekly/2026-W46/?unit={unit.slug}" in text
    assert "- Error rate: 20.0% · n 60 · target 1.0% missed" in letter.text
    assert re.search(r">20\.0%</a></td>.*>1\.0% missed</td><td align=.right.>60</td>", letter.html)
    assert 'href="/' not in letter.html
    table = [row for row in csv.reader(io.StringIO(figures)) if not row[0].startswith("#")]
    total = dict(zip(table[0], table[1], strict=True))
    assert total["throughput"] == "48"
    assert len(table) == 2 + 7


def test_the_letter_says_what_was_stopped_and_not_why() -> None:
    engage_halt(make_admin(), scope="everything", target="", unit=None, reason="The secret reason.")
    letter = write_report(make_holder(VIEW), monday=week_of(database_now().date()).monday)
    assert "Everything was stopped" in letter.text
    assert "The secret reason" not in letter.text + letter.html
