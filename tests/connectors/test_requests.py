"""Asking for access: a refusal says how, people answer with one click, nobody learns what there is."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.connectors.models import AccessRequest, OperationPermission
from apps.connectors.services import grant_operation, request_access
from apps.core.errors import NotAllowedError
from apps.core.models import ClockTimestamp
from apps.notifications.models import Delivery
from apps.notifications.services.notices import spread_notices
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation, permit
from tests.oversight.test_api import caller, post
from tests.together import at_once
from tests.workflows.actions import Desk, make_desk

OWN = "me/access-requests/"


@pytest.fixture
def desk() -> Desk:
    return make_desk()


@pytest.fixture
def other(desk: Desk) -> Any:
    """An operation that the desk's agent may not use."""
    return make_operation(connector=make_connector())


def ask(desk: Desk, operation: str, **more: Any) -> Any:
    return desk.post(OWN, {"operation": operation, "reason": "The case needs it.", **more})


def answer(person: Any, asked: AccessRequest, verb: str, **body: Any) -> Any:
    return post(caller(person), f"/api/v1/access-requests/{asked.pk}/{verb}/", body)


@pytest.mark.django_db
class TestARefusalSaysHow:
    @pytest.mark.parametrize("path", ["actions/", "actions/check/"])
    def test_the_same_whether_or_not_there_is_such_an_operation(self, desk: Desk, other: Any, path: str) -> None:
        said = []
        for name in (other.slug, "no.such_operation"):
            refused = desk.post(path, {"operation": name, "parameters": {}}, key=name)
            assert refused.status_code == 404
            body = refused.json()
            assert body.pop("request_access") == {
                "method": "POST",
                "url": f"/api/v1/{OWN}",
                "body": {"operation": name},
            }
            body.pop("request_id")
            said.append(body)
        assert said[0] == said[1]

    def test_of_a_parameter_it_names_the_parameter(self, desk: Desk) -> None:
        OperationPermission.objects.update(fields=["amount_minor", "currency"])
        refused = desk.ask(100)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        how = refused.json()["request_access"]["body"]
        assert how == {"operation": desk.operation.slug, "fields": ["iban"]}
        assert desk.post(OWN, {**how, "reason": "To pay."}).status_code == 201

    def test_the_answers_to_asking_are_the_same_too(self, desk: Desk, other: Any) -> None:
        said = []
        for name in (other.slug, "no.such_operation"):
            made = ask(desk, name)
            assert made.status_code == 201, made.content
            again = ask(desk, name)
            assert again.status_code == 200
            body = again.json()
            said.append({each: body[each] for each in ("fields", "days", "state", "times", "answer", "answered_by")})
        assert said[0] == said[1]


@pytest.mark.django_db
class TestWhoIsAsked:
    def test_the_owner_and_who_manages_agents_there_once(self, desk: Desk, other: Any) -> None:
        manager = make_holder("agents.manage_agent", unit=desk.agent.unit)
        elsewhere = make_holder("agents.manage_agent", unit=make_unit())
        ask(desk, other.slug)
        ask(desk, other.slug)
        while deliver_reactions() + spread_notices():
            pass
        told = list(Delivery.objects.filter(channel="in_app").values_list("recipient__username", flat=True))
        assert sorted(told) == sorted([desk.agent.owner.username, manager.username])
        assert elsewhere.username not in told

    def test_nobody_else_sees_it(self, desk: Desk, other: Any) -> None:
        ask(desk, other.slug)
        asked = AccessRequest.objects.get()
        stranger = make_holder("agents.view_agent", "agents.manage_agent", unit=make_unit())
        assert caller(stranger).get("/api/v1/access-requests/").json()["results"] == []
        assert answer(stranger, asked, "grant", reason="x").status_code == 404
        assert caller(make_holder("kpis.view_kpi")).get("/api/v1/access-requests/").status_code == 403
        looker = make_holder("agents.view_agent", unit=desk.agent.unit)
        assert answer(looker, asked, "grant", reason="x").status_code == 403
        assert answer(looker, asked, "refuse", reason="x").status_code == 403
        assert AccessRequest.objects.get().outcome == ""

    def test_no_agent_answers_whatever_it_was_granted(self, desk: Desk, other: Any) -> None:
        ask(desk, other.slug)
        grant(desk.agent.user, make_role("agents.manage_agent", "agents.view_agent"))
        path = f"access-requests/{AccessRequest.objects.get().pk}/grant/"
        assert desk.post(path, {"reason": "me"}).status_code == 403
        assert not OperationPermission.objects.filter(content_object=other).exists()

    def test_people_ask_for_nothing_here(self) -> None:
        with pytest.raises(NotAllowedError):
            request_access(make_admin(), operation="a.b", reason="x")


