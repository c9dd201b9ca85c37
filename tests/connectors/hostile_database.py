"""A server that speaks PostgreSQL's protocol, lets its client in by SCRAM, and then answers as it likes."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ROUNDS = 4096


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _read(wire: socket.socket) -> tuple[bytes, bytes]:
    head = wire.recv(5, socket.MSG_WAITALL)
    (size,) = struct.unpack("!i", head[1:])
    return head[:1], wire.recv(size - 4, socket.MSG_WAITALL) if size > 4 else b""


def _let_in(wire: socket.socket, password: str) -> None:
    """RFC 5802, as the server: it knows the password, as the database of a connector does."""
    while True:
        (size,) = struct.unpack("!i", wire.recv(4, socket.MSG_WAITALL))
        asked = wire.recv(size - 4, socket.MSG_WAITALL)
        if struct.unpack("!i", asked[:4])[0] == 196_608:
            break
        wire.sendall(b"N")  # no TLS, no GSSAPI
    wire.sendall(message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\x00\x00"))
    first = _read(wire)[1].partition(b"\x00")[2][4:].decode().partition("n,,")[2]
    salt, nonce = os.urandom(16), dict(part.split("=", 1) for part in first.split(","))["r"] + "server"
    second = f"r={nonce},s={base64.b64encode(salt).decode()},i={ROUNDS}"
    wire.sendall(message(b"R", struct.pack("!i", 11) + second.encode()))
    last = _read(wire)[1].decode().rpartition(",p=")[0]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    key = hmac.digest(salted, b"Server Key", "sha256")
    signed = base64.b64encode(hmac.digest(key, ",".join([first, second, last]).encode(), "sha256")).decode()
    wire.sendall(message(b"R", struct.pack("!i", 12) + f"v={signed}".encode()))
    wire.sendall(message(b"R", struct.pack("!i", 0)) + message(b"Z", b"I"))


@contextmanager
def hostile_database(password: str, answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that gives ``answer`` to the first statement beside BEGIN."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError, struct.error):
                wire = listener.accept()[0]
                with wire:
                    _let_in(wire, password)
                    while True:
                        kind, body = _read(wire)
                        if kind == b"Q":
                            wire.sendall(message(b"C", b"BEGIN\x00") + message(b"Z", b"T"))
                        elif kind == b"P" and b"SELECT" not in body:
                            wire.sendall(message(b"1") + message(b"2") + message(b"n") + message(b"C", b"BEGIN\x00"))
                        elif kind == b"S":
                            wire.sendall(message(b"Z", b"T"))
                        elif kind == b"P":
                            answer(wire)
                            return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(timeout=10)
