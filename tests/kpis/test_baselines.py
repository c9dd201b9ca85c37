"""Baselines: entered by one, approved by another, frozen then, and shown for what they are."""

import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from pypdf import PdfReader

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Baseline, Kpi
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.goals import LIVE
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import filter_of
from apps.kpis.rules.goals import BaselineSeen
from apps.kpis.selectors import baseline_for, kpis_for
from apps.kpis.selectors.goals import goals_for, provenance_of
from apps.kpis.services import (
    approve_baseline,
    decline_baseline,
    delete_kpi,
    remove_baseline,
    save_baseline,
    save_kpi,
    save_target,
    write_facts,
)
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.kpis import make_approved, make_baseline, make_cost, make_run
from tests.factories.workflows import make_workflow
from tests.oversight.test_api import caller, post

pytestmark = pytest.mark.django_db
COST, MANAGE = "cost_per_success_minor", "kpis.manage_target"
PAST = date(2026, 1, 1)
STARS = "run.output.check.stars"


def enter(actor: User, **fields: Any) -> tuple[Baseline, str]:
    values = {"slug": "was", "kpi": COST, "value": 300, "valid_from": PAST, "source": "Estimate", **fields}
    return save_baseline(actor, **values)


def approved(**fields: Any) -> Baseline:
    enter(make_admin(), **fields)
    return approve_baseline(make_admin(), slug=fields.get("slug", "was"))


def some_runs(day: int, n: int = 40) -> None:
    ended = datetime(2026, 11, day, 12, tzinfo=UTC)
    runs = [make_run(finished_at=ended, started_at=ended - timedelta(hours=1)) for _n in range(n)]
    write_facts(facts=Facts(runs=runs, decisions=[], costs=[make_cost(run) for run in runs]))


def saved(day: int) -> float | None:
    """Savings of the runs that ended on a day of November, in minor units."""
    query = {"from": f"2026-11-{day:02}", "to": f"2026-11-{day + 1:02}"}
    asked = filter_of(query, now=database_now(), zone=reporting_zone())
    return kpis_for(make_admin(), asked).totals["savings_minor"].figure.value


def test_somebody_else_approves_what_one_person_entered() -> None:
    author, other = make_admin(), make_admin()
    row, said = enter(author)
    assert (said, row.entered_by, row.approved_at, row.number) == ("created", author, None, 1)
    with pytest.raises(NotAllowedError) as refused:
        approve_baseline(author, slug="was")
    assert (refused.value.code, refused.value.members["why"]) == ("not_eligible", "requester")
    row.refresh_from_db()
    assert row.approved_at is None
    assert not Entry.objects.filter(name="baseline.approved").exists()
    found = approve_baseline(other, slug="was")
    assert (found.approved_by, found.approved_at is not None) == (other, True)
    entry = Entry.objects.get(name="baseline.approved")
    assert (entry.actor, entry.payload["value"], entry.payload["number"]) == (other, "300.0000", 1)
    with pytest.raises(ConflictError):
        approve_baseline(make_admin(), slug="was")


def test_only_who_may_set_baselines_there_approves_and_no_agent_or_system() -> None:
    unit = make_unit()
    workflow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=unit.slug)
    enter(make_admin(), workflow=workflow.slug)
    for person in (make_holder("kpis.view_kpi", unit=unit), make_holder(MANAGE, unit=make_unit())):
        with pytest.raises(NotAllowedError):
            approve_baseline(person, slug="was")
    assert Baseline.objects.get().approved_at is None
    assert approve_baseline(make_holder(MANAGE, unit=unit), slug="was").approved_at


def test_the_database_itself_lets_nobody_approve_their_own() -> None:
    person = make_admin()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_approved(entered_by=person, approved_by=person)


def test_what_nobody_approved_may_be_changed_in_place_and_counts() -> None:
    some_runs(10)
    enter(make_admin())
    assert saved(10) == 40 * 250
    row, said = enter(make_admin(), value=200)
    assert (said, row.number, Baseline.objects.count()) == ("changed", 2, 1)
    assert saved(10) == 40 * 150


