"""Secrets are planted everywhere they belong, used rightly and wrongly, and then looked for everywhere else."""

import base64
import logging

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from celery import current_app
from django.db import connection
from django.test import Client

from apps.access.services import create_token
from apps.agents.services import create_credential
from apps.audit.models import Entry, Payload
from apps.configuration.selectors import export_for
from apps.connectors.services import set_secret
from apps.core.rules import misplaced_secrets
from apps.core.services import system_user
from apps.notifications.services import save_chat_target
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent
from tests.factories.oversight import make_payment

pytestmark = pytest.mark.django_db
PASSWORD = "canary-password-that-nobody-guesses"
WRONG = "canary-password-with-a-typing-error"
TOTP_SECRET = base64.b32encode(b"canary of a second").decode()
SYSTEM = "canary-secret-of-the-bank"
CHAT = "https://chat.example.com/hooks/canary-of-a-webhook"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIcanary\n-----END RSA PRIVATE KEY-----"


@pytest.fixture
def planted(caplog, monkeypatch):
    """Where everything is said: the payment, the secrets by what they are, the answers and the messages to workers."""
    for name in ("", "apps", "django", "celery"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda *args, **more: sent.append(repr((args, more))))
    payment, console = make_payment(), system_user("console")
    ada = make_user(username="ada", password=PASSWORD, is_staff=True)
    TOTP.activate(ada, TOTP_SECRET)
    connector = payment.operation.connector
    type(connector).objects.filter(pk=connector.pk).update(auth={"type": "bearer"})
    connector.refresh_from_db()
    set_secret(make_admin(), connector=connector, secret=SYSTEM)
    save_chat_target(console, slug="chat", queue=payment.queue, url=CHAT)
    secrets = {
        "password": PASSWORD,
        "a wrong password": WRONG,
        "second factor": TOTP_SECRET,
        "secret of a system": SYSTEM,
        "webhook": "canary-of-a-webhook",
        "agent's key": create_credential(console, agent=payment.agent).text,
        "personal token": create_token(ada, user=ada),
    }
    return payment, secrets, sent


def asked(secrets: dict[str, str], payment) -> list[str]:
    """What is answered where secrets are used as they should be, and where they should not."""
    browser, eve = Client(), Client()
    answers = [browser.post("/accounts/login/", {"login": "ada", "password": typed}) for typed in (WRONG, PASSWORD)]
    answers.append(browser.post("/accounts/2fa/authenticate/", {"code": "000000"}))
    Client().post("/accounts/login/", {"login": PASSWORD, "password": "x"})  # the form shows what one typed oneself
    for text in (secrets["agent's key"], secrets["personal token"]):
        bodies = ("{", "{}", f'{{"operation": "{text}"}}', f'{{"{text}": 1}}', f'{{"a": {{"{text}": [1]}}}}')
        for bearer in (text, text[:-1], f"{text}x"):
            headers = {"Authorization": f"Bearer {bearer}", "Idempotency-Key": "k"}
            how = {"content_type": "application/json", "headers": headers}
            paths = ("me/", "nowhere/", "agents/", "actions/", "halts/")
            answers.extend(Client().get(f"/api/v1/{path}", headers=headers) for path in paths)
            answers.extend(Client().post("/api/v1/actions/", body, **how) for body in bodies)
    wanted = {"operation": payment.operation.slug, "parameters": payment.action.parameters}
    headers = {"Authorization": f"Bearer {secrets["agent's key"]}", "Idempotency-Key": "asked"}
    answers.append(Client().post("/api/v1/actions/", wanted, content_type="application/json", headers=headers))
    assert answers[-1].status_code in {201, 202}, "Workers have something to do."
    eve.force_login(make_admin())
    pages = ("/settings/tokens/", "/connectors/", "/access/chats/", "/audit/", "/access/people/ada/")
    things = (f"/connectors/{payment.operation.connector.slug}/", f"/agents/{payment.agent.slug}/")
    answers.extend(eve.get(page) for page in (*pages, *things))
    return [answer.content.decode() for answer in answers]


def found_in_the_database(text: str) -> list[str]:
    """The tables in which ``text`` stands: in clear, in base 64, or in bytes."""
    forms = [text, base64.b64encode(text.encode()).decode().rstrip("="), text.encode().hex()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE ANY(%s)', [[f"%{form}%" for form in forms]]
            )
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def test_no_secret_is_found_where_it_does_not_belong(planted, caplog):
    payment, secrets, sent = planted
    answers = asked(secrets, payment)
    for _savepoints, after_commit, _robust in connection.run_on_commit:
        after_commit()
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''} {record.args}" for record in caplog.records)
    exported = export_for(system_user("console"))
    ledger = repr(list(Payload.objects.values_list("content", flat=True)))
    assert Entry.objects.filter(name="user.sign_in_failed").exists()
    assert logged, "Nothing was logged: nothing was looked at."
    assert sent, "Nothing was sent to workers: nothing was looked at."
    for what, text in secrets.items():
        places = {
            "answers": [answer for answer in answers if text in answer],
            "logs": text in logged,
            "export": text in exported,
            "ledger": text in ledger,
            "messages": [message for message in sent if text in message],
            "database": found_in_the_database(text),
        }
        assert {place for place, seen in places.items() if seen} == set(), what


