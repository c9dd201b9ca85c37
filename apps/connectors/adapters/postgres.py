"""One question to a PostgreSQL database, through the egress guard.

The connection goes to a checked address under the original name. The transaction only reads, the statement goes by the
extended protocol (which takes one only) with its parameters bound, and rows are taken from the wire one by one up to a
cap, before one deadline: no more than a row too many is ever in memory.
"""

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Any

import certifi
import httpcore
import psycopg
from psycopg import errors

from apps.connectors.adapters.http import NOT_BEGUN, EgressRefusedError, checked_addresses
from apps.connectors.rules import RESPONSE_BYTES_MAX, CallEnd, CallResult, Origin, answer_of, redacted, shown
from apps.connectors.rules.queries import ROWS_MAX, bounded
from apps.core.rules import ValueProblem

OK, UNFIT, UNAUTHORISED, FORBIDDEN, BROKEN, GONE = 200, 400, 401, 403, 500, 503
STATUSES = ((errors.InsufficientPrivilege, FORBIDDEN), (errors.ReadOnlySqlTransaction, FORBIDDEN))
CLASSES = {"21": UNFIT, "22": UNFIT, "25": FORBIDDEN, "42": UNFIT, "53": GONE, "57": GONE}
"""Classes of SQLSTATE as the status of an answer that means the same."""
LOOK_S = 0.02
"""How often is looked at how much has come."""
BESIDE_BYTES = 1024 * 1024
"""What signing in and the frames of messages may take beside the answer."""
RECEIVED_AT = 128
"""Where Linux writes ``tcpi_bytes_received`` in its ``struct tcp_info``."""


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """Everything one question needs. Never shown: ``logins`` hold the secret (user, password), the newest first.

    ``origin.path`` names the database. ``masks``: the secret's spellings.
    """

    origin: Origin
    query: str
    values: Mapping[str, Any]
    timeout_s: float
    logins: Sequence[tuple[str, str]]
    allow_internal: bool = False
    masks: Sequence[str] = field(default=())
    most_bytes: int = RESPONSE_BYTES_MAX


class _TooLargeError(Exception):
    pass


def ask(question: Question) -> CallResult:
    """``{rows, more}``; ``more``: there were further rows. Never raises for what the other side does: the result says.

    Where the newest login is refused the one before it is tried, if it stands in.
    """
    begun = time.monotonic()
    deadline = begun + question.timeout_s
    result = _tried(question, question.logins[0], deadline)
    if result.status == UNAUTHORISED and question.logins[1:] and time.monotonic() < deadline:
        result = replace(_tried(question, question.logins[1], deadline), stood_in=True)
    return replace(result, duration_ms=round((time.monotonic() - begun) * 1000))


def _tried(question: Question, login: tuple[str, str], deadline: float) -> CallResult:
    place = question.origin.authority
    try:
        connection = _connected(question, login, deadline)
    except EgressRefusedError as error:
        return CallResult(CallEnd.REFUSED, error=str(error))
    except (*NOT_BEGUN, httpcore.TimeoutException):
        return CallResult(CallEnd.UNREACHABLE, error=f"{place} cannot be reached.")
    except psycopg.Error as error:
        return _not_connected(question, error)
    with closing(connection), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        watch = _Watch(wire, deadline, 2 * question.most_bytes + BESIDE_BYTES)
        watch.start()
        try:
            return _answered(question, connection)
        except _TooLargeError:
            return _too_large(question)
        except psycopg.Error as error:
            is_late = time.monotonic() >= deadline
            return _too_large(question) if watch.is_flooded else _refused(question, error, is_late=is_late)
        finally:
            watch.cancel()
            watch.join()