def test_an_approved_one_stays_until_its_correction_is_approved() -> None:
    some_runs(10)
    approved()
    author = make_admin()
    with pytest.raises(InvalidError) as refused:
        enter(author, value=100)
    assert list(refused.value.errors) == ["reason"]
    row, said = enter(author, value=100, reason="It was net of tax.")
    assert (said, row.number, saved(10)) == ("proposed", 2, 40 * 250)
    assert baseline_for(make_admin(), "was").value == 300
    with pytest.raises(NotAllowedError):
        approve_baseline(author, slug="was")
    assert saved(10) == 40 * 250
    found = approve_baseline(make_admin(), slug="was")
    assert (found.number, found.value, saved(10)) == (2, Decimal(100), 40 * 50)
    assert [row.ended_at is None for row in Baseline.objects.order_by("number")] == [False, True]


def test_the_same_again_is_no_correction_and_a_newer_one_takes_the_place_of_one_that_waits() -> None:
    approved()
    admin = make_admin()
    assert enter(admin)[1] == "unchanged"
    first, _ = enter(admin, value=100, reason="Wrong.")
    assert enter(admin, value=100, reason="Wrong.")[0] == first
    second, _ = enter(admin, value=90, reason="Wrong too.")
    assert (second.number, Baseline.objects.filter(ended_at=None, corrects__isnull=False).get()) == (3, second)


def test_a_declined_correction_changes_nothing() -> None:
    some_runs(10)
    approved()
    enter(make_admin(), value=100, reason="Wrong.")
    decline_baseline(make_admin(), slug="was")
    assert saved(10) == 40 * 250
    with pytest.raises(ConflictError):
        approve_baseline(make_admin(), slug="was")
    with pytest.raises(ConflictError):
        decline_baseline(make_admin(), slug="was")


def test_a_later_one_leaves_older_weeks_as_they_were() -> None:
    some_runs(10)
    some_runs(20)
    approved()
    make_approved(slug="newer", kpi=COST, workflow="", value=100, valid_from=date(2026, 11, 15))
    assert (saved(10), saved(20)) == (40 * 250, 40 * 50)


def test_weeks_that_are_over_change_only_with_a_reason() -> None:
    approved()
    with pytest.raises(InvalidError) as refused:
        enter(make_admin(), slug="newer", value=100, valid_from=date(2026, 2, 1))
    assert list(refused.value.errors) == ["reason"]
    assert Baseline.objects.count() == 1
    enter(make_admin(), slug="newer", value=100, valid_from=date(2026, 2, 1), reason="Prices had risen.")
    future = database_now().date() + timedelta(days=30)
    assert enter(make_admin(), slug="future", value=100, valid_from=future)[1] == "created"


def test_one_whose_day_passed_before_anybody_approved_it_is_entered_anew() -> None:
    approved()
    enter(make_admin(), slug="newer", value=100, valid_from=database_now().date() + timedelta(days=30))
    Baseline.objects.filter(slug="newer").update(valid_from=date(2026, 2, 1))
    with pytest.raises(ConflictError):
        approve_baseline(make_admin(), slug="newer")
    assert Baseline.objects.get(slug="newer").approved_at is None


def test_what_nobody_approved_takes_the_place_of_no_approved_one() -> None:
    some_runs(20)
    approved()
    enter(make_admin(), slug="newer", value=1, valid_from=date(2026, 11, 15), reason="Higher savings!")
    enter(make_admin(), slug="own", workflow="", kpi="error_rate", value=0.5)
    assert saved(20) == 40 * 250


def test_an_approved_one_is_removed_by_two_and_the_first_alone_changes_nothing() -> None:
    some_runs(10)
    approved()
    author = make_admin()
    assert remove_baseline(author, slug="was") is False
    assert remove_baseline(author, slug="was") is False
    assert saved(10) == 40 * 250
    with pytest.raises(NotAllowedError):
        approve_baseline(author, slug="was")
    decline_baseline(make_admin(), slug="was")
    assert Baseline.objects.filter(LIVE).get().removal_by is None
    remove_baseline(author, slug="was")
    assert remove_baseline(make_admin(), slug="was") is False, "who asks too has not answered"
    assert approve_baseline(make_admin(), slug="was").ended_at is not None
    assert saved(10) is None
    assert enter(author)[0].number == 2