@pytest.mark.django_db
class TestTheAnswer:
    def test_a_grant_acts_on_the_next_request_and_ends_by_itself(self, desk: Desk, other: Any) -> None:
        admin = make_admin()
        ask(desk, other.slug, fields=["amount_minor", "currency", "iban"], days=7)
        asked = AccessRequest.objects.get()
        assert desk.ask(100, operation=other.slug).status_code == 404
        done = answer(admin, asked, "grant", reason="Fine for a week.")
        assert (done.status_code, done.json()["state"]) == (200, "granted")
        held = OperationPermission.objects.get(user=desk.agent.user, content_object=other)
        assert held.fields == ["amount_minor", "currency", "iban"]
        days = held.until - asked.created_at
        assert timedelta(days=7) <= days < timedelta(days=7, hours=1)
        assert (held.granted_by, held.reason) == (admin, "Fine for a week.")
        assert desk.ask(100, operation=other.slug).status_code != 404
        mine = desk.get(OWN).json()["results"][0]
        assert (mine["state"], mine["answer"], mine["answered_by"]) == ("granted", "Fine for a week.", None)
        OperationPermission.objects.filter(pk=held.pk).update(until=ClockTimestamp() - timedelta(seconds=1))
        assert desk.ask(100, operation=other.slug).status_code == 404

    def test_a_grant_takes_nothing_away(self, desk: Desk) -> None:
        OperationPermission.objects.update(fields=["amount_minor", "currency"])
        ask(desk, desk.operation.slug, fields=["iban"])
        assert answer(make_admin(), AccessRequest.objects.get(), "grant", reason="It pays.").status_code == 200
        held = OperationPermission.objects.get()
        assert (held.fields, held.until) == (["amount_minor", "currency", "iban"], None)

    @pytest.mark.parametrize("ended", [False, True])
    def test_a_limit_that_it_has_or_had_until_it_ran_out_comes_along_and_is_said(self, desk: Desk, ended: bool) -> None:
        until = ClockTimestamp() - timedelta(seconds=1) if ended else None
        limit = {"limit_minor": 50_000, "limit_currency": "EUR"}
        OperationPermission.objects.update(fields=["amount_minor"], until=until, **limit)
        ask(desk, desk.operation.slug, fields=["iban"])
        admin, asked, client = make_admin(), AccessRequest.objects.get(), Client()
        client.force_login(admin)
        said = "It comes with the limit that it had: 500.00 EUR for each use."
        assert said in client.get("/access/requests/").content.decode()
        assert answer(admin, asked, "grant", reason="It pays.").status_code == 200
        held = OperationPermission.objects.get()
        assert (held.limit_minor, held.limit_currency) == (50_000, "EUR")
        assert held.fields == (["iban"] if ended else ["amount_minor", "iban"])

    def test_refused_it_is_not_asked_again_for_a_week(self, desk: Desk, other: Any) -> None:
        ask(desk, other.slug)
        asked = AccessRequest.objects.get()
        assert answer(make_admin(), asked, "refuse", reason="Not its work.").status_code == 200
        again = ask(desk, other.slug)
        assert (again.status_code, again.json()["code"]) == (409, "previously_rejected")
        assert again.json()["reason"] == "Not its work."
        assert again.json()["retry"].startswith("after:")
        AccessRequest.objects.update(ended_at=ClockTimestamp() - timedelta(days=8))
        assert ask(desk, other.slug).status_code == 201

    @pytest.mark.parametrize("verb", ["grant", "refuse"])
    def test_it_takes_a_reason_and_is_given_once(self, desk: Desk, other: Any, verb: str) -> None:
        admin = make_admin()
        ask(desk, other.slug)
        asked = AccessRequest.objects.get()
        assert answer(admin, asked, verb, reason=" ").status_code == 422
        assert answer(admin, asked, verb).status_code == 422
        assert not OperationPermission.objects.filter(content_object=other).exists()
        assert answer(admin, asked, verb, reason="Yes.").status_code == 200
        for again in ("grant", "refuse"):
            assert answer(admin, asked, again, reason="Yes.").json()["code"] == "invalid_state"

    def test_a_retired_agent_is_granted_nothing(self, desk: Desk, other: Any) -> None:
        ask(desk, other.slug)
        admin, asked = make_admin(), AccessRequest.objects.get()
        change_state(admin, agent=desk.agent, to="retired", reason="It is over.")
        refused = answer(admin, asked, "grant", reason="Yes.")
        assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")
        asked.refresh_from_db()
        assert asked.ended_at is None
        assert not OperationPermission.objects.filter(content_object=other).exists()

    def test_what_does_not_exist_cannot_be_granted(self, desk: Desk) -> None:
        ask(desk, "no.such_operation")
        asked = AccessRequest.objects.get()
        assert answer(make_admin(), asked, "grant", reason="Why not.").status_code == 404
        assert AccessRequest.objects.get().outcome == ""
        assert answer(make_admin(), asked, "refuse", reason="There is none.").status_code == 200

    def test_parameters_that_do_not_exist_are_not_granted(self, desk: Desk, other: Any) -> None:
        ask(desk, other.slug, fields=["sudo"])
        refused = answer(make_admin(), AccessRequest.objects.get(), "grant", reason="Why not.")
        assert (refused.status_code, list(refused.json()["errors"])) == (422, ["fields.sudo"])
        assert AccessRequest.objects.get().outcome == ""

    def test_unanswered_it_lapses(self, desk: Desk, other: Any) -> None:
        ask(desk, other.slug)
        AccessRequest.objects.update(expires_at=ClockTimestamp() - timedelta(seconds=1))
        asked, admin = AccessRequest.objects.get(), make_admin()
        assert answer(admin, asked, "grant", reason="Late.").json()["code"] == "invalid_state"
        listed = caller(admin).get("/api/v1/access-requests/", {"state": "lapsed"}).json()["results"]
        assert [row["state"] for row in listed] == ["lapsed"]
        assert ask(desk, other.slug).status_code == 201
        assert Entry.objects.filter(name="agent.access_lapsed").count() == 1


