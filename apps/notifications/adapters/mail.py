"""Mail by SMTP. One connection for as many messages as are due."""

import smtplib
from dataclasses import dataclass
from types import TracebackType

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from apps.notifications.rules import Sent, one_line

BACKEND = "django.core.mail.backends.smtp.EmailBackend"
PERMANENT = range(500, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail. ``message_id`` stays over repetitions, so that mail programs show a double once."""

    message_id: str
    to: str
    subject: str
    text: str
    html: str
    unsubscribe: str
    attached: tuple[tuple[str, str | bytes, str], ...] = ()
    """Name, content and media type of each."""


class Post:
    """A connection to the mail server, opened with the first letter. Once it failed, letters fail at once with it."""

    def __init__(self) -> None:
        self._down: Sent | None = None
        self._connection = get_connection(
            BACKEND,
            host=settings.EMAIL_HOST,
            port=settings.EMAIL_PORT,
            username=settings.EMAIL_HOST_USER,
            password=settings.EMAIL_HOST_PASSWORD,
            use_tls=settings.EMAIL_USE_TLS,
            use_ssl=settings.EMAIL_USE_SSL,
            timeout=settings.EMAIL_TIMEOUT,
        )

    def __enter__(self) -> "Post":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def send(self, letter: Letter) -> Sent:
        """Hand a letter to the server. Never raises for what the network or the server does."""
        if self._down is None:
            sent = self._tried(letter)
            if not sent.is_down:
                return sent
            self._connection.close()
            self._down = sent
        return self._down

    def _tried(self, letter: Letter) -> Sent:
        try:
            self._connection.open()
            self._connection.send_messages([_message(letter)])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            return _refused(code, said)
        except smtplib.SMTPAuthenticationError as error:
            return Sent(ok=False, text=f"The mail server refuses our sign-in ({error.smtp_code}).", is_down=True)
        except smtplib.SMTPConnectError as error:
            return Sent(ok=False, text=f"The mail server does not take us ({error.smtp_code}).", is_down=True)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            return Sent(ok=False, text=f"The mail server gives no answer ({type(error).__name__}).", is_down=True)
        return Sent(ok=True)


def _refused(code: int, said: bytes | str) -> Sent:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return Sent(ok=False, text=f"The mail server said {code} {one_line(text, 120)}", is_final=code in PERMANENT)


def _message(letter: Letter) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[letter.to],
        headers={
            "Message-ID": letter.message_id,
            "List-Unsubscribe": f"<{letter.unsubscribe}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(letter.html, "text/html")
    for name, content, kind in letter.attached:
        message.attach(name, content, kind)
    return message
