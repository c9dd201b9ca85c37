"""A line of text to an incoming webhook (Slack, Teams and their kin), through the guarded egress of connectors."""

from urllib.parse import urlsplit

from apps.connectors.adapters.http import Call, send
from apps.connectors.rules import CallEnd, CallResult, Origin, origin_of
from apps.core.rules import canonical_json
from apps.notifications.rules import Sent, split_webhook

TIMEOUT_S = 5
OK = range(200, 300)
TRY_AGAIN = frozenset({408, 425, 429})


def webhook_of(url: str) -> tuple[Origin, str]:
    """Where a webhook is: origin, and path with query. Raises ValueError that repeats neither."""
    base, query = split_webhook(url)
    return origin_of(base), f"{urlsplit(base).path}{query}"


def post(url: str, text: str, *, allow_internal: bool) -> Sent:
    """Post ``text``. Never raises for what the network or the other side does."""
    origin, target = webhook_of(url)
    body = canonical_json({"text": text})
    return _read(send(Call("POST", origin, target, TIMEOUT_S, allow_internal, body=body)))


def _read(result: CallResult) -> Sent:
    """The answer's words are not kept: only its number, or how far the call came."""
    status = result.status or 0
    if status in OK:  # what it says is no matter: Slack says "ok", which is no JSON
        return Sent(ok=True)
    if status:
        is_final = status < 500 and status not in TRY_AGAIN  # noqa: PLR2004 - HTTP's own border
        return Sent(ok=False, text=f"The chat answered {status}.", is_final=is_final)
    if result.end == CallEnd.REFUSED:
        return Sent(ok=False, text=result.error, is_final=True)
    return Sent(ok=False, text=result.error or "The chat gave no answer.", is_down=result.end != CallEnd.BROKEN)