def _connected(question: Question, login: tuple[str, str], deadline: float) -> "psycopg.Connection[Any]":
    """A connection to the first checked address that takes one. Nothing of the machine's own settings is used."""
    origin = question.origin
    addresses = checked_addresses(origin, allow_internal=question.allow_internal, deadline=deadline)
    left_ms = max(1, round((deadline - time.monotonic()) * 1000))
    return psycopg.connect(
        host=",".join([origin.host] * len(addresses)),
        hostaddr=",".join(addresses),
        port=origin.port,
        dbname=origin.path.strip("/"),
        user=login[0],
        password=login[1],
        require_auth="scram-sha-256",
        sslmode="prefer" if question.allow_internal else "verify-full",
        sslrootcert=certifi.where(),
        sslcert="",
        gssencmode="disable",
        passfile=os.devnull,
        application_name="autonomy-control-plane",
        connect_timeout=max(1, int((deadline - time.monotonic()) / len(addresses))),
        options=f"-c default_transaction_read_only=on -c statement_timeout={left_ms} -c client_encoding=UTF8",
        autocommit=False,
    )


def _answered(question: Question, connection: "psycopg.Connection[Any]") -> CallResult:
    connection.read_only = True
    lines: list[str] = []
    size = 0
    asked = {**question.values, "acp$bytes": question.most_bytes}
    with connection.cursor() as cursor:
        for (line,) in cursor.stream(bounded(question.query), asked):
            size += len(line.encode()) if line is not None else question.most_bytes + 1
            if size > question.most_bytes:
                raise _TooLargeError
            lines.append(line)
    more = "true" if len(lines) > ROWS_MAX else "false"
    raw = f'{{"rows": [{",".join(lines[:ROWS_MAX])}], "more": {more}}}'
    try:
        found = answer_of(raw.encode())
    except ValueProblem as problem:
        return CallResult(CallEnd.BROKEN, error=f"The answer cannot be read: {redacted(str(problem), question.masks)}")
    return CallResult(CallEnd.ANSWERED, OK, result=redacted(found, question.masks))


def _not_connected(question: Question, error: psycopg.Error) -> CallResult:
    """Nothing was asked. Of a login that was refused libpq says only in words that it was."""
    words = shown(str(error).encode(), question.masks)
    if "authentication" in words or isinstance(error, errors.InvalidPassword):
        return CallResult(CallEnd.ANSWERED, UNAUTHORISED, error=words)
    return CallResult(CallEnd.UNREACHABLE, error=words)


def _refused(question: Question, error: psycopg.Error, *, is_late: bool) -> CallResult:
    if is_late or isinstance(error, errors.QueryCanceled) or error.sqlstate is None:
        return CallResult(CallEnd.SILENT, error=f"{question.origin.authority} gave no answer in time.")
    words = shown((error.diag.message_primary or type(error).__name__).encode(), question.masks)
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), None)
    return CallResult(CallEnd.ANSWERED, status or CLASSES.get(error.sqlstate[:2], BROKEN), error=words)


def _too_large(question: Question) -> CallResult:
    return CallResult(CallEnd.BROKEN, error=f"The answer is larger than {question.most_bytes} bytes.")


class _Watch(Thread):
    """Hangs up at the deadline, and once far more has come than an answer may be, whatever the server does.

    A message is put together whole before anybody sees it: what the statement asks for bounds what an honest server
    sends, and this what another one does.
    """

    def __init__(self, wire: socket.socket, deadline: float, most_bytes: int) -> None:
        super().__init__(daemon=True)
        self._wire, self._deadline, self._most_bytes = wire, deadline, most_bytes
        self._is_over = Event()
        self.is_flooded = False

    def cancel(self) -> None:
        """The answer is there."""
        self._is_over.set()

    def run(self) -> None:
        """Look at what came, again and again."""
        while not self._is_over.wait(min(LOOK_S, max(0.0, self._deadline - time.monotonic()))):
            self.is_flooded = _received(self._wire) > self._most_bytes
            if self.is_flooded or time.monotonic() >= self._deadline:
                with suppress(OSError):
                    self._wire.shutdown(socket.SHUT_RDWR)
                return


def _received(wire: socket.socket) -> int:
    """How many bytes have come by a connection so far, as the kernel counts them; 0 where it does not."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    told = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RECEIVED_AT + 8)
    return int.from_bytes(told[RECEIVED_AT:], sys.byteorder) if len(told) == RECEIVED_AT + 8 else 0
