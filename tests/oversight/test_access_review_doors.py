"""Access reviews by page and API: found by whoever is asked, decided by hand or together, exported."""

import csv
import io
import json
from typing import Any

import pytest
from django.test import Client
from lxml import html

from apps.access.models import Role, RoleGrant
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission
from apps.core.models import User
from apps.core.rules import digest_of
from apps.notifications.models import Delivery
from apps.notifications.services import raise_notice, spread_notices
from apps.oversight.models import AccessReview
from apps.oversight.selectors.access_reviews import shown_for
from apps.oversight.services import decide_right, sweep_access_reviews
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.access_reviews import age_rights, in_days, line_of, make_due, open_review
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_operation, permit
from tests.oversight.test_api import caller, post
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db
API = "/api/v1/access/reviews/"
PAGES = "/access/reviews/"


@pytest.fixture
def admin() -> User:
    return make_admin(username="ada")


@pytest.fixture
def page(admin: User, client: Client) -> Client:
    client.force_login(admin)
    return client


def opened(**more: Any) -> dict[str, Any]:
    return {"name": "Spring review", "due_at": in_days(14).isoformat(), **more}


def typed(**more: Any) -> dict[str, Any]:
    return {
        "name": "Spring review", "kinds": ["role", "operation"], "due_at": in_days(14).date().isoformat(),
        "at_due": "report", **more,
    }  # fmt: skip