def test_what_waits_for_approval_is_counted_with_its_first_day_beside_what_needs_attention() -> None:
    def shown(**given: Any) -> str:
        client = Client()
        client.force_login(make_holder("kpis.view_kpi", **given))
        html = client.get("/dashboards/overview/").content.decode()
        return html.partition("<dt>Attention</dt>")[2].partition("</dd>")[0]

    assert "approval" not in shown()
    approved()
    assert "approval" not in shown()
    remove_baseline(make_admin(), slug="was")
    unit = make_unit()
    workflow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=unit.slug)
    enter(make_admin(), slug="own", workflow=workflow.slug, kpi="error_rate", value=0.5)
    Baseline.objects.filter(slug="own").update(changed_at=datetime(2026, 11, 3, 12, tzinfo=UTC))
    assert "2 baselines wait for approval, the first since 2026-11-03." in shown()
    assert 'href="/dashboards/goals/"' in shown()
    assert "1 baseline waits for approval, since" in shown(unit=make_unit()), "that of all workflows"
    asked = filter_of({}, now=database_now(), zone=reporting_zone())
    since = Entry.objects.get(name="baseline.removal_asked").occurred_at
    assert goals_for(make_holder("kpis.view_kpi", unit=make_unit()), asked).waiting == (("", since),)


def test_what_nobody_approved_one_person_removes() -> None:
    enter(make_admin())
    assert remove_baseline(make_admin(), slug="was")
    assert not Baseline.objects.filter(LIVE).exists()
    assert enter(make_admin())[0].number == 2, "nobody approves another than they looked at"
    with pytest.raises(ConflictError):
        approve_baseline(make_admin(), slug="was", number=1)


def test_a_period_is_held_against_the_baseline_of_its_last_day() -> None:
    make_baseline(workflow="", value=7200)
    make_baseline(workflow="", value=3600, valid_from=date(2026, 11, 11))
    some_runs(10)
    asked = filter_of({"from": "2026-11-10", "to": "2026-11-11"}, now=database_now(), zone=reporting_zone())
    found = kpis_for(make_admin(), asked).totals["cycle_time_p50_s"].baseline
    assert found is not None
    assert found.value == 7200


def test_where_savings_stand_it_is_said_what_they_rest_on() -> None:
    some_runs(10)
    owner = make_admin(name="Olga")
    enter(make_admin(), source="Log of May", n=120, period="May 2025", owner=owner)
    client = Client()
    client.force_login(make_admin())
    url = "/dashboards/overview/?from=2026-11-10&to=2026-11-11"
    page = client.get(url).content.decode()
    assert "Baseline: Log of May · May 2025 · n = 120 · owner Olga · not approved" in page
    assert "(not approved)" in page
    approve_baseline(make_admin(), slug="was")
    page = client.get(url).content.decode()
    assert "Baseline: Log of May · May 2025 · n = 120 · owner Olga" in page
    assert "not approved" not in page


def test_the_line_of_a_workflow_says_that_nobody_approved_what_its_verdict_rests_on() -> None:
    some_runs(10)
    enter(make_admin(), value=1)
    client = Client()
    client.force_login(make_admin())

    def places() -> list[str]:
        query = "?from=2026-11-09&to=2026-11-16&compare=none"
        page = client.get(f"/dashboards/overview/{query}").content.decode()
        cost = client.get(f"/dashboards/cost/{query}").content.decode()
        report = client.get("/reports/weekly/2026-W46/").content.decode()
        pdf = PdfReader(io.BytesIO(client.get(f"/dashboards/overview.pdf{query}").content))
        paper = re.sub(r"\s+", " ", " ".join(sheet.extract_text() for sheet in pdf.pages))
        lines, more = (
            page[page.index(f'id="{one}"') :].partition("</section>")[0] for one in ("by-workflow", "more-figures")
        )
        asked = report[report.index("the figures suggest") :].partition("</li>")[0]
        return [lines, more, cost[: cost.index('class="charts"')], asked, paper[paper.index("By workflow") :]]

    for told in (first := places()):
        assert "baseline not approved" in told
    assert re.search(r"EUR</a><br><span class=.small.>baseline not approved<", first[0])
    assert "(baseline not approved)" in first[0]
    savings = client.get("/dashboards/cost/?from=2026-11-09&to=2026-11-16").content.decode()
    assert "No baseline yet" not in savings[savings.index("kpi-savings_minor") :].partition("</section>")[0]
    approve_baseline(make_admin(), slug="was")
    for told in places():
        assert "not approved" not in told


