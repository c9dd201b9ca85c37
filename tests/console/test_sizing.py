"""Narrowing an agent to what it uses: by page and API, all or nothing, undone with one click."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission, RightSizing
from apps.connectors.rules import Money
from apps.connectors.services import grant_operation
from apps.console.selectors import sizing
from apps.core.models import ClockTimestamp, User
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit
from tests.factories.connectors import make_connector, make_operation, permit
from tests.oversight.test_api import caller, post
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return make_admin()


@pytest.fixture
def desk() -> Desk:
    """It paid up to 800.00 and was denied more; it never used the second operation."""
    found = make_desk()
    spare = make_operation(slug="spare.pay")
    permit(found.agent.user, spare)
    for minor in (10_000, 80_000, 20_000_000):
        assert found.ask(minor).status_code in {201, 202}
    OperationPermission.objects.update(granted_at=ClockTimestamp() - timedelta(days=60))
    return found


def path(desk: Desk, rest: str = "") -> str:
    return f"/api/v1/agents/{desk.agent.slug}/right-sizing/{rest}"


def line_of(desk: Desk, **more: Any) -> dict[str, Any]:
    fields = ["amount_minor", "currency", "iban"]
    return {
        "operation": desk.operation.slug,
        "fields": fields,
        "limit": {"amount_minor": 80_000, "currency": "EUR"},
    } | more


def held() -> dict[str, Any]:
    rows = OperationPermission.objects.select_related("content_object")
    return {row.content_object.slug: (row.fields, row.limit, row.until) for row in rows}


def test_it_says_what_would_be_enough_and_what_that_would_have_stopped(desk: Desk, admin: User) -> None:
    found = {line["operation"]: line for line in caller(admin).get(path(desk)).json()["results"]}
    mine = found[desk.operation.slug]
    assert mine["proposed"] == {
        "revoke": False,
        "fields": ["amount_minor", "currency", "iban"],
        "limit": {"amount_minor": 80_000, "currency": "EUR"},
    }
    assert (mine["used"], mine["requests"], mine["stopped"], mine["needed"]) == (3, 3, 1, 0)
    assert mine["samples"] == [str(Action.objects.get(state="denied").pk)]
    assert found["spare.pay"]["proposed"]["revoke"] is True


def test_another_limit_is_replayed_and_changes_nothing(desk: Desk, admin: User) -> None:
    before = held()
    line = line_of(desk, limit={"amount_minor": 50_000, "currency": "EUR"})
    (found,) = post(caller(admin), path(desk, "replay/"), {"lines": [line]}).json()["results"]
    assert (found["stopped"], found["needed"]) == (2, 1)
    assert held() == before
    refused = post(caller(admin), path(desk, "replay/"), {"lines": [{"operation": "no.such"}]})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["no.such"])


def test_one_call_narrows_all_of_it_on_the_next_request_and_another_gives_it_back(desk: Desk, admin: User) -> None:
    before = held()
    lines = [line_of(desk), {"operation": "spare.pay", "revoke": True}]
    made = post(caller(admin), path(desk), {"lines": lines, "reason": "Not used."})
    assert made.status_code == 201, made.content
    assert held() == {desk.operation.slug: (["amount_minor", "currency", "iban"], Money(80_000, "EUR"), None)}
    assert desk.ask(80_001).status_code == 403
    assert desk.ask(80_000).status_code == 202
    assert Entry.objects.filter(name="agent.right_sized").count() == 1
    undone = post(caller(admin), path(desk, f"{made.json()['id']}/undo/"), {"reason": "It needs it."})
    assert (undone.status_code, undone.json()["skipped"]) == (200, [])
    assert held() == before
    assert desk.ask(80_001).status_code == 202
    again = post(caller(admin), path(desk, f"{made.json()['id']}/undo/"), {"reason": "Twice."})
    assert again.json()["code"] == "invalid_state"


def test_undoing_leaves_alone_what_somebody_changed_since(desk: Desk, admin: User) -> None:
    lines = [line_of(desk), {"operation": "spare.pay", "revoke": True}]
    made = post(caller(admin), path(desk), {"lines": lines, "reason": "Not used."}).json()
    less = Money(1_000, "EUR")
    grant_operation(
        admin, holder=desk.agent.user, operation=desk.operation, fields=lines[0]["fields"], limit=less, reason="Less."
    )
    undone = post(caller(admin), path(desk, f"{made['id']}/undo/"), {"reason": "Back."}).json()
    assert undone["skipped"] == [desk.operation.slug]
    assert held()[desk.operation.slug][1] == less
    assert "spare.pay" in held()


def test_undoing_revives_nothing_that_would_have_ended(desk: Desk, admin: User) -> None:
    OperationPermission.objects.update(until=ClockTimestamp() + timedelta(days=1))
    made = post(
        caller(admin), path(desk), {"lines": [{"operation": "spare.pay", "revoke": True}], "reason": "No."}
    ).json()
    row = RightSizing.objects.get()
    row.before[0]["until"] = "2020-01-01T00:00:00+00:00"
    row.save()
    undone = post(caller(admin), path(desk, f"{made['id']}/undo/"), {"reason": "Back."})
    assert undone.json()["code"] == "invalid_state"
    assert "spare.pay" not in held()
    row.refresh_from_db()
    assert row.undone_at is None


def test_who_does_not_see_the_system_does_not_use_the_undoing_up(desk: Desk, admin: User) -> None:
    hidden = make_operation(slug="hidden.pay", connector=make_connector(unit=make_unit()))
    permit(desk.agent.user, hidden)
    made = post(
        caller(admin), path(desk), {"lines": [{"operation": "hidden.pay", "revoke": True}], "reason": "No."}
    ).json()
    few = make_holder("agents.view_agent", "agents.manage_agent", unit=desk.agent.unit)
    undo = path(desk, f"{made['id']}/undo/")
    assert post(caller(few), undo, {"reason": "Back."}).status_code == 403
    assert RightSizing.objects.get().undone_at is None
    assert post(caller(admin), undo, {"reason": "Back."}).json()["skipped"] == []
    assert "hidden.pay" in held()


def test_after_a_month_nothing_is_undone(desk: Desk, admin: User) -> None:
    made = post(caller(admin), path(desk), {"lines": [line_of(desk)], "reason": "x"}).json()
    RightSizing.objects.update(created_at=ClockTimestamp() - timedelta(days=31))
    late = post(caller(admin), path(desk, f"{made['id']}/undo/"), {"reason": "Late."})
    assert late.json()["code"] == "invalid_state"


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        ([], "lines"),
        ([{"operation": "no.such", "revoke": True}], "no.such"),
        ([{"operation": "spare.pay"}, {"operation": "spare.pay"}], "lines.1.operation"),
        ([{"operation": "spare.pay", "fields": ["sudo"]}], "spare.pay.fields.sudo"),
        ([{"operation": "spare.pay", "until": None}], "lines.0.until"),
    ],
)
def test_what_does_not_fit_changes_nothing_at_all(desk: Desk, admin: User, lines: list[Any], at: str) -> None:
    before = held()
    lines = [*lines, line_of(desk)] if lines else []
    refused = post(caller(admin), path(desk), {"lines": lines, "reason": "x"})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, [at])
    assert held() == before
    assert not RightSizing.objects.exists()


def test_it_is_no_way_to_get_more(desk: Desk, admin: User) -> None:
    post(caller(admin), path(desk), {"lines": [line_of(desk)], "reason": "x"})
    for more in ({"fields": None}, {"limit": None}, {"limit": {"amount_minor": 80_001, "currency": "EUR"}}):
        refused = post(caller(admin), path(desk), {"lines": [line_of(desk, **more)], "reason": "x"})
        assert refused.status_code == 422
    assert post(caller(admin), path(desk), {"lines": [line_of(desk)], "reason": " "}).status_code == 422


def test_only_who_may_grant_narrows(desk: Desk) -> None:
    looker = make_holder("agents.view_agent", unit=desk.agent.unit)
    assert caller(looker).get(path(desk)).status_code == 200
    assert post(caller(looker), path(desk), {"lines": [line_of(desk)], "reason": "x"}).status_code == 403
    elsewhere = make_holder("agents.view_agent", "agents.manage_agent", unit=make_unit())
    assert caller(elsewhere).get(path(desk)).status_code == 404
    grant(desk.agent.user, make_role("agents.view_agent", "agents.manage_agent"))
    answer = desk.post(f"agents/{desk.agent.slug}/right-sizing/", {"lines": [line_of(desk)], "reason": "x"})
    assert answer.status_code == 403
    assert not RightSizing.objects.exists()


def test_what_is_used_seldom_is_not_lost_behind_what_is_used_often(
    desk: Desk, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = {"operation": "spare.pay", "parameters": desk.body()["parameters"]}
    assert desk.post("actions/", seldom, key="seldom").status_code in {201, 202}
    Action.objects.filter(operation="spare.pay").update(state="succeeded")  # no rule lets it through here
    assert desk.ask(70_000).status_code in {201, 202}
    assert desk.ask(70_000).status_code in {201, 202}
    monkeypatch.setattr(sizing, "READ", 2)
    found = {line["operation"]: line for line in caller(admin).get(path(desk)).json()["results"]}
    assert (found["spare.pay"]["requests"], found["spare.pay"]["cut"]) == (1, False)
    assert not found["spare.pay"]["proposed"] or not found["spare.pay"]["proposed"]["revoke"]
    often = found[desk.operation.slug]
    assert (often["used"], often["requests"], often["cut"], often["proposed"]) == (5, 1, True, None)


def test_what_is_too_new_is_left_alone(desk: Desk, admin: User) -> None:
    OperationPermission.objects.update(granted_at=ClockTimestamp() - timedelta(days=29))
    lines = caller(admin).get(path(desk)).json()["results"]
    assert [(line["young"], line["proposed"]) for line in lines] == [(True, None), (True, None)]


class TestThePage:
    def test_one_click_and_another_to_undo(self, desk: Desk, admin: User, client: Client) -> None:
        client.force_login(admin)
        assert "Uses 1 of 2 operations in 90 days." in client.get(f"/agents/{desk.agent.slug}/").content.decode()
        page = client.get(f"/agents/{desk.agent.slug}/right-size/").content.decode()
        assert "At most 800.00 EUR" in page
        assert "1 of 3 requests" in page
        sent = {"take": [desk.operation.slug, "spare.pay"], "reason": "Not used.", "act": "narrow"}
        assert client.post(f"/agents/{desk.agent.slug}/right-size/", sent).status_code == 302
        assert held() == {desk.operation.slug: (["amount_minor", "currency", "iban"], Money(80_000, "EUR"), None)}
        after = client.get(f"/agents/{desk.agent.slug}/right-size/").content.decode()
        assert "Nothing to narrow" in after
        made = RightSizing.objects.get()
        undo = f"/agents/{desk.agent.slug}/right-size/{made.pk}/undo/"
        assert undo in after
        assert client.post(undo, {}).status_code == 422
        assert client.post(undo, {"reason": "It needs it."}).status_code == 302
        assert len(held()) == 2

    def test_a_limit_is_turned_and_replayed(self, desk: Desk, admin: User, client: Client) -> None:
        client.force_login(admin)
        sent = {f"limit:{desk.operation.slug}": "500.00", "act": "replay", "take": [desk.operation.slug]}
        page = client.post(f"/agents/{desk.agent.slug}/right-size/", sent).content.decode()
        assert "2 of 3 requests" in page
        assert "1 was let through" in page
        assert held()[desk.operation.slug] == (None, None, None)
        client.post(f"/agents/{desk.agent.slug}/right-size/", {**sent, "act": "narrow", "reason": "Enough."})
        assert held()[desk.operation.slug][1] == Money(50_000, "EUR")

    @pytest.mark.parametrize("act", ["narrow", "replay"])
    def test_a_limit_that_is_no_amount_is_not_another_one(
        self, desk: Desk, admin: User, client: Client, act: str
    ) -> None:
        client.force_login(admin)
        slug, before = desk.operation.slug, held()
        sent = {"act": act, "take": [slug], f"limit:{slug}": "20.000", "reason": "Less."}
        answer = client.post(f"/agents/{desk.agent.slug}/right-size/", sent)
        assert (answer.status_code, held()) == (422, before)
        assert f"of {slug}, the amount" in answer.content.decode()

    def test_nothing_ticked_or_said_narrows_nothing(self, desk: Desk, admin: User, client: Client) -> None:
        client.force_login(admin)
        url = f"/agents/{desk.agent.slug}/right-size/"
        assert client.post(url, {"act": "narrow", "reason": "x"}).status_code == 422
        assert client.post(url, {"act": "narrow", "take": [desk.operation.slug]}).status_code == 422
        assert held()[desk.operation.slug] == (None, None, None)

    def test_who_may_not_narrow_sees_no_button(self, desk: Desk, client: Client) -> None:
        client.force_login(make_holder("agents.view_agent", unit=desk.agent.unit))
        page = client.get(f"/agents/{desk.agent.slug}/right-size/").content.decode()
        assert 'value="narrow"' not in page
        assert client.post(f"/agents/{desk.agent.slug}/right-size/", {"act": "narrow"}).status_code == 404
