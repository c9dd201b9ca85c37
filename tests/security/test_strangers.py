"""Whoever comes with what opens nothing is told so, and leaves one line: seen, and too little to fill a ledger."""

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.audit.models import Entry, Payload
from apps.core.keys import make_key
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent, make_key_for

pytestmark = pytest.mark.django_db


def knock(key: str, address: str = "192.0.2.7", method: str = "get", path: str = "me/"):
    headers = {"Authorization": f"Bearer {key}"}
    how = {} if method == "get" else {"content_type": "application/json"}
    return getattr(Client(REMOTE_ADDR=address), method)(f"/api/v1/{path}", headers=headers, **how)


def told() -> list[dict]:
    return [entry.payload for entry in Entry.objects.filter(name="request.refused").order_by("id")]


@pytest.mark.parametrize("kind", ["acp_agt", "acp_pat", "acp_tok", "other"])
def test_a_key_that_opens_nothing_leaves_a_line_and_never_itself(kind):
    make_key_for(make_agent())
    key = make_key(kind).text
    answer = knock(key)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    entry = Entry.objects.get(name="request.refused")
    assert (entry.actor.username, entry.payload["address"], entry.payload["path"]) == (
        "plane",
        "192.0.2.7",
        "/api/v1/me/",
    )
    assert key not in str(list(Payload.objects.values_list("content", flat=True)))


def test_guessing_leaves_one_line_for_each_address_and_a_bounded_number_in_all(monkeypatch):
    for _guess in range(25):
        assert knock(make_key("acp_agt").text).status_code == 401
    assert len(told()) == 1
    monkeypatch.setattr("apps.audit.services.refusals.STRANGERS_AT_MOST", 3)
    for number in range(20):
        assert knock(make_key("acp_pat").text, address=f"198.51.100.{number}").status_code == 401
    assert 1 <= len(told()) <= 7  # two minutes may have begun


def test_whoever_brings_no_key_at_all_leaves_none():
    assert Client().get("/api/v1/me/").status_code == 401
    assert Client().post("/api/v1/actions/", "{}", content_type="application/json").status_code == 401
    assert told() == []


def test_a_token_that_only_reads_and_tries_to_write_is_named():
    boss = make_admin()
    token = create_token(boss, user=boss, read_only=True)
    answer = knock(token, method="post", path="halts/")
    assert (answer.status_code, answer.json()["code"]) == (403, "token_reads_only")
    entry = Entry.objects.get(name="request.refused")
    assert (entry.actor, entry.payload["code"]) == (boss, "token_reads_only")


def test_a_key_in_an_address_is_kept_nowhere(caplog):
    boss = make_admin()
    token, pasted = create_token(boss, user=boss), make_key("acp_agt").text
    assert knock(token, method="post", path=f"agents/{pasted}/state/").status_code in {404, 422}
    answer = knock(token, method="delete", path=f"users/{make_user().username}/roles/x/?reason={pasted}")
    assert answer.status_code in {404, 405, 422}
    assert told()[0]["path"] == "/api/v1/agents/…/state/"
    assert pasted not in str(list(Payload.objects.values_list("content", flat=True)))


def test_a_reason_in_a_query_holds_no_key(caplog):
    boss, agent = make_admin(), make_agent()
    token, pasted = create_token(boss, user=boss), make_key("acp_agt").text
    make_key_for(agent)
    answer = knock(
        token,
        method="delete",
        path=f"agents/{agent.slug}/credentials/{agent.credentials.get().pk}/?reason=see+{pasted}",
    )
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["reason"])
    assert pasted not in answer.content.decode()
    assert agent.credentials.get().revoked_at is None
    assert told()[0]["code"] == "invalid"


def test_a_form_of_another_site_leaves_a_line(caplog):
    boss = make_admin()
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    for _again in range(3):
        answer = client.post("/halts/engage/", {"reason": "x"}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        assert "This form has expired" in answer.content.decode()
    assert [(one["code"], one["path"]) for one in told()] == [("csrf_failed", "/halts/engage/")]