def test_provenance_leaves_out_what_nobody_said() -> None:
    assert provenance_of(BaselineSeen(workflow="", kpi=COST, value=1, valid_from=PAST, source="Guess")) == "Guess"


def test_people_approve_on_the_page_and_their_own_not() -> None:
    author, other = Client(), Client()
    admin = make_admin()
    author.force_login(admin)
    other.force_login(make_admin())
    enter(admin)
    address = "/dashboards/goals/baselines/was/approve/"
    assert address not in author.get("/dashboards/goals/").content.decode()
    assert address in other.get("/dashboards/goals/").content.decode()
    own = author.post(address, {"number": "1"})
    assert (own.status_code, "it was you who entered it" in own.content.decode()) == (403, True)
    enter(admin, value=301)
    for stale in ("1", "", "x"):
        assert other.post(address, {"number": stale}).status_code == 302
        assert Baseline.objects.get().approved_at is None, "it was changed since one looked"
    assert other.post(address, {"number": "2"}).status_code == 302
    assert Baseline.objects.get().approved_at is not None
    enter(admin, value=100, reason="Net of tax.", source="Books of May")
    page = other.get("/dashboards/goals/").content.decode()
    assert "Source: Books of May" in page
    assert "corrects it to 1.00 EUR" in page
    assert "Net of tax." in page
    assert other.post("/dashboards/goals/baselines/was/decline/").status_code == 302
    assert "corrects it to" not in other.get("/dashboards/goals/").content.decode()


def test_the_database_itself_changes_and_removes_nothing_that_was_approved_or_ended() -> None:
    found = approved()
    enter(make_admin(), value=100, reason="Net of tax.")
    correction = Baseline.objects.get(corrects=found)
    decline_baseline(make_admin(), slug="was")
    rows = Baseline.objects.filter(pk=found.pk)
    for change in ({"value": 1}, {"source": "x"}, {"approved_by": make_admin()}, {"approved_at": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)
    for row in (found, correction):
        with pytest.raises(IntegrityError), transaction.atomic():
            Baseline.objects.filter(pk=row.pk)._raw_delete("default")
    with pytest.raises(IntegrityError), transaction.atomic():
        Baseline.objects.filter(pk=correction.pk).update(ended_at=None)
    assert (rows.get().value, rows.get().ended_at, Baseline.objects.count()) == (300, None, 2)


def test_of_those_from_before_the_ledger_knows_who_entered_them() -> None:
    author = make_admin()
    enter(make_admin())
    enter(author, value=301)
    Baseline.objects.update(entered_by=None)
    with connection.cursor() as cursor:
        cursor.execute(import_module("apps.kpis.migrations.0015_know_who_entered_baselines").KNOW)
    assert Baseline.objects.get().entered_by == author
    with pytest.raises(NotAllowedError):
        approve_baseline(author, slug="was")


def test_an_approved_one_stays_with_its_workflow_and_kpi() -> None:
    approved()
    with pytest.raises(ConflictError):
        enter(make_admin(), kpi="error_rate", value=0.5, reason="Another.")
    assert Baseline.objects.count() == 1


def test_what_figures_were_held_against_can_be_looked_up() -> None:
    approved()
    enter(make_admin(), value=100, reason="Net of tax.")
    approve_baseline(make_admin(), slug="was")
    person = make_admin()
    answer = caller(person).get("/api/v1/baselines/was/versions/").json()["results"]
    assert [(one["version"], one["value"], one["state"]) for one in answer] == [(1, 300, "ended")]
    assert answer[0]["approved_by"]
    client = Client()
    client.force_login(person)
    page = client.get("/dashboards/goals/").content.decode()
    assert "Versions that counted before" in page
    assert "3.00 EUR" in page


class Stars:
    """The figure ``stars`` of a workflow, as the console defines it."""

    def __init__(self) -> None:
        self.workflow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=make_unit().slug).slug

    def __call__(self, value: str, **more: str) -> str:
        about = {"slug": "stars", "name": "Stars", "aggregate": "mean", "direction": "up", "workflow": self.workflow}
        return save_kpi(system_user("console"), **{**about, "value": value, **more})[1]


