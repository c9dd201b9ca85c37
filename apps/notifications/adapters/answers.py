"""What the answer to a posted message means."""

from apps.connectors.rules import CallEnd, CallResult
from apps.notifications.rules import Sent

OK = range(200, 300)
TRY_AGAIN = frozenset({408, 425, 429})


def sent_of(result: CallResult, who: str) -> Sent:
    """How the attempt ended. The answer's words are not kept: only its number, or how far the call came."""
    status = result.status or 0
    if status in OK:  # what it says is no matter: Slack says "ok", which is no JSON
        return Sent(ok=True)
    if status:
        is_final = status < 500 and status not in TRY_AGAIN  # noqa: PLR2004 - HTTP's own border
        text = f"The {who} answered {status}."
        return Sent(ok=False, text=text, is_final=is_final, after_s=result.retry_after_s)
    if result.end == CallEnd.REFUSED:
        return Sent(ok=False, text=result.error, is_final=True)
    return Sent(ok=False, text=result.error or f"The {who} gave no answer.", is_down=result.end != CallEnd.BROKEN)