def test_the_search_of_the_database_finds_what_there_is():
    make_user(name="canary in clear")
    assert found_in_the_database("canary in clear") == ["core_user"]


class TestTheWrongField:
    """Whoever pastes a key where others read is told, and nothing of it is kept."""

    @pytest.mark.parametrize("where", ["goal", "reasoning", "parameters", "deep", "name"])
    @pytest.mark.parametrize("what", ["key", "pem"])
    def test_an_agent_is_refused(self, planted, where, what):
        payment, secrets, _sent = planted
        text = PEM if what == "pem" else f"my key is {secrets['personal token']}, use it"
        parameters = {"parameters": {"note": text}, "deep": {"a": [{"b": text}]}, "name": {text: {"x": 1}}}
        body = {"operation": payment.operation.slug, "parameters": parameters.get(where, {"note": "n"})}
        if where not in parameters:
            body[where] = text
        answer = Client().post(
            "/api/v1/actions/", body, content_type="application/json",
            headers={"Authorization": f"Bearer {secrets["agent's key"]}", "Idempotency-Key": "k"},
        )  # fmt: skip
        assert answer.status_code == 422
        assert "A secret stands here" in answer.content.decode()
        assert text not in answer.content.decode()
        path = {"parameters": "parameters.note", "deep": "parameters.a.0.b", "name": "parameters"}.get(where, where)
        assert list(answer.json()["errors"]) == [path]
        assert Entry.objects.filter(name="request.refused").exists()
        assert found_in_the_database("MIIcanary") == []

    def test_a_person_is_refused_on_a_page(self, planted):
        payment, secrets, _sent = planted
        admin_, boss = Client(), make_admin()
        admin_.force_login(boss)
        key = secrets["agent's key"]
        answer = admin_.post(f"/agents/{payment.agent.slug}/state/", {"to": "suspended", "reason": f"See {key}"})
        assert answer.status_code == 422
        assert "A secret stands here" in answer.content.decode()
        assert key not in answer.content.decode()
        payment.agent.refresh_from_db()
        assert payment.agent.state == "active"
        assert found_in_the_database(key) == []

    def test_where_secrets_belong_they_are_taken(self):
        assert misplaced_secrets({"secret": PEM, "password": PEM}) == []
        assert misplaced_secrets({"parameters": {"secret": PEM}}) == ["parameters.secret"]

    @pytest.mark.parametrize(
        "text", ["acp_agt_...", "acp_agt_<id>", "-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "DE00"]
    )
    def test_what_is_no_secret_is_none(self, text):
        assert misplaced_secrets({"reason": text}) == []

    def test_a_page_leads_back_to_what_was_typed_and_to_nowhere_else(self, client):
        client.force_login(make_admin())
        page = {"what": "everything", "reason": f"Odd. {PEM}"}
        for referer, back in (("http://testserver/halts/?x=1", True), ("http://elsewhere.example/halts/", False)):
            answer = client.post("/halts/engage/", page, headers={"referer": referer})
            assert answer.status_code == 422
            assert ("Back to the page before" in answer.content.decode()) is back
        told = [entry.payload["path"] for entry in Entry.objects.filter(name="request.refused")]
        assert told == ["/halts/engage/"] * 2

    def test_what_no_address_holds_is_noted_so_that_it_can_be_erased(self, client):
        client.force_login(make_admin())
        assert client.post("/access/people/x%00/roles/").status_code == 404
        assert Entry.objects.get(name="request.refused").payload["path"] == "/access/people/x\ufffd/roles/"

    def test_of_another_agent_s_key_only_the_shape_counts(self, db):
        key = create_credential(system_user("console"), agent=make_agent()).text
        assert misplaced_secrets(["x", {"y": f"({key})"}]) == ["1.y"]