@pytest.mark.django_db
class TestBounds:
    def test_five_wait_and_ten_are_taken_in_a_day(self, desk: Desk) -> None:
        for number in range(5):
            assert ask(desk, f"a.b{number}").status_code == 201
        sixth = ask(desk, "a.b6")
        assert (sixth.status_code, sixth.json()["code"]) == (429, "rate_limited")
        assert sixth["Retry-After"] == "3600"
        assert ask(desk, "a.b1").status_code == 200, "what waits already is found"
        AccessRequest.objects.update(ended_at=ClockTimestamp(), outcome="granted")
        for number in range(5):
            assert ask(desk, f"c.d{number}").status_code == 201
        AccessRequest.objects.update(ended_at=ClockTimestamp(), outcome="granted")
        assert ask(desk, "e.f").status_code == 429

    def test_what_waits_with_other_parameters_takes_no_more_in_unheard(self, desk: Desk, other: Any) -> None:
        assert ask(desk, other.slug, fields=["iban"]).status_code == 201
        for more in ({"fields": ["iban", "amount_minor"]}, {}):
            refused = ask(desk, other.slug, **more)
            assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")
            assert refused.json()["fields"] == ["iban"]
        assert ask(desk, other.slug, fields=["iban"]).json()["times"] == 2
        assert AccessRequest.objects.get().fields == ["iban"]

    def test_what_it_may_use_it_does_not_ask_for(self, desk: Desk) -> None:
        assert ask(desk, desk.operation.slug).json()["code"] == "invalid_state"
        OperationPermission.objects.update(fields=["iban"])
        assert ask(desk, desk.operation.slug, fields=["iban"]).json()["code"] == "invalid_state"

    def test_who_is_suspended_asks_for_nothing(self, desk: Desk, other: Any) -> None:
        desk.agent.state = "suspended"
        desk.agent.save()
        assert ask(desk, other.slug).json()["code"] == "agent_inactive"

    @pytest.mark.parametrize(
        ("more", "at"),
        [
            ({"reason": " "}, "reason"),
            ({"reason": "x" * 501}, "reason"),
            ({"days": 0}, "days"),
            ({"days": 91}, "days"),
            ({"days": "7"}, "days"),
            ({"fields": []}, "fields"),
            ({"fields": "iban"}, "fields"),
            ({"operation": "a\nb"}, "operation"),
            ({"operation": ""}, "operation"),
            ({"until": "2030-01-01"}, "until"),
        ],
    )
    def test_what_does_not_fit_is_named(self, desk: Desk, more: dict[str, Any], at: str) -> None:
        refused = ask(desk, **{"operation": "a.b", **more})
        assert (refused.status_code, list(refused.json()["errors"])) == (422, [at])
        assert not AccessRequest.objects.exists()


