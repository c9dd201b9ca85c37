"""One mail to a mail server, through the egress guard.

Step by step, so that what was said when is known: before DATA nothing was sent; once DATA was said, silence or a broken
connection tells nobody whether the mail went. One deadline over everything, a cap on what the server may say.
"""

import re
import smtplib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from threading import Timer
from typing import Any

import httpcore
from django.utils import timezone

from apps.connectors.adapters.http import NOT_BEGUN, EgressRefusedError, checked_addresses, tls_context
from apps.connectors.rules import CallEnd, CallResult, Origin, refusal_of, shown

SAID_MAX_BYTES = 64 * 1024
READY, TAKEN, GO_AHEAD = 220, 250, 354
LATER, REFUSED = range(400, 500), range(500, 600)
AGAIN_S = 300
"""When a server that says “later” is asked again: those that greylist want minutes."""
DOTS = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """Everything one mail needs. Never shown: ``logins`` hold the secret (user, password), the newest first.

    ``needs_tls``: else the server is one inside that has none. ``masks``: the secret's spellings.
    """

    origin: Origin
    sender: str
    recipients: Sequence[str]
    subject: str
    body: str
    message_id: str
    timeout_s: float
    reply_to: str = ""
    needs_tls: bool = True
    allow_internal: bool = False
    logins: Sequence[tuple[str, str]] = ()
    masks: Sequence[str] = field(default=())


class _Refused(smtplib.SMTPResponseException):
    """What the server answered instead of going on."""


WENT_WRONG = (smtplib.SMTPException, OSError, EgressRefusedError, *NOT_BEGUN, httpcore.TimeoutException)


def post(mail: Mail) -> CallResult:
    """Hand the mail to the server. Never raises for what the network or the server does: the result says it."""
    begun = time.monotonic()
    result = CallResult(CallEnd.UNREACHABLE)
    logins: list[tuple[str, str] | None] = [*mail.logins] or [None]
    for place, login in enumerate(logins):
        result = replace(_posted(mail, login, begun + mail.timeout_s), stood_in=place > 0)
        if result.end != CallEnd.UNPREPARED or result.status is None:
            break  # only a server that looked at who asks, and at nothing else, is asked with the secret before
    return replace(result, duration_ms=round((time.monotonic() - begun) * 1000))


def _posted(mail: Mail, login: tuple[str, str] | None, deadline: float) -> CallResult:
    session = _Session(mail, deadline)
    try:
        session.open()
        return session.deliver(login)
    except WENT_WRONG as error:
        return _stopped_by(error, mail, is_begun=session.is_begun)
    finally:
        session.hang_up()


def _stopped_by(error: Exception, mail: Mail, *, is_begun: bool) -> CallResult:
    """What stopped a mail, as a result."""
    place = f"{mail.origin.host}:{mail.origin.port}"
    match error:
        case EgressRefusedError():
            found = CallResult(CallEnd.REFUSED, error=str(error))
        case smtplib.SMTPAuthenticationError():
            said = f"The mail server refuses the sign-in ({error.smtp_code})."
            found = CallResult(CallEnd.UNPREPARED, error.smtp_code, error=said)
        case smtplib.SMTPNotSupportedError():
            found = CallResult(CallEnd.UNPREPARED, error="The mail server offers no TLS, or no sign-in.")
        case smtplib.SMTPResponseException():
            found = _answered(error.smtp_code, error.smtp_error, mail, is_begun=is_begun)
        case _ if is_begun:
            said = f"{place} fell silent after the mail ({type(error).__name__})."
            found = CallResult(CallEnd.SILENT, error=said)
        case _:
            said = f"{place} cannot be reached ({type(error).__name__})."
            found = CallResult(CallEnd.UNREACHABLE, error=said)
    return found


def _answered(code: int, words: bytes | str, mail: Mail, *, is_begun: bool) -> CallResult:
    """A server's no: for now, or for good; the mail did not go. Anything else is no answer."""
    raw = words if isinstance(words, bytes) else words.encode()
    said = f"The mail server said {code}: {shown(raw, mail.masks)}"
    if code in LATER:
        return CallResult(CallEnd.TURNED_AWAY, code, retry_after_s=AGAIN_S, error=said)
    if code in REFUSED:
        return CallResult(CallEnd.TURNED_AWAY, code, error=said)
    end = CallEnd.BROKEN if is_begun else CallEnd.UNREACHABLE
    return CallResult(end, error="The mail server did not speak SMTP.")


