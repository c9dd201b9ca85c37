"""People's tokens over HTTP: never more than their holder may, or than they were given; never a fresh sign-in."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.access.models import Absence, PersonalToken, RoleGrant
from apps.access.services import create_token, revoke_token
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.notifications.services import add_browser
from apps.oversight.models import Job, Vote
from apps.oversight.services import perform_due_items
from tests.factories.access import make_holder, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.oversight import make_payment, say

pytestmark = pytest.mark.django_db
BASE = "/api/v1/"


def call(token: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
    content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    return Client().generic(method, f"{BASE}{path}", headers={"Authorization": f"Bearer {token}", **headers}, **content)


def token_of(user: User, **fields: Any) -> str:
    return create_token(user, user=user, **fields)


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def vote(token: str, payment: Any, **more: Any) -> Any:
    body = {"verdict": "approve", "version": payment.now().version, **more}
    return call(token, "POST", f"escalations/{payment.item.pk}/decision/", body)


class TestWhatItCarries:
    def test_all_that_its_holder_may_while_they_may(self) -> None:
        unit = make_unit()
        agent = make_agent(unit=unit)
        person = make_holder("agents.view_agent", unit=unit)
        token = token_of(person)
        assert call(token, "GET", f"agents/{agent.slug}/").status_code == 200
        RoleGrant.objects.filter(user=person).update(revoked_at=ClockTimestamp())
        assert code_of(call(token, "GET", f"agents/{agent.slug}/")) == (404, "not_found")

    def test_no_more_than_it_was_given(self) -> None:
        agent = make_agent()
        person = make_holder("agents.view_agent", "agents.manage_agent")
        token = token_of(person, permissions=["agents.view_agent"])
        assert call(token, "GET", f"agents/{agent.slug}/").status_code == 200
        answer = call(token, "POST", f"agents/{agent.slug}/state/", {"state": "suspended", "reason": "odd"})
        assert code_of(answer) == (404, "not_found")
        agent.refresh_from_db()
        assert agent.state == "active"

    def test_no_more_than_its_holder_may_whatever_it_says(self) -> None:
        agent = make_agent()
        token = token_of(make_holder("kpis.view_kpi"), permissions=["agents.view_agent"])
        assert code_of(call(token, "GET", f"agents/{agent.slug}/")) == (404, "not_found")

    def test_one_that_carries_something_else_sees_and_decides_no_item(self) -> None:
        payment = make_payment()
        token = token_of(payment.ada, permissions=["kpis.view_kpi"])
        assert call(token, "GET", "escalations/").json()["results"] == []
        assert call(token, "GET", f"escalations/{payment.item.pk}/").status_code == 404
        assert vote(token, payment).status_code in {403, 404}
        only_looks = token_of(payment.ada, permissions=["oversight.view_escalation"])
        assert call(only_looks, "GET", f"escalations/{payment.item.pk}/").status_code == 200
        assert code_of(vote(only_looks, payment)) == (403, "not_eligible")
        assert not Vote.objects.exists()
        decides = token_of(payment.ada, permissions=["oversight.view_escalation", "oversight.decide_escalation"])
        assert vote(decides, payment).status_code == 200

    def test_one_that_carries_something_else_takes_nobody_s_place(self) -> None:
        payment = make_payment()
        Absence.objects.create(
            user=payment.ada,
            delegate=payment.ben,
            planned_by=payment.ada,
            starts_at=ClockTimestamp() - timedelta(hours=1),
            ends_at=ClockTimestamp() + timedelta(hours=1),
        )
        token = token_of(payment.ben, permissions=["oversight.view_escalation"])
        assert code_of(vote(token, payment)) == (403, "not_eligible")

    def test_one_that_only_reads_changes_nothing(self) -> None:
        agent = make_agent()
        token = token_of(make_holder("agents.view_agent", "agents.manage_agent"), read_only=True)
        assert call(token, "GET", f"agents/{agent.slug}/").status_code == 200
        answer = call(token, "POST", f"agents/{agent.slug}/state/", {"state": "suspended", "reason": "odd"})
        assert code_of(answer) == (403, "token_reads_only")
        agent.refresh_from_db()
        assert agent.state == "active"

    def test_it_is_no_fresh_sign_in(self) -> None:
        payment = make_payment(risk="critical")
        answer = vote(token_of(payment.ada), payment, restated="2500.00")
        assert code_of(answer) == (403, "not_eligible")
        assert answer.json()["why"] == "step_up"
        assert not Vote.objects.exists()

    def test_an_answer_to_its_holder_is_none_to_it(self) -> None:
        person = make_holder("agents.manage_agent", "agents.view_agent")
        agent = make_agent()
        path, body = f"agents/{agent.slug}/", {"purpose": "Secret purpose."}
        assert call(token_of(person), "PATCH", path, body, **{"Idempotency-Key": "k"}).status_code == 200
        limited = token_of(person, permissions=["kpis.view_kpi"])
        assert call(limited, "PATCH", path, body, **{"Idempotency-Key": "k"}).status_code == 404

    def test_one_that_carries_only_some_rights_hands_none_of_them_on(self) -> None:
        payment = make_payment()
        token = token_of(payment.ada, permissions=["kpis.view_kpi"])
        begins, ends = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"
        body = {"starts_at": begins, "ends_at": ends, "delegate": payment.ben.username}
        assert code_of(call(token, "POST", "me/absences/", body)) == (403, "not_allowed")
        assert not Absence.objects.exists()


class TestMakingThem:
    def test_signed_in_by_the_api_shown_once_and_revoked(self, client: Any) -> None:
        person = make_holder("kpis.view_kpi")
        client.force_login(person)
        body = {"name": "nightly", "days": 7, "permissions": ["kpis.view_kpi"], "read_only": True}
        made = client.post(f"{BASE}me/tokens/", body, "application/json")
        assert made.status_code == 201, made.content
        text = made.json()["token"]
        assert call(text, "GET", "me/").json()["username"] == person.username
        (row,) = client.get(f"{BASE}me/tokens/").json()["results"]
        assert "token" not in row
        assert (row["permissions"], row["read_only"], row["name"]) == (["kpis.view_kpi"], True, "nightly")
        assert row["last_used_at"] is not None
        assert client.delete(f"{BASE}me/tokens/{row['id']}/").status_code == 204
        assert code_of(call(text, "GET", "me/")) == (401, "credential_revoked")

    def test_a_token_makes_no_token(self) -> None:
        person = make_holder("kpis.view_kpi")
        for fields in ({}, {"permissions": ["kpis.view_kpi"]}):
            assert code_of(call(token_of(person, **fields), "POST", "me/tokens/", {})) == (403, "not_allowed")
        assert PersonalToken.objects.count() == 2

    def test_an_agent_has_none(self) -> None:
        key = make_key_for(make_agent())
        assert code_of(call(key, "POST", "me/tokens/", {})) == (403, "not_allowed")
        assert code_of(call(key, "GET", "me/tokens/")) == (403, "not_allowed")

    def test_somebody_else_s_is_not_there(self, client: Any) -> None:
        token_of(make_user())
        client.force_login(make_user())
        path = f"{BASE}me/tokens/{PersonalToken.objects.get().pk}/"
        assert client.delete(path).status_code == 404
        assert client.post(f"/settings/tokens/{PersonalToken.objects.get().pk}/revoke/").status_code == 404
        assert PersonalToken.objects.get().revoked_at is None

    @pytest.mark.parametrize(
        ("fields", "at"),
        [
            ({"permissions": ["agents.fly"]}, "permissions"),
            ({"permissions": []}, "permissions"),
            ({"days": 0}, "days"),
            ({"days": 366}, "days"),
            ({"name": "x" * 81}, "name"),
        ],
    )
    def test_what_does_not_fit_is_named(self, fields: dict[str, Any], at: str) -> None:
        with pytest.raises(InvalidError) as refused:
            token_of(make_user(), **fields)
        assert list(refused.value.errors) == [at]
        assert not PersonalToken.objects.exists()

    def test_only_so_many_live(self) -> None:
        person = make_user()
        for _ in range(20):
            token_of(person)
        with pytest.raises(ConflictError):
            token_of(person)
        revoke_token(person, token=PersonalToken.objects.order_by("id")[0])
        token_of(person)

    def test_on_the_page_it_is_shown_once(self, client: Any) -> None:
        person = make_holder("kpis.view_kpi")
        client.force_login(person)
        sent = {"name": "nightly", "days": 7, "permissions": ["kpis.view_kpi"]}
        page = client.post("/settings/tokens/", sent, follow=True).content.decode()
        text = page.partition("acp_pat_")[2].partition("<")[0]
        assert call(f"acp_pat_{text}", "GET", "me/").status_code == 200
        assert "acp_pat_" not in client.get("/settings/tokens/").content.decode()
        client.post(f"/settings/tokens/{PersonalToken.objects.get().pk}/revoke/")
        assert code_of(call(f"acp_pat_{text}", "GET", "me/")) == (401, "credential_revoked")

    def test_on_the_page_none_that_is_live_is_out_of_sight(self, client: Any) -> None:
        person = make_user()
        token_of(person, name="of the whole year")
        for _ in range(21):
            token_of(person)
            PersonalToken.objects.exclude(name="of the whole year").update(revoked_at=ClockTimestamp())
        client.force_login(person)
        assert "of the whole year" in client.get("/settings/tokens/").content.decode()

    def test_on_the_page_nobody_picks_a_right_that_they_do_not_hold(self, client: Any) -> None:
        client.force_login(make_holder("kpis.view_kpi"))
        answer = client.post("/settings/tokens/", {"name": "n", "days": 7, "permissions": ["agents.manage_agent"]})
        assert answer.status_code == 422
        assert not PersonalToken.objects.exists()


def test_a_dead_one_is_recorded_once_in_a_while() -> None:
    person = make_user()
    text = token_of(person)
    PersonalToken.objects.update(expires_at=ClockTimestamp() - timedelta(days=1))
    for _ in range(4):
        assert code_of(call(text, "GET", "me/")) == (401, "credential_expired")
    assert Entry.objects.filter(name="personaltoken.refused").count() == 1


class TestWhatNoRightIsAskedFor:
    """What people do to their own votes, jobs and wishes asks for no right: a token must carry it all the same."""

    def test_no_worker_decides_for_one_that_only_looks(self) -> None:
        payment = make_payment(risk="low")
        body = {"verdict": "approve", "ids": [str(payment.item.pk)]}
        only_looks = token_of(payment.ada, permissions=["oversight.view_escalation"])
        assert code_of(call(only_looks, "POST", "escalations/bulk/", body)) == (403, "not_allowed")
        assert (Job.objects.count(), perform_due_items(), payment.now().state) == (0, 0, "pending")
        decides = token_of(payment.ada, permissions=["oversight.view_escalation", "oversight.decide_escalation"])
        assert call(decides, "POST", "escalations/bulk/", body).status_code == 202
        assert (perform_due_items(), payment.now().state) == (1, "approved")

    @pytest.mark.parametrize(("quorum", "verb"), [(1, "undo"), (2, "withdraw")])
    def test_one_that_only_looks_takes_no_vote_back(self, quorum: int, verb: str) -> None:
        payment = make_payment(quorum=quorum)
        say(payment.ada, payment.item, hold_s=60)
        only_looks = token_of(payment.ada, permissions=["oversight.view_escalation"])
        path = f"escalations/{payment.item.pk}/{verb}/"
        assert code_of(call(only_looks, "POST", path, {})) == (403, "not_allowed")
        assert Vote.objects.get().voided_at is None
        assert call(token_of(payment.ada), "POST", path, {}).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "me/deciding/", {"hold_s": 0}),
            ("PUT", "me/notifications/", {}),
            ("GET", "notifications/", None),
            ("POST", "notifications/seen/", {}),
            ("GET", "jobs/", None),
        ],
    )
    def test_what_is_one_s_own_is_not_a_limited_token_s(self, method: str, path: str, body: Any) -> None:
        person = make_holder("kpis.view_kpi")
        limited = token_of(person, permissions=["kpis.view_kpi"])
        assert code_of(call(limited, method, path, body)) == (403, "not_allowed")
        assert call(token_of(person), method, path, body).status_code == 200

    def test_nor_are_its_browsers(self) -> None:
        person = make_user()
        person.carries = frozenset({"kpis.view_kpi"})  # type: ignore[attr-defined] # as a limited token has it
        with pytest.raises(NotAllowedError):
            add_browser(person, endpoint="https://push.example/1", p256dh="", auth="", key="")