@pytest.mark.usefixtures("real_db")
def test_many_at_once_are_one_request() -> None:
    desk = make_desk()
    codes = [found.status_code for found in at_once(*[lambda: ask(desk, "a.b")] * 6)]
    assert sorted(codes) == [200] * 5 + [201]
    assert AccessRequest.objects.get().times == 6


@pytest.mark.usefixtures("real_db")
def test_asking_again_and_granting_at_once_hold_nobody_up() -> None:
    desk, admin = make_desk(), make_admin()
    desks = caller(admin)
    for _ in range(4):
        wanted = make_operation(connector=make_connector())
        assert ask(desk, wanted.slug).status_code == 201
        url = f"/api/v1/access-requests/{AccessRequest.objects.get(operation=wanted.slug).pk}/grant/"
        codes = [
            found.status_code
            for found in at_once(
                lambda url=url: post(desks, url, {"reason": "Yes."}),
                *[lambda wanted=wanted: ask(desk, wanted.slug)] * 3,
            )
        ]
        assert codes[0] == 200
        assert set(codes[1:]) <= {200, 409}


@pytest.mark.usefixtures("real_db")
def test_two_who_grant_the_same_at_once_grant_it_once() -> None:
    admin, agent, wanted = make_admin(), make_agent(), make_operation()

    def give() -> str:
        return grant_operation(admin, holder=agent.user, operation=wanted, reason="Yes.")[1]

    assert sorted(at_once(*[give] * 4)) == ["created", "unchanged", "unchanged", "unchanged"]


@pytest.mark.django_db
class TestPages:
    def test_a_ready_grant_and_one_click(self, desk: Desk, other: Any, client: Client) -> None:
        client.force_login(make_admin())
        desk.post(OWN, {"operation": other.slug, "reason": "<img src=x onerror=alert(1)> [click](http://evil)"})
        asked = AccessRequest.objects.get()
        page = client.get(f"/agents/{desk.agent.slug}/").content.decode()
        assert "<img src=x" not in page
        assert "with all its parameters" in page
        assert 'href="http://evil' not in page
        ends = (asked.created_at + timedelta(days=30)).date().isoformat()
        assert f'value="{ends}"' in page
        assert "1 request for access waits" in client.get("/control/").content.decode()
        assert client.post(f"/access/requests/{asked.pk}/grant/", {"until": ends}).status_code == 422
        client.post(f"/access/requests/{asked.pk}/grant/", {"until": ends, "reason": "It needs it."})
        held = OperationPermission.objects.get(content_object=other)
        assert held.until.date().isoformat() > ends or held.until.date().isoformat() == ends
        assert held.reason == "It needs it."

    def test_a_long_list_costs_no_more_than_a_short_one(self, client: Client) -> None:
        client.force_login(make_admin())
        asked: list[int] = []
        for _ in range(2):
            for _ in range(3):
                make_desk().post(OWN, {"operation": make_operation().slug, "reason": "x"})
            with CaptureQueriesContext(connection) as queries:
                assert client.get("/access/requests/").status_code == 200
            asked.append(len(queries))
        assert asked[0] == asked[1]

    def test_a_refusal_with_its_reason(self, desk: Desk, client: Client) -> None:
        client.force_login(make_admin())
        ask(desk, "no.such")
        asked = AccessRequest.objects.get()
        assert "it cannot be granted" in client.get("/access/requests/").content.decode()
        assert client.post(f"/access/requests/{asked.pk}/refuse/", {}).status_code == 422
        client.post(f"/access/requests/{asked.pk}/refuse/", {"reason": "There is none."})
        page = client.get("/access/requests/", {"state": "refused"}).content.decode()
        assert "There is none." in page
        assert "No agent asks for access" in client.get("/access/requests/").content.decode()

    def test_who_may_not_answer_sees_no_form(self, desk: Desk, other: Any, client: Client) -> None:
        ask(desk, other.slug)
        client.force_login(make_holder("agents.view_agent", unit=desk.agent.unit))
        page = client.get(f"/agents/{desk.agent.slug}/").content.decode()
        assert "Asks for" in page
        assert "/grant/" not in page
        assert client.get("/access/requests/").status_code == 200

    def test_of_another_agent_nobody_hears(self, desk: Desk, other: Any, client: Client) -> None:
        ask(desk, other.slug)
        stranger = make_agent()
        permit(stranger.user, other)
        client.force_login(make_holder("agents.view_agent", unit=stranger.unit))
        assert other.slug not in client.get("/access/requests/").content.decode()
