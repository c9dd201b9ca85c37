"""Oversight by policy and by reason: every number is as many as its list has, and nobody sees what is not theirs."""

import html
import re
from datetime import timedelta
from importlib import import_module
from random import Random
from statistics import median
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact
from apps.kpis.rules.asking import AskedPart, asked_part_of
from apps.kpis.rules.facts import Facts
from apps.kpis.services import fold_entries, write_facts
from apps.oversight.models import Escalation
from tests.factories.access import make_approver, make_holder, make_unit
from tests.factories.kpis import NOON, make_decision
from tests.factories.oversight import make_payment, say
from tests.kpis.test_bars import Door, charts_of, points_of, said_count

PERIOD = "from=2026-11-01&to=2026-12-01&bucket=week&tz=Europe/Berlin"
FOUND = [{"taken_back": True}, {"reviewed": False}, {"read_back": False}, {"reviewed": True}]
CODES = ["wrong_amount", "wrong_amount", "wrong_amount", "duplicate", "too_risky", "missing_evidence", "a|b", ""]


def some_decisions() -> None:
    random, facts = Random(5), Facts()
    for n in range(150):
        outcome = random.choice(["approved"] * 4 + ["rejected"] * 4 + ["changes_requested", "expired", "cancelled"])
        facts.decisions.append(
            make_decision(
                kind="action",
                rule=random.choice(["payments/large", "payments/odd", "refunds/all", ""]),
                policy_version=random.choice([0, 1, 2]),
                outcome=outcome,
                edited=outcome == "approved" and n % 3 == 0,
                reason_code=random.choice(CODES) if outcome in {"rejected", "changes_requested"} else "",
                action_id=uuid4(),
                decided_at=NOON - timedelta(hours=random.randint(0, 200)),
            )
        )
    write_facts(facts=facts)
    for n, one in enumerate(facts.decisions):
        wrong: dict[str, Any] = FOUND[n % len(FOUND)]
        ActionFact.objects.create(
            action_id=one.action_id, agent="a", operation="b.pay", state="succeeded", ended_at=one.decided_at, **wrong
        )


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def table_of(page: str) -> list[list[tuple[str, str]]]:
    """Rows of the table by policy: link and text of each cell."""
    part = page[page.index('id="by-policy"') :]
    rows = re.findall(r"<tr>(.*?)</tr>", part[part.index("<tbody>") : part.index("</tbody>")], re.DOTALL)
    cell = r'<t[hd][^>]*>(?:<a href="([^"]*)">)?([^<]*)'
    return [[(html.unescape(link), text.strip()) for link, text in re.findall(cell, row)] for row in rows]


@pytest.mark.django_db
def test_every_number_of_a_policy_leads_to_as_many(executive: User) -> None:
    some_decisions()
    door, followed = Door(executive), 0
    rows = table_of(door.page(f"/dashboards/oversight/?{PERIOD}"))
    assert [(row[0][1], row[1][1]) for row in rows] == [
        ("payments", "v2"), ("payments", "v1"), ("payments", "—"),
        ("refunds", "v2"), ("refunds", "v1"), ("refunds", "—"),
    ]  # fmt: skip
    for row in rows:
        asked, as_asked, edited, rejected, expired, overturned = (int(text) for _link, text in row[2:8])
        assert asked == as_asked + edited + rejected + expired
        assert 0 < overturned <= as_asked + edited
        for link, text in row[2:8]:
            assert said_count(door.page(link)) == int(text), link
            followed += int(text)
    known = ApprovalFact.objects.exclude(rule="").exclude(outcome="cancelled").count()
    assert sum(int(row[2][1]) for row in rows) == known
    assert followed > 150
    raw = door.page(f"/dashboards/oversight/by-policy.csv?{PERIOD}")
    assert f"payments,2,{rows[0][2][1]}," in raw


@pytest.mark.django_db
def test_overturned_is_what_people_approved_and_what_was_found_wrong(executive: User) -> None:
    ids = [uuid4() for _ in range(4)]
    outcomes = ["approved", "approved", "rejected", "approved"]
    asked = [
        make_decision(kind="action", rule="p/r", outcome=outcome, action_id=action)
        for action, outcome in zip(ids, outcomes, strict=True)
    ]
    write_facts(facts=Facts(decisions=asked))
    for action, found in zip(ids, [False, True, False], strict=False):
        ActionFact.objects.create(
            action_id=action, agent="a", operation="b.pay", state="succeeded", ended_at=NOON, reviewed=found
        )
    door = Door(executive)
    page = door.page(f"/dashboards/oversight/behind/overturned/?{PERIOD}&of_policy=p")
    assert said_count(page) == 1
    assert f"/inbox/{asked[0].escalation_id}/" in page


