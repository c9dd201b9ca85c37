"""Keys of agents over HTTP: rotation, expiry, networks, alarms, revocation, on behalf of; and a store that is away."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from apps.agents.models import Action, AgentCredential
from apps.agents.services import change_state, create_credential, revoke_credential
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.connectors.services import revoke_operation
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import ClockTimestamp
from apps.core.rules import caller_of, is_within, read_networks
from apps.notifications.models import Delivery
from apps.notifications.services.notices import spread_notices
from tests.conftest import drop_database
from tests.factories.access import make_admin, make_holder
from tests.factories.agents import make_key_for
from tests.serving import serving
from tests.workflows.actions import Desk, make_desk


def me(token: str, peer: str = "127.0.0.1", **headers: str) -> Any:
    return Client(REMOTE_ADDR=peer).get("/api/v1/me/", headers={"Authorization": f"Bearer {token}", **headers})


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.fixture
def desk() -> Desk:
    return make_desk()


class TestNetworks:
    def test_their_one_spelling(self) -> None:
        assert read_networks([" 10.0.0.0/8", "10.0.0.0/8", "192.0.2.7", "2001:DB8::/32"]) == (
            ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"],
            [],
        )
        odd = ["10.1.2.3/8", "nowhere", "10.0.0.0/33", "", "::ffff:10.0.0.0/104", "fe80::1%eth0"]
        assert read_networks(odd) == ([], odd)

    @pytest.mark.parametrize(
        ("address", "within"),
        [
            ("10.9.9.9", True), ("11.0.0.1", False), ("::ffff:10.0.0.1", True), ("2001:db8::1", True),
            ("", False), ("10.0.0.1, 11.0.0.1", False), ("fe80::1", False),
        ],
    )  # fmt: skip
    def test_where_an_address_lies(self, address: str, within: bool) -> None:
        assert is_within(address, ["10.0.0.0/8", "2001:db8::/32"]) is within

    @pytest.mark.parametrize(
        ("peer", "forwarded", "caller"),
        [
            ("192.0.2.7", "10.0.0.1", "192.0.2.7"),  # a stranger writes what they like
            ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
            ("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),  # the nearest that is not ours
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
            ("10.0.0.1", "192.0.2.7, rubbish", ""),
            ("", "192.0.2.7", ""),
            ("10.0.0.1", "fe80::1%<b>", "fe80::1"),
        ],
    )
    def test_who_calls_behind_proxies(self, peer: str, forwarded: str, caller: str) -> None:
        assert caller_of(peer, forwarded, ["10.0.0.0/8"]) == caller

    @pytest.mark.django_db
    def test_from_elsewhere_it_is_refused_and_told(self, desk: Desk) -> None:
        token = create_credential(make_admin(), agent=desk.agent, networks=["192.0.2.0/24"]).text
        assert me(token, "192.0.2.9").status_code == 200
        assert code_of(me(token, "198.51.100.1")) == (401, "network_not_allowed")
        told = Entry.objects.get(name="agent.key_refused").payload
        assert (told["address"], told["code"], told["times"]) == ("198.51.100.1", "network_not_allowed", 1)

    @pytest.mark.django_db
    def test_nobody_talks_their_way_in_and_our_own_proxy_is_believed(self, desk: Desk, settings: Any) -> None:
        token = create_credential(make_admin(), agent=desk.agent, networks=["192.0.2.0/24"]).text
        claim = {"X-Forwarded-For": "192.0.2.9"}
        assert me(token, "198.51.100.1", **claim).status_code == 401
        settings.TRUSTED_PROXIES = ("198.51.100.0/24",)
        assert me(token, "198.51.100.1", **claim).status_code == 200
        assert me(token, "198.51.100.1", **{"X-Forwarded-For": "192.0.2.9, 203.0.113.5"}).status_code == 401

    @pytest.mark.django_db
    @pytest.mark.parametrize("odd", ["10.1.2.3/8", "here"])
    def test_what_is_no_network_is_refused_by_name(self, desk: Desk, odd: str) -> None:
        with pytest.raises(InvalidError) as refused:
            create_credential(make_admin(), agent=desk.agent, networks=["10.0.0.0/8", odd])
        assert odd in refused.value.errors["networks"][0]
        client = Client()
        client.force_login(make_admin())
        body = json.dumps({"networks": [odd]})
        answer = client.post(f"/api/v1/agents/{desk.agent.slug}/credentials/", body, "application/json")
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["networks"])
        page = client.post(f"/agents/{desk.agent.slug}/keys/", {"days": 9, "networks": odd})
        assert page.status_code == 422
        assert odd in page.content.decode()
        assert AgentCredential.objects.count() == 1


@pytest.mark.django_db
class TestDeadKeys:
    def test_however_often_it_is_used_it_is_recorded_and_told_once(self, desk: Desk) -> None:
        admin = make_admin()
        issued = create_credential(admin, agent=desk.agent)
        revoke_credential(admin, credential=issued.credential)
        for _ in range(5):
            assert code_of(me(issued.text)) == (401, "credential_revoked")
        assert Entry.objects.filter(name="agentcredential.refused").count() == 1
        assert Entry.objects.filter(name="agent.key_refused").count() == 1
        assert AgentCredential.objects.get(pk=issued.credential.pk).refusals == 5
        while deliver_reactions() + spread_notices():
            pass
        assert set(Delivery.objects.values_list("recipient__username", flat=True)) >= {
            desk.agent.owner.username, admin.username,
        }  # fmt: skip
        client = Client()
        client.force_login(admin)
        assert "refused 5 times" in client.get(f"/agents/{desk.agent.slug}/").content.decode()

    def test_after_a_while_it_is_told_again_with_how_often_it_was(self, desk: Desk) -> None:
        token = make_key_for(desk.agent, expires_at=ClockTimestamp() - timedelta(days=1))
        me(token)
        me(token)
        AgentCredential.objects.update(alarmed_at=ClockTimestamp() - timedelta(minutes=16))
        assert code_of(me(token)) == (401, "credential_expired")
        assert [entry.payload["times"] for entry in Entry.objects.filter(name="agent.key_refused").order_by("id")] == [
            1, 3,
        ]  # fmt: skip

    def test_what_is_no_key_of_ours_alarms_nobody(self, desk: Desk) -> None:
        assert code_of(me(f"{desk.key[:-1]}x")) == (401, "not_authenticated")
        assert not Entry.objects.filter(name="agent.key_refused").exists()


@pytest.mark.django_db
class TestTheNextRequest:
    def test_one_key_takes_over_from_the_other(self, desk: Desk) -> None:
        admin = make_admin()
        new = create_credential(admin, agent=desk.agent)
        assert me(desk.key).status_code == me(new.text).status_code == 200
        with pytest.raises(ConflictError):
            create_credential(admin, agent=desk.agent)
        revoke_credential(admin, credential=AgentCredential.objects.exclude(pk=new.credential.pk).get())
        assert code_of(me(desk.key)) == (401, "credential_revoked")
        assert me(new.text).status_code == 200

    @pytest.mark.parametrize("days", [0, 91])
    def test_none_lives_longer_than_ninety_days(self, desk: Desk, days: int) -> None:
        with pytest.raises(InvalidError):
            create_credential(make_admin(), agent=desk.agent, days=days)

    def test_a_suspended_agent_does_nothing_and_its_epoch_has_moved(self, desk: Desk) -> None:
        assert desk.ask(100).status_code == 202
        before = desk.agent.epoch
        change_state(make_admin(), agent=desk.agent, to="suspended", reason="odd")
        assert code_of(desk.ask(100)) == (403, "agent_inactive")
        desk.agent.refresh_from_db()
        assert desk.agent.epoch == before + 1

    def test_a_revoked_permission_is_gone(self, desk: Desk) -> None:
        assert desk.ask(100).status_code == 202
        revoke_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, reason="no more")
        assert code_of(desk.ask(100)) == (404, "not_found")


@pytest.mark.django_db
class TestOnBehalfOf:
    def test_it_takes_the_permission_of_both_and_both_are_recorded(self, desk: Desk) -> None:
        person = make_holder("connectors.use_operation")
        assert desk.ask(100, on_behalf_of=person.username).status_code == 202
        action = Action.objects.get()
        assert (action.principal, action.on_behalf_of) == (desk.agent.user, person)
        entry = Entry.objects.filter(trail_id=action.pk).order_by("id")[0]
        assert (entry.actor, entry.on_behalf_of) == (desk.agent.user, person)

    def test_what_either_may_not_neither_may(self, desk: Desk) -> None:
        stranger, person = make_holder("kpis.view_kpi"), make_holder("connectors.use_operation")
        assert code_of(desk.ask(100, on_behalf_of=stranger.username)) == (403, "not_allowed")
        revoke_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, reason="no more")
        assert code_of(desk.ask(100, on_behalf_of=person.username)) == (404, "not_found")
        assert not Action.objects.exists()


@pytest.mark.django_db
class TestTheCommand:
    def test_it_makes_a_test_key_for_some_networks(self, desk: Desk) -> None:
        out = StringIO()
        call_command(
            "create_credential", desk.agent.slug, "--environment", "test", "--network", "127.0.0.0/8", stdout=out
        )
        token = out.getvalue().strip()
        assert me(token).json()["environment"] == "test"
        assert me(token, "192.0.2.1").status_code == 401

    def test_what_does_not_fit_is_said(self, desk: Desk) -> None:
        with pytest.raises(CommandError, match="no network"):
            call_command("create_credential", desk.agent.slug, "--network", "nowhere")
        with pytest.raises(CommandError, match="test"):
            call_command("create_credential", desk.agent.slug, "--environment", "play")


@pytest.mark.usefixtures("real_db")
def test_where_the_store_cannot_be_asked_nobody_is_let_in(tmp_path: Path) -> None:
    desk = make_desk()
    headers = {"Authorization": f"Bearer {desk.key}", "Idempotency-Key": "k1"}
    name = str(connection.settings_dict["NAME"])
    with serving(name, tmp_path) as address:
        body = desk.body(100)
        assert httpx.get(f"{address}/api/v1/me/", headers=headers, timeout=10).status_code == 200
        drop_database(name)
        for method, path in (("GET", "me/"), ("POST", "actions/"), ("POST", "actions/check/")):
            content = {} if method == "GET" else {"json": body}
            answer = httpx.request(method, f"{address}/api/v1/{path}", headers=headers, timeout=90, **content)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
            assert answer.headers["Retry-After"]
