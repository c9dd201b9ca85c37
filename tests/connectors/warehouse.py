"""A second database at the tests' own server, reached over TCP as a system of record is."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import psycopg
from django.conf import settings
from psycopg import sql

from apps.connectors.models import Connector
from apps.connectors.services import set_secret
from apps.core.services import system_user
from tests.conftest import url_of
from tests.factories.connectors import make_connector

TABLES = """
CREATE TABLE invoice (number text PRIMARY KEY, vendor text NOT NULL, amount_minor bigint NOT NULL, at date);
CREATE TABLE secret (word text);
INSERT INTO invoice SELECT 'R-' || n, 'v' || n % 3, n * 100, '2026-01-01' FROM generate_series(1, 700) AS n;
INSERT INTO secret VALUES ('never to be seen');
CREATE SEQUENCE counter;
"""


@dataclass(frozen=True)
class Warehouse:
    """Where it listens, and how its owner signs in."""

    port: int
    database: str
    user: str
    password: str
    url: str

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What is in it now."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()


def make_warehouse_connector(warehouse: Warehouse, **fields: object) -> Connector:
    """The system that is this database, with its secret."""
    address = f"postgresql://127.0.0.1:{warehouse.port}/{warehouse.database}"
    auth = {"type": "basic", "username": warehouse.user}
    connector = make_connector(**({"adapter": "sql", "base_url": address, "auth": auth} | fields))
    set_secret(system_user("console"), connector=connector, secret=warehouse.password)
    return connector


@contextmanager
def open_warehouse() -> Iterator[Warehouse]:
    """A database with invoices, owned by whoever asks, so that nothing but the plane keeps them from writing."""
    name = f"acp_second_{os.getpid()}_{os.urandom(4).hex()}"
    owner = url_of(settings.DATABASE_OWNER_URL, "postgres")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = url_of(settings.DATABASE_OWNER_URL, name)
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_carry_on, args=(listener, url), daemon=True).start()
        parts = urlsplit(url)
        try:
            yield Warehouse(listener.getsockname()[1], name, parts.username or "", parts.password or "", url)
        finally:
            with psycopg.connect(owner, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _carry_on(listener: socket.socket, url: str) -> None:
    """Carry what comes over TCP to the server, which listens behind a socket of its own or at a port."""
    while True:
        try:
            asked, _address = listener.accept()
        except OSError:
            return
        threading.Thread(target=_join, args=(asked, _server(url)), daemon=True).start()


def _join(asked: socket.socket, there: socket.socket) -> None:
    with asked, there:
        back = threading.Thread(target=_pour, args=(there, asked), daemon=True)
        back.start()
        _pour(asked, there)
        back.join()


def _server(url: str) -> socket.socket:
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    if folder.startswith("/"):
        there = socket.socket(socket.AF_UNIX)
        there.connect(f"{folder}/.s.PGSQL.5432")
        return there
    return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432))


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(65536):
            sink.sendall(said)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
