"""A real mail server and a real webhook receiver on this machine, as badly behaved as they are told to be."""

import asyncio
import email
import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from apps.audit.tasks import deliver_reactions
from apps.notifications.models import Delivery
from apps.notifications.tasks import send_messages, send_reports
from apps.oversight.models import Escalation
from tests.connectors.conftest import closed_port, system

__all__ = ["closed_port", "system"]


class Mailbox:
    """What arrived; ``answers`` are given instead of taking the next letters, ``slow_s`` makes every answer wait."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refusals: dict[str, str] = {}
        self.answers: list[str] = []
        self.slow_s = 0.0
        self.connections = 0

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> Any:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.answers:
            return self.answers.pop(0)
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    def to(self, address: str) -> list[EmailMessage]:
        return [letter for letter in self.letters if letter["To"] == address]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def use_mail(settings: Any, port: int) -> None:
    settings.MAIL = {**settings.MAIL, "host": "127.0.0.1"}
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 1
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.DEFAULT_FROM_EMAIL = "plane@plane.example"
    settings.ACP_URL = "https://plane.example"


@pytest.fixture
def mail(settings: Any) -> Iterator[Mailbox]:
    """The mail server that the plane uses."""
    mailbox, port = Mailbox(), free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    use_mail(settings, port)
    yield mailbox
    server.stop()


@pytest.fixture
def no_mail(settings: Any, closed_port: int) -> None:
    """Mail is set up, and nobody listens there."""
    use_mail(settings, closed_port)


def tell() -> None:
    """Everything that follows from what happened, at once: reactions, then the lane of messages, then reports."""
    deliver_reactions()
    send_messages()
    send_reports()


def later(**where: Any) -> None:
    """As if the time of the next attempt had come."""
    Delivery.objects.filter(state="queued", **where).update(not_before="2020-01-01T00:00:00Z")


def told(item: Escalation, channel: str, event: str = "waiting") -> list[tuple[str, str]]:
    """Who was told of an item by a channel, and how it stands: ``(username, state)``."""
    rows = Delivery.objects.filter(notice__escalation=item, notice__event=event, channel=channel)
    return sorted(rows.values_list("recipient__username", "state"))