@pytest.fixture
def stars(db: None) -> Stars:
    return Stars()


def test_what_a_system_entered_takes_two_people_whoever_ran_it() -> None:
    ran, other = make_admin(), make_admin()
    enter(system_user("console"))
    client = Client()
    client.force_login(ran)
    assert "Answer for it<" in client.get("/dashboards/goals/").content.decode()
    page = client.post("/dashboards/goals/baselines/was/approve/", {"number": "1"}, follow=True).content.decode()
    assert "now you answer for it" in page
    assert "Answer for it<" not in page
    row = Baseline.objects.get()
    assert (row.entered_by, row.approved_at) == (ran, None)
    with pytest.raises(NotAllowedError) as refused:
        approve_baseline(ran, slug="was")
    assert refused.value.code == "not_eligible"
    assert Baseline.objects.get().approved_at is None
    approve_baseline(other, slug="was")
    assert Baseline.objects.get().approved_by == other
    assert Entry.objects.filter(name="baseline.answered_for", actor=ran).count() == 1


def test_what_a_system_corrects_or_removes_takes_two_people() -> None:
    console, ran, other = system_user("console"), make_admin(), make_admin()
    approved()
    enter(console, value=500, reason="Counted anew.")
    approve_baseline(ran, slug="was")
    assert Baseline.objects.get(LIVE).value == 300
    with pytest.raises(NotAllowedError):
        approve_baseline(ran, slug="was")
    approve_baseline(other, slug="was")
    assert Baseline.objects.get(LIVE).value == 500
    remove_baseline(console, slug="was")
    assert approve_baseline(ran, slug="was").ended_at is None
    with pytest.raises(NotAllowedError):
        approve_baseline(ran, slug="was")
    assert Baseline.objects.get(LIVE).removal_by == ran
    approve_baseline(other, slug="was")
    assert not Baseline.objects.filter(LIVE).exists()


@pytest.mark.parametrize(
    ("before", "again", "more"),
    [
        (STARS, "run.output.check.stars ", {}),
        (STARS, "(run.output\n  .check['stars'])", {}),
        (STARS, f"{STARS} // as customers gave it", {}),
        (f"{STARS} * 2 + 1", f"({STARS} * 2) + 1", {}),
        ("run.context.check.all.map(one, one.stars)[0]", "run.context.check.all.map(each, each.stars)[0]", {}),
        (STARS, STARS, {"name": "Rating", "unit": "stars"}),
    ],
)
def test_what_means_the_same_changes_nothing_of_what_was_approved(
    stars: Stars, before: str, again: str, more: dict[str, str]
) -> None:
    stars(before)
    approved(kpi="stars", value=4, workflow=stars.workflow)
    digest = Kpi.objects.get().digest
    assert stars(again, **more) == "changed"
    row = Kpi.objects.get()
    assert (row.value, row.digest) == (again, digest)
    assert baseline_for(make_admin(), "was").number == 1
    assert baseline_for(make_admin(), "was").approved_at is not None


