"""One HTTP call to a system of record, through the egress guard.

The name is resolved once, every address is checked, and the connection goes to a checked address under the original
name. No redirects, no proxies, no cookies, no compression; one deadline over everything; a cap on the answer.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import certifi
import httpcore

from apps.connectors.rules import (
    ERRORS,
    FINE,
    RESPONSE_BYTES_MAX,
    CallEnd,
    CallResult,
    Origin,
    answer_of,
    redacted,
    refusal_of,
    retry_after_s,
    shown,
)
from apps.connectors.rules.answers import TooLargeError
from apps.core.rules import ValueProblem

NOT_BEGUN = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.LocalProtocolError)
SILENCE = (httpcore.TimeoutException, httpcore.ReadError, httpcore.WriteError)
UNAUTHORISED = 401
_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """Everything one call needs. Never shown: its headers hold the secret; ``masks`` are the secret's spellings.

    ``auth``: the headers that carry it; ``older``: those of the one before, which stands in where the system answers
    401 to the new one.
    """

    method: str
    origin: Origin
    target: str
    timeout_s: float
    allow_internal: bool = False
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    auth: Sequence[tuple[str, str]] = ()
    older: Sequence[tuple[str, str]] = ()
    masks: Sequence[str] = field(default=())
    media: str = "application/json"
    accept: str = "application/json"
    most_bytes: int = RESPONSE_BYTES_MAX


class EgressRefusedError(Exception):
    """The address is not one that this connector may reach."""


def send(call: Call) -> CallResult:
    """Make the call. Never raises for what the network or the other side does: that is what the result says."""
    result = timed(call, lambda deadline: _asked(call, deadline))
    left_s = call.timeout_s - result.duration_ms / 1000
    if result.status != UNAUTHORISED or not call.older or left_s <= 0:
        return result  # 401: the system looked at who asks, and at nothing else
    again = send(replace(call, auth=call.older, older=(), timeout_s=left_s))
    return replace(again, duration_ms=result.duration_ms + again.duration_ms, stood_in=True)


def probe(origin: Origin, *, allow_internal: bool, timeout_s: float) -> CallResult:
    """Connect and hang up; ``answered`` when that worked. Nothing is sent but a TLS handshake."""
    call = Call("HEAD", origin, "/", timeout_s, allow_internal)
    return timed(call, lambda deadline: _greeted(call, deadline))


def timed(call: Call, attempt: Callable[[float], CallResult]) -> CallResult:
    """What the attempt says, or what stopped it, with the time it took."""
    begun = time.monotonic()
    place = call.origin.authority
    try:
        result = attempt(begun + call.timeout_s)
    except EgressRefusedError as error:
        result = CallResult(CallEnd.REFUSED, error=str(error))
    except TooLargeError:
        result = CallResult(CallEnd.BROKEN, error=f"The answer is larger than {call.most_bytes} bytes.")
    except NOT_BEGUN as error:
        result = CallResult(CallEnd.UNREACHABLE, error=f"{place} cannot be reached ({type(error).__name__}).")
    except SILENCE as error:
        result = CallResult(CallEnd.SILENT, error=f"{place} gave no answer ({type(error).__name__}).")
    except httpcore.ProtocolError:
        result = CallResult(CallEnd.BROKEN, error=f"{place} did not speak HTTP.")
    return replace(result, duration_ms=round((time.monotonic() - begun) * 1000))


def _asked(call: Call, deadline: float) -> CallResult:
    status, headers, raw = _exchange(call, _addresses(call, deadline), deadline)
    return _read(call, status, headers, raw)


def _greeted(call: Call, deadline: float) -> CallResult:
    stream = _Guarded(_addresses(call, deadline), deadline).connect_tcp(call.origin.host, call.origin.port)
    try:
        if call.origin.scheme in {"https", "smtps"}:
            stream = stream.start_tls(tls_context(), call.origin.host)
    finally:
        stream.close()
    return CallResult(CallEnd.ANSWERED)


def _read(call: Call, status: int, headers: dict[str, str], raw: bytes) -> CallResult:
    """What the answer says; its words are kept only masked and cut."""
    if status in FINE:
        if headers.get("content-encoding", "identity") != "identity":
            return CallResult(CallEnd.BROKEN, status, error="The answer is compressed, which was not asked for.")
        try:
            found = answer_of(raw)
        except ValueProblem as problem:
            why = redacted(str(problem), call.masks)
            return CallResult(CallEnd.BROKEN, status, error=f"The answer cannot be read: {why}")
        return CallResult(CallEnd.ANSWERED, status, result=redacted(found, call.masks))
    if status in ERRORS:
        later = retry_after_s(headers.get("retry-after"))
        return CallResult(CallEnd.ANSWERED, status, retry_after_s=later, error=shown(raw, call.masks))
    return CallResult(CallEnd.BROKEN, status, error=f"The answer is a {status}; redirects are not followed.")


def checked_addresses(origin: Origin, *, allow_internal: bool, deadline: float) -> list[str]:
    """All addresses of the name, if every one of them may be reached. Raises EgressRefusedError, httpcore errors."""
    host, port = origin.host, origin.port
    try:
        found = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM).result(_left(deadline))
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if refusal := refusal_of(address, allow_internal=allow_internal):
            raise EgressRefusedError(f"{host} leads to {refusal}.")
    if not addresses:
        raise httpcore.ConnectError
    return addresses


def _addresses(call: Call, deadline: float) -> list[str]:
    return checked_addresses(call.origin, allow_internal=call.allow_internal, deadline=deadline)


def _exchange(call: Call, addresses: list[str], deadline: float) -> tuple[int, dict[str, str], bytes]:
    with opened(call, addresses, deadline) as response:
        return response.status, headers_of(response), whole(response, call.most_bytes)


def headers_of(response: httpcore.Response) -> dict[str, str]:
    """By name in small letters; of those given twice the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def whole(response: httpcore.Response, most_bytes: int) -> bytes:
    """All of the answer. Raises TooLargeError."""
    raw = bytearray()
    for chunk in response.iter_stream():
        raw += chunk
        if len(raw) > most_bytes:
            raise TooLargeError
    return bytes(raw)


