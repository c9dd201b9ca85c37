"""What the dispatcher answers without Django carries the same headers as what Django answers."""

import hashlib
from typing import Any

from django.conf import settings

from apps.core.rules import HEADERS

ALWAYS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
HSTS = (b"strict-transport-security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains".encode())


def heading(scope: dict[str, Any], send: Any) -> Any:
    """A ``send`` that adds what an answer lacks; Strict-Transport-Security where https was spoken, in production."""
    wanted = [*ALWAYS, HSTS] if settings.SECURE_HSTS_SECONDS and _is_secure(scope) else ALWAYS

    async def send_with_headers(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            named = {name.lower() for name, _value in message.get("headers", ())}
            lacking = [pair for pair in wanted if pair[0] not in named]
            message = {**message, "headers": [*message.get("headers", ()), *lacking]}
        await send(message)

    return send_with_headers


def _is_secure(scope: dict[str, Any]) -> bool:
    """As Django sees it: by the proxy's word, which production believes."""
    said: bytes = dict(scope["headers"]).get(b"x-forwarded-proto", scope["scheme"].encode())
    return said == b"https"


def who_asks(scope: Any) -> str:
    """By which key, token or session is asked, told apart and not kept: the same however the header is written."""
    headers = dict(scope["headers"])
    _kind, _space, key = headers.get(b"authorization", b"").partition(b" ")
    cookies = (one.strip().partition(b"=") for one in headers.get(b"cookie", b"").split(b";"))
    session = next((value for name, _is, value in cookies if name == settings.SESSION_COOKIE_NAME.encode()), b"")
    return hashlib.sha256(key.strip() or session.strip(b'"')).hexdigest()