@pytest.mark.django_db
def test_every_part_of_a_bar_of_reasons_leads_to_as_many(executive: User) -> None:
    some_decisions()
    door = Door(executive)
    page = door.page(f"/dashboards/oversight/?{PERIOD}")
    chart = charts_of(page)[-1]
    assert [trace["name"] for trace in chart["data"]][0::3] == ["Wrong amount", "Others"]
    whole = 0
    for trace in chart["data"]:
        assert sum(trace["y"]) > 0
        for at, height, link in points_of(trace):
            assert said_count(door.page(link)) == height, (trace["name"], at)
            whole += height
    rejected = ApprovalFact.objects.filter(outcome__in=["rejected", "changes_requested"]).count()
    assert whole == rejected
    assert f"Most frequent: Wrong amount, {sum(chart['data'][0]['y'])} of {rejected} rejected or sent back" in page
    listed = door.page(chart["data"][3]["customdata"][-2])
    assert "Reason: all but Wrong amount, " in listed
    assert ">Wrong amount<" not in listed
    raw = door.page(f"/dashboards/oversight/rejections.csv?{PERIOD}").splitlines()
    head = next(line for line in raw if line.startswith("From,"))
    assert head.endswith(",Others,Rejected or sent back")
    assert sum(int(line.split(",")[-1]) for line in raw[raw.index(head) + 1 :]) == rejected


@pytest.mark.django_db
def test_the_lines_of_oversight_lead_from_every_point_to_as_many(executive: User) -> None:
    some_decisions()
    door = Door(executive)
    page = door.page(f"/dashboards/oversight/?{PERIOD}")
    times, overturned, _reasons = charts_of(page)
    (line,) = [trace for trace in times["data"] if "customdata" in trace]
    by_list = 0
    for _at, minutes, link in points_of(line):
        ids = [row["escalation"] for row in door.behind(link)]
        facts = list(ApprovalFact.objects.filter(escalation_id__in=ids).values_list("latency_ms", flat=True))
        assert minutes == pytest.approx(median(facts) / 1000 / scale_in(times), abs=1e-3)
        by_list += len(facts)
    assert by_list == ApprovalFact.objects.filter(by_person=True).count()
    (line,) = [trace for trace in overturned["data"] if "customdata" in trace]
    wrong = 0
    for _at, percent, link in points_of(line):
        n = said_count(door.page(link))
        approved = said_count(door.page(link.replace("/overturned/", "/as-asked/")))
        approved += said_count(door.page(link.replace("/overturned/", "/edited/")))
        assert percent == pytest.approx(n / approved * 100, abs=1e-3)
        wrong += n
    assert wrong == said_count(door.page(f"/dashboards/oversight/behind/overturned/?{PERIOD}")) > 0
    raw = door.page(f"/dashboards/oversight/overturned.csv?{PERIOD}").splitlines()
    head = next(line for line in raw if line.startswith("From,"))
    assert head == "From,Overturned afterwards (0..1),n: Overturned afterwards,95 % interval,Items"
    assert sum(int(line.split(",")[-1]) for line in raw[raw.index(head) + 1 :]) == wrong
    assert any(line.lstrip("\"#' ").startswith("Overturned afterwards: decisions that approved and") for line in raw)
    assert "From,Median (s)" in door.page(f"/dashboards/oversight/review-time.csv?{PERIOD}")


def scale_in(chart: dict[str, Any]) -> float:
    """Seconds in one unit of the axis."""
    return {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}[chart["layout"]["yaxis"]["title"]["text"]]


@pytest.mark.django_db
def test_the_numbers_of_rules_and_cards_lead_to_their_lists(executive: User) -> None:
    some_decisions()
    door, followed = Door(executive), 0
    page = door.page(f"/dashboards/oversight/?{PERIOD}")
    links = re.findall(r'<a href="(/dashboards/oversight/behind/[^"]*of_rule[^"]*)">([\d,]+)</a>', page)
    for link, text in links:
        assert said_count(door.page(link)) == int(text.replace(",", "")), link
        followed += 1
    assert followed == 15, "decided, edited, rejected, expired and overturned of three rules"
    for part in ("decided", "as-asked", "expired"):
        assert f'<p class="v"><a href="/dashboards/oversight/behind/{part}/?' in page


@pytest.mark.django_db
def test_each_rule_is_in_its_file_with_what_expired_and_what_was_overturned(executive: User) -> None:
    some_decisions()
    write_facts(facts=Facts(decisions=[make_decision(kind="action", rule="late/all", outcome="expired")]))
    raw = Door(executive).page(f"/dashboards/oversight/by-rule.csv?{PERIOD}").splitlines()
    assert "# zone: Europe/Berlin" in raw
    head = next(line for line in raw if line.startswith("Rule,"))
    assert head == (
        "Rule,Decided,As asked (0..1),95 % interval,Approved with changes,Rejected or sent back,Expired unanswered,"
        "Overturned afterwards,Median wait (s)"
    )
    rows = {line.split(",")[0]: line.split(",") for line in raw[raw.index(head) + 1 :]}
    assert rows["late/all"] == ["late/all", "0", "", "", "0", "0", "1", "0", ""]
    rule = ApprovalFact.objects.filter(rule="payments/large")
    decided, as_asked = rule.filter(by_person=True).count(), rule.filter(outcome="approved", edited=False).count()
    told = rows["payments/large"]
    assert (int(told[1]), float(told[2])) == (decided, pytest.approx(as_asked / decided))
    assert int(told[6]) == rule.filter(outcome="expired").count() > 0
    wrong = ActionFact.objects.exclude(taken_back=False, reviewed=None, read_back=None).exclude(reviewed=True)
    overturned = rule.filter(outcome="approved", action_id__in=wrong.values("action_id"))
    assert int(told[7]) == overturned.count() > 0


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["oversight/behind/asked", "cost/behind/costs", "cost/behind/money"])
def test_a_list_says_of_what_it_is(executive: User, path: str) -> None:
    unit = make_unit(name="Branch North")
    query = f"{PERIOD}&unit={unit.slug}&version=3&simulated=true"
    page = Door(executive).page(f"/dashboards/{path}/?{query}")
    said = html.unescape(page.partition("<h1>")[2].partition("</header>")[0])
    assert "2026-11-01 to 2026-11-30, days of Europe/Berlin, as of 20" in said
    for words in ("Unit: Branch North", "Version: 3", "includes simulated history"):
        assert words in said


