"""Tests run on real PostgreSQL as the application's role, on a copy of a migrated template."""

import gc
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql

hypothesis_settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("house")  # properties are timed by nobody: machines are busy

ROOT = Path(__file__).resolve().parent.parent
LONGEST = (
    "stack/test_demo.py",  # servers of its own: it runs while others wait for the template
    "demo/test_live.py",
    "access/test_second_factor.py",
    "test_main_path.py",  # it reads the ledger behind every open transaction: not beside the walks below
    "test_api.py",
    "security/test_doors.py",
    "audit/test_payloads.py",
    "classification/test_by_rules.py",
    "console/test_faulty_forms.py",
    "classification/test_runs.py",
    "classification/test_hidden.py",
    "policies/test_confidential.py",
)
"""What takes longest, in the order in which it begins: whoever met one at the end would keep the others waiting."""


GARBAGE = 20_000
"""After so many new objects the collector looks among them; Python itself does after 2,000."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; all others stay as they are."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Half a million objects stay until the end: a collector that looks through them again and again finds nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def url_of(url: str, database: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _run_as_owner(*statements: sql.Composable) -> None:
    with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, "postgres"), autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)


def _exists(name: str) -> bool:
    with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, "postgres"), autocommit=True) as owner:
        return owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def drop_database(name: str) -> None:
    """Drop a test's database, whoever is still connected."""
    _run_as_owner(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def copy_database(template: str, name: str) -> None:
    """A copy of ``template``, owned by the owner, as the application's role sees it."""
    drop_database(name)
    _run_as_owner(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))


def _migrations() -> dict[str, str]:
    """Every migration and what it says, shortened."""
    files = sorted(ROOT.glob("apps/*/migrations/*.py"))
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}


def _template_name() -> str:
    files = sorted([*ROOT.glob("apps/*/models*"), ROOT / "apps/access/rules/permissions.py"])
    text = b"".join(f"{path}".encode() + (path.read_bytes() if path.is_file() else b"") for path in files)
    return f"acp_template_{hashlib.sha256(text + json.dumps(_migrations()).encode()).hexdigest()[:12]}"


def _base_of(migrations: dict[str, str]) -> str | None:
    """The template that holds most of these migrations, as they are now, and no others: an update begins there."""
    with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, "postgres"), autocommit=True) as owner:
        rows = owner.execute(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname ~ '^acp_template_[0-9a-f]+$' AND shobj_description(oid, 'pg_database') IS NOT NULL"
        ).fetchall()
    held = {name: json.loads(said) for name, said in rows}
    fitting = [name for name in held if held[name].items() <= migrations.items()]
    return max(fitting, key=lambda name: len(held[name]), default=None)


def _migrate(name: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "DATABASE_URL": url_of(settings.DATABASE_URL, name),
        "DATABASE_OWNER_URL": url_of(settings.DATABASE_OWNER_URL, name),
        "REDIS_URL": settings.REDIS_URL,
    }
    command = [sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _make_template(name: str) -> None:
    """Migrate an older template's copy, as an update does; from nothing where there is none or it does not fit."""
    draft, migrations = f"{name}_draft", _migrations()
    base, done = _base_of(migrations), None
    if base:
        copy_database(base, draft)
        done = _migrate(draft)
    if done is None or done.returncode:
        drop_database(draft)
        _run_as_owner(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(draft)))
        done = _migrate(draft)
    assert done.returncode == 0, done.stderr
    _run_as_owner(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name)),
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), json.dumps(migrations)),
    )


@pytest.fixture(scope="session")
def template_database() -> str:
    """A migrated, empty database, made once per state of the migrations."""
    name = _template_name()
    with psycopg.connect(url_of(settings.DATABASE_OWNER_URL, "postgres"), autocommit=True) as lock:
        lock.execute("SELECT pg_advisory_lock(7231)")
        if not _exists(name):
            _make_template(name)
    return name


def use_database(name: str) -> None:
    """Point this process's connection at ``name``."""
    connection = connections["default"]
    connection.close()
    if connection.pool:
        connection.close_pool()
    connection.settings_dict["NAME"] = name
    settings.DATABASES["default"]["NAME"] = name


@pytest.fixture(scope="session")
def django_db_setup(template_database: str, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """The database of ordinary tests: each runs in a transaction that is rolled back."""
    name = f"acp_test_{os.getpid()}"
    copy_database(template_database, name)
    with django_db_blocker.unblock():
        use_database(name)
    yield
    with django_db_blocker.unblock():
        connections["default"].close()
        if connections["default"].pool:
            connections["default"].close_pool()
    drop_database(name)


@pytest.fixture
def real_db(template_database: str, django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[str]:
    """A database of its own with real commits, for threads and other processes; yields the application's URL."""
    before = str(connections["default"].settings_dict["NAME"])
    name = f"acp_real_{os.getpid()}_{os.urandom(4).hex()}"
    copy_database(template_database, name)
    with django_db_blocker.unblock():
        use_database(name)
        yield url_of(settings.DATABASE_URL, name)
        use_database(before)
    drop_database(name)


@pytest.fixture(autouse=True)
def no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A logged ERROR fails the test that caused it; robust callbacks would hide it otherwise."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]


def let_the_horizon_pass(within_s: float = 60.0) -> None:
    """Wait until every entry may be read: other tests' transactions on the same server hold the horizon back."""
    ends = time.monotonic() + within_s
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(xid::text::bigint), 0) FROM audit_entry")
        newest = cursor.fetchone()[0]
        while time.monotonic() < ends:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            if cursor.fetchone()[0] > newest:
                return
            time.sleep(0.1)
    raise AssertionError(f"A transaction held the horizon back for {within_s:.0f} s.")