def message_of(mail: Mail) -> bytes:
    """The mail as it goes over the wire. The library refuses a header with a line break; none gets here."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = mail.sender, ", ".join(mail.recipients), mail.subject
    if mail.reply_to:
        message["Reply-To"] = mail.reply_to
    message["Date"], message["Message-ID"] = format_datetime(timezone.now()), mail.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body)
    return message.as_bytes()


class _Capped:
    """What a server says, up to a cap: lines without end are no answer."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, SAID_MAX_BYTES

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("The mail server says too much.")
        return line

    def close(self) -> None:
        self._file.close()


class _Session(smtplib.SMTP):
    """One conversation. ``is_begun``: DATA was said."""

    def __init__(self, mail: Mail, deadline: float) -> None:
        super().__init__(local_hostname=mail.sender.rpartition("@")[2], timeout=max(deadline - time.monotonic(), 0.01))
        self._mail, self._deadline, self.is_begun = mail, deadline, False
        self._clock: Timer | None = None
        self._host = mail.origin.host  # the name that certificates are held against

    def open(self) -> None:
        """Connect to a checked address and be greeted, under TLS unless the mail needs none."""
        origin = self._mail.origin
        found = checked_addresses(origin, allow_internal=self._mail.allow_internal, deadline=self._deadline)
        if not self._mail.needs_tls and not all(refusal_of(address, allow_internal=False) for address in found):
            raise EgressRefusedError(f"{origin.host} is outside, and mail goes there under TLS only.")
        self.sock = self._connected(found, origin.port)
        self._clock = Timer(max(self._deadline - time.monotonic(), 0.01), self._cut)  # a drip of bytes extends nothing
        self._clock.daemon = True
        self._clock.start()
        if origin.scheme == "smtps":
            self.sock = tls_context().wrap_socket(self.sock, server_hostname=origin.host)
        self._want(self.getreply(), READY)
        self.ehlo()
        if origin.scheme == "smtp" and self._mail.needs_tls:
            self.starttls(context=tls_context())
            self.ehlo()

    def deliver(self, login: tuple[str, str] | None) -> CallResult:
        """Sign in, name sender and recipients, send. All recipients are taken, or nothing is sent."""
        mail = self._mail
        if login is not None:
            self._sign_in(*login)
        self._want(self.mail(mail.sender), TAKEN)
        for recipient in mail.recipients:
            self._want(self.rcpt(recipient), TAKEN, 251)
        raw = message_of(mail)
        self.putcmd("data")
        self.is_begun = True
        code, said = self.getreply()
        if code != GO_AHEAD:
            self.is_begun = False  # it was told no: the mail did not leave
            raise _Refused(code, said)
        self.send(DOTS.sub(b"..", raw) + (b"" if raw.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        self._want(self.getreply(), TAKEN)
        told = {"message_id": mail.message_id, "recipients": list(mail.recipients)}
        return CallResult(CallEnd.ANSWERED, 200, result=told)

    def _sign_in(self, user: str, password: str) -> None:
        """By the first way that both sides know, once: many servers hang up on whoever tries another."""
        offered = self.esmtp_features.get("auth", "").upper().split()
        for name, way in (("PLAIN", self.auth_plain), ("LOGIN", self.auth_login), ("CRAM-MD5", self.auth_cram_md5)):
            if name in offered:
                self.user, self.password = user, password
                self.auth(name, way)
                return
        raise smtplib.SMTPNotSupportedError

    def getreply(self) -> tuple[int, bytes]:
        """The next answer, within the cap."""
        if self.file is None and self.sock is not None:
            self.file = _Capped(self.sock.makefile("rb"))
        return super().getreply()

    def hang_up(self) -> None:
        """Let go of the connection; what the server says to that changes nothing."""
        if self._clock is not None:
            self._clock.cancel()
        self.close()

    def _connected(self, addresses: Sequence[str], port: int) -> socket.socket:
        failed: OSError = OSError("No address.")
        for address in addresses:
            try:
                return socket.create_connection((address, port), max(self._deadline - time.monotonic(), 0.01))
            except OSError as error:
                failed = error
        raise failed

    def _cut(self) -> None:
        try:
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    @staticmethod
    def _want(answer: tuple[int, bytes], *codes: int) -> None:
        if answer[0] not in codes:
            raise _Refused(*answer)
