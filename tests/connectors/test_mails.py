"""Operations that send mails, against a real mail server: what arrives, what is refused, what nobody knows."""

import socket
import threading

import pytest

from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.connectors import services
from apps.connectors.adapters import http
from apps.connectors.models import ConnectorCall, Effect, Operation
from apps.connectors.rules import OperationSpec
from apps.connectors.rules.mails import draft_of
from apps.connectors.selectors import health_for
from apps.core.errors import InvalidError
from apps.core.rules import ValueProblem
from apps.core.services import system_user
from apps.workflows.services.actions import perform_due
from tests.connectors.mailroom import NOTE, TEMPLATES, Letterbox, mailing, make_mail_connector, signed_for, start
from tests.factories.access import make_admin
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.policies import make_policy
from tests.notifications.conftest import free_port
from tests.workflows.actions import Desk

pytestmark = pytest.mark.django_db
GIVEN = {"email": "ann@example.com", "number": "R-17", "text": "It is due.\n.\nQUIT\nBcc: spy@evil.example"}
SECRET = "canary-mail-77x/+q"


@pytest.fixture
def box():
    found = Letterbox()
    port = free_port()
    server = start(found, port)
    found.port = port
    yield found
    server.stop()


def sent(connector, parameters=None, **operation):
    """Send one mail, as the plane's worker does; its effect."""
    plane, agent = system_user("plane"), make_agent()
    made = mailing(connector, **operation)
    permit(agent.user, made)
    action = make_action(
        agent=agent, operation=made.slug, connector=connector.slug, state="approved", effect="irreversible",
        parameters=parameters or GIVEN,
    )  # fmt: skip
    services.prepare_effect(plane, action=action)
    effect = services.claim_effect(plane, action=action)
    return services.settle_effect(plane, effect=effect, call=services.dispatch_effect(plane, effect=effect))


def test_a_mail_arrives_as_it_was_described(box):
    effect = sent(make_mail_connector(box.port))
    (letter,) = box.letters
    assert (letter["To"], letter["From"], letter["Subject"]) == (
        "ann@example.com", "billing@plane.example", "Invoice R-17",
    )  # fmt: skip
    assert "It is due.\n.\nQUIT\nBcc: spy@evil.example" in letter.get_content().replace("\r\n", "\n")
    assert letter["Bcc"] is None
    assert letter["Auto-Submitted"] == "auto-generated"
    assert effect.state == "succeeded"
    assert effect.response["body"] == {"message_id": letter["Message-ID"], "recipients": ["ann@example.com"]}
    call = ConnectorCall.objects.get()
    assert (call.purpose, call.end, call.in_trouble) == ("effect", "answered", False)
    assert "ann@example.com" not in str(list(Entry.objects.filter(name__startswith="effect.").values("name")))


def test_words_beyond_ascii_arrive(box):
    sent(make_mail_connector(box.port), {**GIVEN, "number": "Größe 7 €", "text": "Grüße 🙂"})
    (letter,) = box.letters
    assert letter["Subject"] == "Invoice Größe 7 €"
    assert "Grüße 🙂" in letter.get_content()


@pytest.mark.parametrize(
    "parameters",
    [
        {"number": "R-17\r\nBcc: spy@evil.example"},
        {"number": "R-17\nX: y"},
        {"number": "a\x07b"},
        {"number": "a\u2028Bcc: b"},
        {"email": "ann@example.com\r\nBcc: spy@evil.example"},
        {"email": "ann@example.com, spy@evil.example"},
        {"email": "Ann <ann@example.com>"},
        {"email": "ann%evil.example@example.com"},
        {"email": "ann@evil.example"},
        {"email": "ann@example.com.evil.example"},
        {"email": "ann@sub.example.com"},
        {"email": "a@b@example.com"},
        {"email": ""},
        {"text": "a\x1b[31m"},
        {"number": "x" * 400},
    ],
)
def test_no_parameter_leaves_its_place(box, parameters):
    connector = make_mail_connector(box.port)
    operation = mailing(connector)
    with pytest.raises(ValueProblem) as refused:
        draft_of(operation.mail, {**GIVEN, **parameters}, domains=connector.mail["recipients"], amount=None)
    assert refused.value.path == next(iter(parameters))
    effect = sent(make_mail_connector(box.port), {**GIVEN, **parameters})
    assert (effect.state, effect.error["code"]) == ("failed", "not_configured")
    assert box.letters == []