@pytest.mark.parametrize(
    ("value", "more"),
    [
        (f"{STARS} * 2", {}),
        (f"{STARS} + 0", {}),
        (f"{STARS} == 1", {"aggregate": "share"}),
        (STARS, {"aggregate": "sum"}),
        ("has(run.output.check.stars) ? 1 : 0", {}),
    ],
)
def test_a_figure_with_an_approved_baseline_is_another_one_only_after_two_people_ended_that(
    stars: Stars, value: str, more: dict[str, str]
) -> None:
    stars(STARS)
    approved(kpi="stars", value=4, workflow=stars.workflow)
    before = list(Kpi.objects.values())
    with pytest.raises(ConflictError) as refused:
        stars(value, **more)
    assert refused.value.code == "invalid_state"
    assert list(Kpi.objects.values()) == before
    remove_baseline(make_admin(), slug="was")
    with pytest.raises(ConflictError):
        stars(value, **more)
    with pytest.raises(ConflictError):
        delete_kpi(system_user("console"), kpi=Kpi.objects.get())
    assert baseline_for(make_admin(), "was").approved_at is not None
    approve_baseline(make_admin(), slug="was")
    assert stars(value, **more) == "changed"
    assert Kpi.objects.get().digest != before[0]["digest"]
    assert Baseline.objects.get().ended_at is not None
    client = Client()
    client.force_login(make_admin())
    assert "Versions that counted before" in client.get("/dashboards/goals/").content.decode()
    delete_kpi(system_user("console"), kpi=Kpi.objects.get())
    assert client.get("/dashboards/goals/").status_code == 200


def test_what_nobody_approved_of_a_figure_is_entered_anew_by_who_defines_it_anew(stars: Stars) -> None:
    stars(STARS)
    enter(make_admin(), kpi="stars", value=4, workflow=stars.workflow)
    stars(f"{STARS} * 2")
    now, before = baseline_for(make_admin(), "was"), Baseline.objects.get(number=1)
    assert (now.number, now.value, now.approved_at, now.entered_by) == (2, 4, None, system_user("console"))
    assert before.ended_at is not None
    assert approve_baseline(make_admin(), slug="was").approved_at is None, "The console alone defined it."
    assert approve_baseline(make_admin(), slug="was").approved_at is not None


def test_baselines_of_figures_of_others_are_named_to_nobody() -> None:
    workflow = make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=make_unit().slug)
    define = {"slug": "stars", "name": "Stars", "workflow": workflow.slug, "aggregate": "mean", "direction": "up"}
    save_kpi(system_user("console"), value="run.output.check.stars", **define)
    approved(kpi="stars", value=4, workflow=workflow.slug)
    save_target(make_admin(), slug="should", kpi="stars", value=5, workflow=workflow.slug)
    other, client = make_holder("kpis.view_kpi", unit=make_unit()), Client()
    client.force_login(other)
    page = client.get("/dashboards/goals/")
    assert (page.status_code, "stars" in page.content.decode()) == (200, False)
    for kind in ("baselines", "targets"):
        assert caller(other).get(f"/api/v1/{kind}/").json()["results"] == []
    assert caller(other).get("/api/v1/baselines/was/").status_code == 404


def test_programs_approve_the_version_that_they_looked_at() -> None:
    some_runs(10)
    author, other = make_admin(), make_admin()
    enter(author)
    mine, theirs = caller(author), caller(other)
    period = {"from": "2026-11-10", "to": "2026-11-11"}
    assert mine.get("/api/v1/kpis/", period).json()["totals"]["savings_minor"]["baseline_approved"] is False
    refused = post(mine, "/api/v1/baselines/was/approve/", {})
    assert (refused.status_code, refused.json()["code"], refused.json()["why"]) == (403, "not_eligible", "requester")
    assert post(theirs, "/api/v1/baselines/was/approve/", {"version": 2}).status_code == 409
    assert Baseline.objects.get().approved_at is None
    assert post(theirs, "/api/v1/baselines/was/approve/", {"version": 1}).json()["state"] == "approved"
    assert mine.get("/api/v1/kpis/", period).json()["totals"]["savings_minor"]["baseline_approved"] is True
    body = {"kpi": COST, "value": 100, "from": "2026-01-01", "source": "Estimate", "reason": "Net of tax."}
    answer = mine.put("/api/v1/baselines/was/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["value"], answer.json()["correction"]["value"]) == (202, 300, 100)
    assert post(theirs, "/api/v1/baselines/was/decline/", {}).json()["state"] == "approved"
    assert mine.delete("/api/v1/baselines/was/").status_code == 202
    assert post(theirs, "/api/v1/baselines/was/approve/", {}).json()["state"] == "ended"
