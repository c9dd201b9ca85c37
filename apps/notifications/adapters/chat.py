"""A line of text to an incoming webhook (Slack, Teams and their kin), through the guarded egress of connectors."""

from urllib.parse import urlsplit

from apps.connectors.adapters.http import Call, send
from apps.connectors.rules import Origin, origin_of
from apps.core.rules import canonical_json
from apps.notifications.adapters.answers import sent_of
from apps.notifications.rules import Sent, split_webhook

TIMEOUT_S = 5


def webhook_of(url: str) -> tuple[Origin, str]:
    """Where a webhook is: origin, and path with query. Raises ValueError that repeats neither."""
    base, query = split_webhook(url)
    return origin_of(base), f"{urlsplit(base).path}{query}"


def post(url: str, text: str, *, allow_internal: bool) -> Sent:
    """Post ``text``. Never raises for what the network or the other side does."""
    origin, target = webhook_of(url)
    body = canonical_json({"text": text})
    return sent_of(send(Call("POST", origin, target, TIMEOUT_S, allow_internal, body=body)), "chat")