def test_an_agent_is_told_at_once_what_does_not_fit(box):
    agent = make_agent()
    operation = mailing(make_mail_connector(box.port))
    permit(agent.user, operation)
    make_policy(unit=agent.unit)
    desk = Desk(agent, make_key_for(agent), operation, None, None, None)
    body = {"operation": operation.slug, "parameters": {**GIVEN, "email": "ann@evil.example"}}
    answer = desk.post("actions/", body, key="a")
    assert answer.status_code == 422
    assert "example.com, example.org" in answer.json()["errors"]["parameters.email"][0]
    body["parameters"]["email"] = "ann@example.org"
    assert desk.post("actions/", body, key="b").status_code == 202
    assert perform_due() == 1
    assert box.letters[0]["To"] == "ann@example.org"


def test_a_refused_recipient_fails_and_nothing_is_sent(box):
    box.refusals["bob@example.org"] = "550 no such mailbox"
    connector = make_mail_connector(box.port)
    mail = {**TEMPLATES, "to": ["{email}", "bob@example.org"]}
    effect = sent(connector, mail=mail)
    assert (effect.state, effect.error["code"], effect.error["status"]) == ("failed", "refused_by_system", 550)
    assert "no such mailbox" in effect.error["message"]
    assert box.letters == []
    assert health_for(make_admin(), connector).troubled == 0, "it is about the recipient, not about the server"


@pytest.mark.parametrize("answer", ["451 try later", "452 full"])
def test_later_is_tried_again_and_has_not_begun(box, answer):
    box.answers = [answer]
    effect = sent(make_mail_connector(box.port))
    assert (effect.state, effect.deferrals, effect.error["code"]) == ("prepared", 1, "busy")
    assert effect.retry_at is not None
    assert box.letters == []


def test_a_mail_that_the_server_refuses_after_reading_it_failed(box):
    box.answers = ["554 that is spam"]
    effect = sent(make_mail_connector(box.port))
    assert (effect.state, effect.error["status"]) == ("failed", 554)


def test_silence_after_the_mail_is_unknown(box):
    box.slow_s = 3
    effect = sent(make_mail_connector(box.port), timeout_s=1)
    assert (effect.state, effect.error["code"], effect.retry_at) == ("unknown", "no_answer", None)
    assert effect.duration_ms < 2_500


def test_a_broken_connection_after_the_mail_is_unknown(box):
    box.hangs_up = True
    effect = sent(make_mail_connector(box.port))
    assert (effect.state, effect.error["code"]) == ("unknown", "no_answer")


def test_nobody_there_has_failed(closed_port):
    effect = sent(make_mail_connector(closed_port))
    assert (effect.state, effect.error["code"]) == ("failed", "unreachable")