class TestApi:
    def test_from_opening_to_the_sealed_evidence(self, admin: User) -> None:
        keep, drop = make_holder("kpis.view_kpi"), make_holder("halts.engage_halt")
        age_rights()
        client = caller(admin)
        made = post(client, API, opened(kinds=["role"]))
        assert made.status_code == 201, made.content
        base = f"{API}{made.json()['id']}/"
        rights = {row["holder"]: row for row in client.get(f"{base}rights/").json()["results"]}
        assert rights[drop.username]["use"] == "unused"
        for holder, say in ((keep, "keep"), (drop, "revoke")):
            at = f"{base}rights/{rights[holder.username]['id']}/"
            shown = client.get(at).json()
            assert shown["may_decide"] is True
            said = {"say": say, "reason": "Looked.", "seen": shown["seen"]}
            done = post(client, f"{at}decision/", said)
            assert done.status_code == 200, done.content
        assert not RoleGrant.objects.filter(user=drop, revoked_at=None).exists()
        closed = post(client, f"{base}close/", {}).json()
        rows = client.get(f"{base}rights/").json()["results"]
        assert {row["state"] for row in rows} == {"kept", "revoked", "left"}
        assert closed["digest"] == digest_of(rows)
        assert Entry.objects.get(name="access.review.closed").payload["digest"] == closed["digest"]

    def test_a_repeated_decision_with_its_key_is_answered_once(self, admin: User) -> None:
        holder, client = make_holder("kpis.view_kpi"), caller(admin)
        review = open_review(admin)
        line = line_of(review, holder)
        said = {"say": "revoke", "reason": "Gone.", "seen": line.seen}
        at = f"{API}{review.pk}/rights/{line.pk}/decision/"
        answers = [post(client, at, said, **{"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert Entry.objects.filter(name="rolegrant.revoked").count() == 1
        assert post(client, at, said).status_code == 409

    def test_another_state_of_the_right_is_a_conflict(self, admin: User) -> None:
        holder, client = make_holder("kpis.view_kpi"), caller(admin)
        review = open_review(admin)
        line = line_of(review, holder)
        Role.objects.filter(grants__user=holder).update(permissions=["kpis.view_kpi", "audit.view_entry"])
        at = f"{API}{review.pk}/rights/{line.pk}/"
        answer = post(client, f"{at}decision/", {"say": "keep", "reason": "x", "seen": line.seen})
        assert (answer.status_code, answer.json()["code"]) == (409, "stale")
        shown = client.get(at).json()
        assert shown["now"]["permissions"] == ["audit.view_entry", "kpis.view_kpi"]
        said = {"say": "keep", "reason": "x", "seen": shown["seen"]}
        assert post(client, f"{at}decision/", said).json()["state"] == "kept"

    def test_together(self, admin: User) -> None:
        idle = make_holder("halts.engage_halt")
        age_rights()
        review, client = open_review(admin, kinds=["role"]), caller(admin)
        body = {"say": "revoke", "use": "unused", "reason": "Not used."}
        (found,) = post(client, f"{API}{review.pk}/together/", body).json()["results"]
        assert (found["state"], found["problem"]) == ("revoked", "")
        assert not RoleGrant.objects.filter(user=idle, revoked_at=None).exists()
        refused = post(client, f"{API}{review.pk}/together/", body | {"use": "used"})
        assert refused.status_code == 422

    @pytest.mark.parametrize(
        ("wrong", "where"),
        [
            ({"due_at": "tomorrow"}, "due_at"),
            ({"unit": "no-such"}, "unit"),
            ({"kinds": "role"}, "kinds"),
            ({"kinds": ["sandwich"]}, "kinds"),
            ({"reviewers": [5]}, "reviewers.0"),
            ({"name": 5}, "name"),
            ({"at_due": "explode"}, "at_due"),
            ({"surprise": 1}, "surprise"),
        ],
    )
    def test_bad_input_says_where_and_opens_nothing(self, admin: User, wrong: dict[str, Any], where: str) -> None:
        answer = post(caller(admin), API, opened(**wrong))
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [where])
        assert not AccessReview.objects.exists()

    @pytest.mark.parametrize("query", ["?waiting=maybe", "?limit=0", "?surprise=1"])
    def test_odd_questions(self, admin: User, query: str) -> None:
        assert caller(admin).get(f"{API}{query}").status_code == 422

    def test_agents_are_refused_at_every_door(self, admin: User) -> None:
        agent = make_agent()
        grant(agent.user, make_role("access.manage_access", "agents.manage_agent"))
        client = Client(headers={"Authorization": f"Bearer {make_key_for(agent)}"})
        review = open_review(admin)
        line = review.lines.exclude(holder=admin).earliest("id")
        base = f"{API}{review.pk}/"
        doors = [API, f"{base}close/", f"{base}together/", f"{base}rights/{line.pk}/decision/"]
        assert {post(client, door, {}).status_code for door in doors} == {403}
        reads = [API, base, f"{base}rights/", f"{base}rights/{line.pk}/"]
        assert {client.get(door).status_code for door in reads} == {403}
        assert not review.lines.exclude(state="waiting").exists()

    def test_other_units_are_not_there(self, admin: User) -> None:
        here, there = make_unit(), make_unit()
        stranger = make_holder("access.manage_access", unit=here)
        make_holder("kpis.view_kpi", unit=there)
        review = open_review(admin, unit=there)
        client = caller(stranger)
        assert client.get(API).json()["results"] == []
        assert client.get(f"{API}{review.pk}/").status_code == 404
        assert post(client, f"{API}{review.pk}/close/", {}).status_code == 404


class TestPages:
    def test_the_empty_list_leads_to_the_form(self, page: Client) -> None:
        text = page.get(PAGES).content.decode()
        assert "No reviews yet" in text
        assert "/access/new-review/" in text
        assert PAGES in page.get("/access/").content.decode()

    def test_the_form_says_what_is_wrong_and_opens(self, page: Client) -> None:
        answer = page.post("/access/new-review/", typed(name="", reviewers="nobody"))
        assert answer.status_code == 422
        assert "attention" in answer.content.decode()
        answer = page.post("/access/new-review/", typed(reviewers="nobody"))
        assert (answer.status_code, "nobody" in answer.content.decode()) == (422, True)
        assert page.post("/access/new-review/", typed(due_at="9999-12-31")).status_code == 422
        assert not AccessReview.objects.exists()
        answer = page.post("/access/new-review/", typed())
        assert answer["Location"] == f"{PAGES}{AccessReview.objects.get().pk}/"

    def test_the_last_day_is_shown_as_it_was_typed(self, page: Client) -> None:
        make_holder("kpis.view_kpi")
        day = in_days(20)
        made = page.post("/access/new-review/", typed(due_at=day.date().isoformat()))
        for path in (PAGES, made["Location"]):
            shown = page.get(path).content.decode()
            assert f">{day.day} {day:%b %Y}, to its end in UTC</time>" in shown

    def test_a_right_without_a_reviewer_is_said(self, page: Client) -> None:
        answer = page.post("/access/new-review/", typed(), follow=True)
        assert "1 right has no reviewer" in answer.content.decode()

    def test_a_right_is_decided_by_hand(self, page: Client, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin)
        line = line_of(review, holder)
        at = f"{PAGES}{review.pk}/rights/{line.pk}/"
        shown = page.get(at)
        assert shown.context["form"].initial["seen"] == line.seen
        assert page.post(at, {"say": "revoke", "reason": "", "seen": line.seen}).status_code == 422
        assert page.post(at, {"say": "revoke", "reason": "x", "seen": "sha256:0"}).status_code == 409
        assert RoleGrant.objects.filter(user=holder, revoked_at=None).exists()
        assert page.post(at, {"say": "revoke", "reason": "x", "seen": line.seen}).status_code == 302
        assert not RoleGrant.objects.filter(user=holder, revoked_at=None).exists()

    def test_ones_own_right_offers_no_decision(self, page: Client, admin: User) -> None:
        review = open_review(admin)
        at = f"{PAGES}{review.pk}/rights/{line_of(review, admin).pk}/"
        assert "somebody else reviews it" in page.get(at).content.decode()
        seen = line_of(review, admin).seen
        assert page.post(at, {"say": "keep", "reason": "x", "seen": seen}).status_code == 403

    def test_an_operation_is_narrowed_by_hand(self, page: Client, admin: User) -> None:
        held = permit(make_agent().user, make_operation())
        review = open_review(admin, kinds=["operation"])
        line = line_of(review, held.user)
        at = f"{PAGES}{review.pk}/rights/{line.pk}/"
        said = {"say": "narrow", "reason": "Less.", "seen": line.seen, "amount": "50.00", "currency": "XXQ"}
        assert page.post(at, said).status_code == 422
        assert page.post(at, said | {"currency": "eur", "amount": "50.000"}).status_code == 422
        unheard = page.post(at, said | {"currency": "eur", "say": "keep"})
        assert (unheard.status_code, "narrow it: say so" in unheard.content.decode()) == (422, True)
        assert page.post(at, said | {"currency": "eur"}).status_code == 302
        held = OperationPermission.objects.get(pk=held.pk)
        assert (held.limit_minor, held.limit_currency) == (5000, "EUR")

    def test_together_names_what_it_would_do_and_does_only_that(self, page: Client, admin: User) -> None:
        idle, later = (make_holder("halts.engage_halt") for _ in range(2))
        age_rights()
        review = open_review(admin, kinds=["role"])
        at = f"{PAGES}{review.pk}/together/revoke_unused/"
        assert "Revoke 2 rights that were never used" in page.get(at).content.decode()
        assert RoleGrant.objects.filter(revoked_at=None, user__in=[idle, later]).count() == 2
        chosen = {"ids": [str(line_of(review, idle).pk), "odd"], "reason": "Not used."}
        assert page.post(at, chosen | {"reason": ""}).status_code == 422
        assert page.post(at, chosen).status_code == 302
        assert [held.user for held in RoleGrant.objects.filter(revoked_at=None, user__in=[idle, later])] == [later]
        assert page.get(f"{PAGES}{review.pk}/together/forget_all/").status_code == 404

    def test_no_more_queries_for_a_full_page(
        self, page: Client, admin: User, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(30):
            permit(make_agent().user, make_operation())
            make_holder("kpis.view_kpi")
        review = open_review(admin)
        with django_assert_max_num_queries(45):
            first = page.get(f"{PAGES}{review.pk}/")
        assert len(first.context["rows"]) == 25
        following = page.get(first.context["page"].next_url)
        assert following.context["rows"][0].line.pk > first.context["rows"][-1].line.pk

    @pytest.mark.parametrize("query", ["?show=mine", "?show=sandwich&kind=x&use=y", "?after=x", "?use=unused"])
    def test_filters(self, page: Client, admin: User, query: str) -> None:
        assert page.get(f"{PAGES}{open_review(admin).pk}/{query}").status_code == 200

    def test_what_nobody_decided_is_never_called_decided(self, page: Client, admin: User) -> None:
        grant(make_user(), make_role("workflows.view_run"))
        review = open_review(admin)
        kept, *rest = review.lines.all()
        decide_right(make_admin(), line=kept, say="keep", reason="Needed.", seen=shown_for(admin, [kept])[0].seen)
        page.post(f"{PAGES}{review.pk}/close/")
        text = " ".join(page.get(f"{PAGES}{review.pk}/").content.decode().split())
        assert f"1 of {len(rest) + 1} decided, {len(rest)} left undecided" in text

    def test_what_ends_soon_is_marked_and_found(self, page: Client, admin: User) -> None:
        roles = {days: make_role("workflows.view_run") for days in (10, 60, None)}
        ada = make_user()
        for days, role in roles.items():
            grant(ada, role, until=in_days(days) if days else None)
        path = f"{PAGES}{open_review(admin).pk}/"

        def listed(query: str) -> set[int | None]:
            rows = html.fromstring(page.get(f"{path}{query}").content).xpath("//tbody/tr/td/code/text()")
            return {days for days, role in roles.items() if role.slug in rows}

        assert (listed("?end=soon"), listed("?end=never"), listed("?end=x")) == ({10}, {None}, {10, 60, None})
        marked = html.fromstring(page.get(path).content).xpath(
            "//tr[.//span[text()='Ends within 30 days']]/td/code/text()"
        )
        assert marked == [roles[10].slug]

    def test_the_evidence_is_exported_without_formulas(self, page: Client, admin: User) -> None:
        holder = make_holder("kpis.view_kpi", username="=cmd")
        review = open_review(admin)
        line = line_of(review, holder)
        decide_right(admin, line=line, say="keep", reason="=HYPERLINK(1)", seen=line.seen)
        head, *rows = csv.reader(io.StringIO(page.get(f"{PAGES}{review.pk}/evidence.csv").content.decode()))
        found = {row[1]: dict(zip(head, row, strict=True)) for row in rows}
        assert found["'=cmd"]["reason"] == "'=HYPERLINK(1)"
        assert (found["'=cmd"]["state"], found["'=cmd"]["decided_by"]) == ("kept", "ada")
        assert json.loads(found["ada"]["after"] or "null") is None

    def test_who_holds_nothing_there_is_turned_away(self, admin: User, client: Client) -> None:
        review = open_review(admin)
        client.force_login(make_user())
        assert client.get(PAGES).status_code == 403
        assert client.get("/access/new-review/").status_code == 403
        assert client.get(f"{PAGES}{review.pk}/").status_code == 404
        assert client.get(f"{PAGES}{review.pk}/evidence.csv").status_code == 404

    def test_whoever_manages_a_unit_opens_none_over_everything(self, client: Client) -> None:
        unit = make_unit()
        client.force_login(make_holder("access.manage_access", unit=unit))
        assert client.post("/access/new-review/", typed()).status_code == 422
        assert not AccessReview.objects.exists()


class TestTelling:
    def told(self) -> set[tuple[str, User]]:
        for entry in Entry.objects.filter(name__startswith="access.review.").order_by("id"):
            raise_notice(entry.actor, entry=entry)
        spread_notices()
        rows = Delivery.objects.filter(channel="in_app").select_related("notice", "recipient")
        return {(row.notice.event, row.recipient) for row in rows}

    def test_the_reviewers_are_told_and_find_it(self, admin: User, client: Client) -> None:
        reviewer, other = make_admin(), make_holder("kpis.view_kpi")
        review = open_review(admin)
        assert self.told() == {("review", reviewer)}
        client.force_login(reviewer)
        assert "Waits for you" in client.get(PAGES).content.decode()
        assert "1 access review waits for you" in client.get("/control/").content.decode()
        notices = client.get("/notifications/").content.decode()
        assert "Rights wait for your review: Spring review" in notices
        (row,) = caller(reviewer).get("/api/v1/notifications/").json()["results"]
        assert row["review"] == str(review.pk)
        assert other not in {person for _event, person in self.told()}

    def test_they_are_reminded_and_the_opener_hears_of_the_end(self, admin: User) -> None:
        make_admin()
        review = open_review(admin, due_at=in_days(1))
        sweep_access_reviews()
        make_due(review)
        sweep_access_reviews()
        assert {("reviewed", admin)} == self.told()  # nobody is asked for what is over


def test_an_agents_pages_lead_there(admin: User, client: Client) -> None:
    desk: Desk = make_desk()
    client.force_login(make_holder("agents.view_agent", "agents.manage_agent", unit=desk.agent.unit))
    assert PAGES in client.get("/agents/").content.decode()
