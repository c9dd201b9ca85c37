"""What the dispatcher answers without Django carries the same headers as what Django answers."""

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
