"""Where the systems keep what they know: one SQLite file, one transaction at a time."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

type Document = dict[str, Any]

TABLES = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS document (
        kind TEXT, id TEXT, natural_key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id)
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS one_per_natural_key ON document (kind, natural_key);
    CREATE TABLE IF NOT EXISTS answer (
        system TEXT, key TEXT, digest TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (system, key)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS counter (kind TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
"""


class Storage:
    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript(TABLES)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else in between."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # Documents

    def get(self, kind: str, identity: str) -> Document | None:
        """The document, or None."""
        return self._one("SELECT body FROM document WHERE kind = ? AND id = ?", kind, identity)

    def find(self, kind: str, natural_key: str) -> Document | None:
        """The one document that holds this natural key now, or None."""
        return self._one("SELECT body FROM document WHERE kind = ? AND natural_key = ?", kind, natural_key)

    def put(self, kind: str, identity: str, body: Document, *, natural_key: str | None = None) -> Document:
        """Write the document whole; without a natural key it gives up the one it held."""
        self._run(
            "INSERT INTO document VALUES (?, ?, ?, ?) ON CONFLICT (kind, id)"
            " DO UPDATE SET body = excluded.body, natural_key = excluded.natural_key",
            kind,
            identity,
            natural_key,
            json.dumps(body),
        )
        return body

    def newest(self, kind: str, *, limit: int = 100) -> list[Document]:
        """The documents of a kind, newest first."""
        rows = self._run("SELECT body FROM document WHERE kind = ? ORDER BY rowid DESC LIMIT ?", kind, limit)
        return [json.loads(row[0]) for row in rows]

    def count(self, kind: str) -> int:
        return int(self._run("SELECT count(*) FROM document WHERE kind = ?", kind)[0][0])

    def next_number(self, kind: str, prefix: str) -> str:
        """PO-1001, PO-1002, ...: never given twice."""
        rows = self._run(
            "INSERT INTO counter VALUES (?, 1001) ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last", kind
        )
        return f"{prefix}-{rows[0][0]}"

    # Stored answers, by Idempotency-Key

    def answer_for(self, system: str, key: str) -> tuple[str, int, str] | None:
        """(digest of the request, status, body) of the first answer to this key, or None."""
        rows = self._run("SELECT digest, status, body FROM answer WHERE system = ? AND key = ?", system, key)
        return rows[0] if rows else None

    def keep_answer(self, system: str, key: str, digest: str, status: int, body: str) -> None:
        self._run("INSERT INTO answer VALUES (?, ?, ?, ?, ?)", system, key, digest, status, body)

    def _one(self, statement: str, *values: object) -> Document | None:
        rows = self._run(statement, *values)
        return json.loads(rows[0][0]) if rows else None

    def _run(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def now() -> str:
    """The moment, as the systems write it: RFC 3339, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
