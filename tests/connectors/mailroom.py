"""A real mail server on this machine, as badly behaved as it is told to be, for the connectors that send mails."""

import asyncio
import email
import email.policy
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.connectors.models import Connector, Operation
from tests.factories.connectors import make_connector, make_operation

NOTE = {
    "type": "object", "additionalProperties": False, "required": ["email", "number"],
    "properties": {
        "email": {"type": "string"}, "number": {"type": "string"}, "text": {"type": "string"},
        "amount_minor": {"type": "integer"}, "more": {"type": "array", "items": {"type": "string"}},
    },
}  # fmt: skip
TEMPLATES = {"to": ["{email}"], "subject": "Invoice {number}", "body": "Dear customer,\n\n{text}\n\nYours"}


class Letterbox:
    """What arrived; ``answers`` are given instead of taking the next mails, ``refusals`` by recipient."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.raw: list[bytes] = []
        self.answers: list[str] = []
        self.refusals: dict[str, str] = {}
        self.slow_s = 0.0
        self.hangs_up = False
        self.logins: list[tuple[str, str]] = []
        self.passwords: set[str] = set()
        self.server: Any = None

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.slow_s)
        if self.hangs_up:
            server.transport.abort()
            return "250 never heard"
        if self.answers:
            return self.answers.pop(0)
        self.raw.append(envelope.content)
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        login = data.login.decode(), data.password.decode()
        self.logins.append(login)
        return AuthResult(success=login[1] in self.passwords, handled=False)


def start(box: Letterbox, port: int, **more: Any) -> Controller:
    """The server, listening."""
    server = Controller(box, hostname="127.0.0.1", port=port, **more)
    server.start()
    return server


def signed_for(host: str, folder: Any) -> tuple[str, ssl.SSLContext]:
    """An authority's file, and the context of a server whose certificate it signed."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, secret = folder / "authority.pem", folder / "key.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, secret)
    return str(authority), context


def make_mail_connector(port: int, **fields: Any) -> Connector:
    """A relay inside that has no TLS, for mails to customers of two domains."""
    mail = {"from": "billing@plane.example", "recipients": ["example.com", "example.org"], "tls": "none"}
    return make_connector(**{"adapter": "email", "base_url": f"smtp://127.0.0.1:{port}", "mail": mail, **fields})


def mailing(connector: Connector, **fields: Any) -> Operation:
    """An operation that sends a mail to a customer."""
    return make_operation(
        **{
            "connector": connector, "slug": f"{connector.slug}.remind", "name": "Remind a customer", "method": "SEND",
            "path": "/", "parameters": NOTE, "amount": None, "target": "email", "idempotency": "none",
            "consequence": "Will mail {email} about {number}.", "mail": TEMPLATES, "timeout_s": 2, **fields,
        }
    )  # fmt: skip


__all__ = ["Letterbox", "mailing", "make_mail_connector", "signed_for", "start"]
