"""Mails about accounts, sent beside the requests that asked for them."""

from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from django.core.mail import EmailMessage

log = structlog.get_logger(__name__)

beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="account-mail")
"""One after the other."""


def post(message: EmailMessage) -> None:
    """Send a mail soon. Nobody waits for it, and nobody but the log is told that it failed.

    How long a mail takes, and that it fails, would say who has an account. It carries a link that opens one, so it is
    in no queue that is kept: a process that is killed loses it, and its person asks again.
    """
    beside.submit(message.send).add_done_callback(_note)


def _note(sent: Future[int]) -> None:
    if error := sent.exception():
        log.warning("account_mail_failed", error=type(error).__name__)