@contextmanager
def opened(call: Call, addresses: list[str], deadline: float) -> Iterator[httpcore.Response]:
    """The answer as it comes, over a connection of its own to one of the checked addresses."""
    headers = [
        (b"Host", call.origin.authority.encode()),
        (b"Accept", call.accept.encode()),
        (b"Accept-Encoding", b"identity"),
        (b"User-Agent", b"autonomy-control-plane"),
        *((name.encode("ascii"), value.encode("ascii")) for name, value in (*call.headers, *call.auth)),
    ]
    if call.body is not None:
        headers += [(b"Content-Type", call.media.encode()), (b"Content-Length", str(len(call.body)).encode())]
    url = httpcore.URL(
        scheme=call.origin.scheme.encode(),
        host=call.origin.host.encode(),
        port=call.origin.port,
        target=call.target.encode("ascii"),
    )
    with (
        httpcore.ConnectionPool(
            ssl_context=tls_context(),
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=_Guarded(addresses, deadline),
        ) as pool,
        pool.stream(call.method, url, headers=headers, content=call.body) as response,
    ):
        yield response


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The system's authorities and the usual ones; made once, because reading them takes 20 ms."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


class _Guarded(httpcore.NetworkBackend):
    """Connects to checked addresses whatever name is asked for, one after the other, within one deadline."""

    def __init__(self, addresses: list[str], deadline: float) -> None:
        self._addresses, self._deadline = addresses, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first checked address that takes one."""
        failed: Exception = httpcore.ConnectError()
        for address in self._addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise httpcore.ConnectTimeout
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, timeout=left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Timed(stream, self._deadline)
        raise failed


class _Timed(httpcore.NetworkStream):
    """A stream whose every step ends at one deadline: a drip of bytes does not extend it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most ``max_bytes``, before the deadline."""
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of ``buffer``, each part before the deadline."""
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        """Let go of the socket."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same stream encrypted; a handshake that fails is a connection that never was."""
        try:
            left = _left(self._deadline)
        except httpcore.ReadTimeout as error:
            raise httpcore.ConnectTimeout from error
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the socket knows of itself."""
        return self._stream.get_extra_info(info)