@pytest.mark.django_db
def test_units_see_their_own_alone_and_odd_parts_are_refused() -> None:
    own, other = make_unit(name="Own"), make_unit(name="Other")
    for unit, n in ((own, 2), (other, 3)):
        asked = [make_decision(kind="action", rule="p/r", outcome="rejected", unit_id=unit.pk) for _ in range(n)]
        write_facts(facts=Facts(decisions=asked))
    door = Door(make_holder("kpis.view_kpi", unit=own))
    (row,) = table_of(door.page(f"/dashboards/oversight/?{PERIOD}"))
    assert row[2][1] == "2"
    assert said_count(door.page(f"/dashboards/oversight/behind/asked/?{PERIOD}")) == 2
    for address, status in (
        ("behind/nothing/", 404),
        ("nothing.csv", 404),
        ("behind/asked/?of_version=x", 422),
        ("behind/asked/?of_policy=a%00b", 422),
        ("behind/asked/?of_reason=" + "x" * 4_000, 422),
        ("behind/asked/?of_policy=nobody&of_rule=nobody/x&of_reason=none", 200),
    ):
        assert door.browser.get(f"/dashboards/oversight/{address}").status_code == status, address
    stranger = Door(make_holder("audit.view_entry"))
    for address in ("behind/asked/", "rejections.csv", "by-policy.csv"):
        assert stranger.browser.get(f"/dashboards/oversight/{address}").status_code == 403, address


@pytest.mark.django_db
def test_nothing_asked_is_no_table_and_no_chart(executive: User) -> None:
    door = Door(executive)
    page = door.page(f"/dashboards/oversight/?{PERIOD}")
    assert "by-policy" not in page
    assert charts_of(page) == []
    assert door.browser.get(f"/dashboards/oversight/rejections.csv?{PERIOD}").status_code == 404
    assert "Nothing is behind this number" in door.page(f"/dashboards/oversight/behind/asked/?{PERIOD}")


SECRET = {
    "slug": "a-s3cret",
    "when": "action.amount_minor > 300000",
    "effect": "require_approval",
    "confidential": True,
    "message": "Ask the treasury.",
}


@pytest.mark.django_db
@pytest.mark.parametrize(("amount", "named"), [(200_000, "large"), (400_000, "confidential")])
def test_a_rejection_tells_its_reason_its_action_and_the_version_of_the_policy(amount: int, named: str) -> None:
    paid = make_payment(SECRET, parameters={"amount_minor": amount})
    item = Escalation.objects.get()
    say(make_approver(paid.queue), item, "reject", reason="No order", reason_code="missing_evidence")
    fold_entries(entries=list(Entry.objects.order_by("id")))
    rule = item.verdict["rules"][0]
    (fact,) = ApprovalFact.objects.all()
    told = (rule["version"], "missing_evidence", item.action_id)
    assert (fact.policy_version, fact.reason_code, fact.action_id) == told
    assert fact.rule == f"{rule['policy']}/{named}"
    assert rule["version"] > 0
    ApprovalFact.objects.update(policy_version=0, reason_code="", action_id=None)
    import_module("apps.kpis.migrations.0041_fill_why_people_rejected").fill(None, connection.schema_editor())
    (fact,) = ApprovalFact.objects.all()
    assert (fact.policy_version, fact.reason_code, fact.action_id) == told


@given(
    st.builds(
        AskedPart,
        policy=st.from_regex(r"[a-z-]{0,20}", fullmatch=True),
        version=st.one_of(st.none(), st.integers(0, 2**31 - 1)),
        rule=st.from_regex(r"[a-z-]{0,20}/?[a-z]{0,9}", fullmatch=True),
        reason=st.from_regex(r"[a-z_~|]{0,20}", fullmatch=True),
        mine=st.booleans(),
    )
)
def test_an_address_says_of_which_part_it_is(part: AskedPart) -> None:
    said = dict(one.split("=") for one in part.query.split("&") if one)
    read = {name: html.unescape(value).replace("%2F", "/").replace("%7C", "|") for name, value in said.items()}
    assert asked_part_of(read) == part