@pytest.fixture
def odd():
    """A server that says what it is told to, line by line, and then nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    lines, stop = [], threading.Event()

    def serve():
        while not stop.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                for raw, pause in lines:
                    try:
                        peer.sendall(raw)
                    except OSError:
                        break
                    stop.wait(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], lines
    stop.set()
    listener.close()
    thread.join(2)


@pytest.mark.parametrize(
    "said",
    [
        [(b"HTTP/1.1 200 OK\r\n\r\n", 0)],
        [(b"220-" + b"x" * 900 + b"\r\n", 0)] * 200,
        [(b"2", 0.05)] * 100,
        [(b"554 go away\r\n", 0)],
    ],
)
def test_what_does_not_speak_smtp_gets_no_mail_and_holds_nobody_up(odd, said):
    port, lines = odd
    lines += said
    effect = sent(make_mail_connector(port), timeout_s=1)
    assert effect.state == "failed"
    assert effect.duration_ms < 2_500


def test_mail_goes_under_tls_to_the_name_on_the_certificate(box, tmp_path, monkeypatch, caplog):
    caplog.set_level("CRITICAL", "mail.log")  # the server tells of handshakes that fail
    authority, context = signed_for("localhost", tmp_path)
    port = free_port()
    server = start(box, port, tls_context=context)
    trusted = http.tls_context.__wrapped__()
    trusted.load_verify_locations(authority)
    monkeypatch.setattr("apps.connectors.adapters.smtp.tls_context", lambda: trusted)
    mail = {"from": "billing@plane.example", "recipients": ["example.com"]}
    try:
        reached = sent(make_mail_connector(port, base_url=f"smtp://localhost:{port}", mail=mail))
        other = sent(make_mail_connector(port, base_url=f"smtp://127.0.0.1:{port}", mail=mail))
    finally:
        server.stop()
    assert (reached.state, len(box.letters)) == ("succeeded", 1)
    assert (other.state, other.error["code"]) == ("failed", "unreachable"), "the certificate is for another name"


def test_tls_from_the_first_byte(tmp_path, monkeypatch):
    authority, context = signed_for("localhost", tmp_path)
    trusted = http.tls_context.__wrapped__()
    trusted.load_verify_locations(authority)
    monkeypatch.setattr("apps.connectors.adapters.smtp.tls_context", lambda: trusted)
    mail = {"from": "billing@plane.example", "recipients": ["example.com"]}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        heard = []
        thread = threading.Thread(target=one_conversation, args=(listener, context, heard), daemon=True)
        thread.start()
        effect = sent(make_mail_connector(port, base_url=f"smtps://localhost:{port}", mail=mail))
        thread.join(5)
    assert effect.state == "succeeded"
    assert b"Subject: Invoice R-17" in heard


def one_conversation(listener, context, heard):
    """A mail server that takes one mail under TLS from the first byte."""
    peer, _address = listener.accept()
    with context.wrap_socket(peer, server_side=True) as speaking, speaking.makefile("rb") as lines:
        speaking.sendall(b"220 there\r\n")
        is_mail = False
        for line in lines:
            heard.append(line.strip())
            if not is_mail or line == b".\r\n":
                is_mail = line == b"data\r\n"
                speaking.sendall(b"354 go on\r\n" if is_mail else b"250 fine\r\n")


def test_without_tls_nothing_is_said_to_a_server_that_has_to_have_it(box):
    mail = {"from": "billing@plane.example", "recipients": ["example.com"]}
    effect = sent(make_mail_connector(box.port, mail=mail))
    assert (effect.state, effect.error["code"]) == ("failed", "not_configured")
    assert box.letters == []


def test_the_secret_signs_in_and_is_said_nowhere(box):
    port = free_port()
    server = start(box, port, authenticator=box.authenticate, auth_require_tls=False)
    connector = make_mail_connector(port, auth={"type": "basic", "username": "plane"})
    admin = make_admin()
    services.set_secret(admin, connector=connector, secret=SECRET)
    box.passwords = {SECRET}
    try:
        effect = sent(connector)
        services.set_secret(admin, connector=connector, secret="the new one 1", overlap_s=3600)
        stood_in = sent(connector, slug="again.mail")
        services.drop_older_secret(admin, connector=connector)
        refused = sent(connector, slug="third.mail")
    finally:
        server.stop()
    assert (effect.state, box.logins[0]) == ("succeeded", ("plane", SECRET))
    assert stood_in.error is None, (stood_in.error, box.logins)
    assert (stood_in.state, len(box.letters)) == ("succeeded", 2)
    assert (refused.state, refused.error["code"]) == ("failed", "not_configured")
    assert SECRET not in str([refused.error, effect.response, list(ConnectorCall.objects.values())])
    assert ConnectorCall.objects.filter(in_trouble=True).count() == 1


def test_what_is_outside_gets_no_mail_without_tls(box, monkeypatch):
    monkeypatch.setattr("apps.connectors.adapters.smtp.checked_addresses", lambda *_a, **_k: ["203.0.114.7"])
    effect = sent(make_mail_connector(box.port, base_url="smtp://relay.example.com:25"))
    assert (effect.state, effect.error["code"]) == ("failed", "egress_refused")


def test_inside_addresses_stay_out_of_reach_unless_allowed(box):
    effect = sent(make_mail_connector(box.port, allow_internal=False))
    assert (effect.state, effect.error["code"]) == ("failed", "egress_refused")


def test_only_the_ports_of_mail_servers(box, settings):
    settings.ACP_MAIL_PORTS = "465"
    effect = sent(make_mail_connector(box.port))
    assert (effect.state, effect.error["code"]) == ("failed", "not_configured")


SYSTEM = {"slug": "post", "name": "Post", "base_url": "smtp://mail.example.com", "adapter": "email"}
MAIL = {"from": "billing@plane.example", "recipients": ["example.com"]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mail": None}, "mail"),
        ({"mail": {"from": "x"}}, "mail"),
        ({"mail": {**MAIL, "from": "Plane <a@b.example>"}}, "mail.from"),
        ({"mail": {**MAIL, "recipients": []}}, "mail.recipients"),
        ({"mail": {**MAIL, "recipients": ["*"]}}, "mail.recipients"),
        ({"mail": {**MAIL, "tls": "maybe"}}, "mail.tls"),
        ({"auth": {"type": "bearer"}}, "auth.type"),
        ({"base_url": "https://mail.example.com"}, "base_url"),
        ({"base_url": "smtp://mail.example.com:22"}, "base_url"),
        ({"adapter": "http", "base_url": "https://mail.example.com"}, "mail"),
        ({"adapter": "fax"}, "adapter"),
    ],
)
def test_a_mail_server_is_described_strictly(changes, field):
    with pytest.raises(InvalidError) as refused:
        services.save_connector(make_admin(), **{**SYSTEM, "mail": MAIL, **changes})
    assert field in refused.value.errors


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mail": None}, "mail"),
        ({"mail": {**TEMPLATES, "bcc": []}}, "mail"),
        ({"mail": {**TEMPLATES, "to": []}}, "mail.to"),
        ({"mail": {**TEMPLATES, "to": ["x{email}"]}}, "mail.to.0"),
        ({"mail": {**TEMPLATES, "to": ["{nobody}"]}}, "mail.to.0"),
        ({"mail": {**TEMPLATES, "subject": "a\nb"}}, "mail.subject"),
        ({"mail": {**TEMPLATES, "body": "{what}"}}, "mail.body"),
        ({"method": "POST"}, "method"),
        ({"effect": "write"}, "effect"),
        ({"idempotency": "natural"}, "idempotency"),
        ({"execution": "agent"}, "execution"),
    ],
)
def test_a_mail_is_described_strictly(changes, field):
    connector, _ = services.save_connector(make_admin(), **SYSTEM, mail=MAIL)
    spec = {
        "name": "Remind", "method": "SEND", "path": "/", "effect": "irreversible", "parameters": NOTE,
        "mail": TEMPLATES, **changes,
    }  # fmt: skip
    with pytest.raises(InvalidError) as refused:
        services.save_operation(make_admin(), slug="post.remind", connector=connector, spec=OperationSpec(**spec))
    assert field in refused.value.errors


def test_a_system_keeps_its_kind_while_it_has_operations():
    admin = make_admin()
    connector = make_connector(slug="post", base_url="https://mail.example.com")
    make_operation(connector=connector)
    with pytest.raises(InvalidError) as refused:
        services.save_connector(admin, **SYSTEM, mail=MAIL)
    assert "retire" in refused.value.errors["adapter"][0]


DOCUMENT = """
kind: Connector
slug: post
name: Post
base_url: smtps://mail.example.com
adapter: email
auth: {type: basic, username: plane}
mail: {from: billing@plane.example, recipients: [example.com], reply_to: help@plane.example}
---
kind: Operation
slug: post.remind
connector: post
name: Remind
method: SEND
path: /
effect: irreversible
parameters: {type: object, required: [email], properties: {email: {type: string}, number: {type: string}}}
mail: {to: ["{email}"], subject: "Invoice {number}", body: "It is due."}
"""


def test_mails_are_described_in_documents_and_come_back_as_they_went_in():
    console = system_user("console")
    apply_texts(console, texts={"mail.yaml": DOCUMENT})
    assert Operation.objects.get(slug="post.remind").mail["subject"] == "Invoice {number}"
    again = apply_texts(console, texts={"out.yaml": "".join(export_for(console))})
    assert {applied.outcome for applied in again} == {"unchanged"}


def test_what_a_mail_says_is_what_was_judged(box):
    operation = mailing(make_mail_connector(box.port))
    before = operation.definition_digest
    operation.mail = {**TEMPLATES, "subject": "Other {number}"}
    assert operation.definition_digest != before
    operation.mail = TEMPLATES
    operation.connector.mail = {**operation.connector.mail, "from": "x@plane.example"}
    assert operation.definition_digest != before
    assert Effect.objects.count() == 0
