"""The embedded PostgreSQL: one cluster, two roles, a socket and no port."""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from controlplane.embedded import processes
from controlplane.embedded.places import EmbeddedError, Layout
from controlplane.embedded.programs import servant_programs, wheel_programs

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""What is written survives the death of any process, and not that of the machine: for what can be made anew."""

# Default privileges are set in template1, so that every database made from it, the tests' included, has them.
# The owner may end the application's sessions, as dropping a test database needs.
DATABASE_SQL = """\
ALTER DEFAULT PRIVILEGES FOR ROLE acp_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO acp_app;
ALTER DEFAULT PRIVILEGES FOR ROLE acp_owner GRANT USAGE, SELECT ON SEQUENCES TO acp_app;
GRANT pg_signal_backend TO acp_owner;
CREATE DATABASE acp OWNER acp_owner;
"""


def new_passwords() -> dict[str, str]:
    """One for each role."""
    return {role: secrets.token_hex(24) for role in ("acp_owner", "acp_app")}


def url_of(layout: Layout, passwords: dict[str, str], role: str) -> str:
    """The form libpq knows of an address behind a socket."""
    return f"postgresql://{role}:{passwords[role]}@/acp?host={layout.sockets}"


def answers(layout: Layout) -> bool:
    """Whether it takes connections (not merely starts up)."""
    if not layout.postgres_socket.exists():
        return False
    command = [str(wheel_programs()[0] / "pg_isready"), "-q", "-t", "2", "-h", str(layout.sockets), "-d", "acp"]
    return subprocess.run(command, check=False, env=processes.ENVIRONMENT).returncode == 0


def start(layout: Layout, passwords: dict[str, str], *, rekey: bool, durable: bool) -> None:
    """Start it, making the cluster at need. `rekey` sets these passwords where the old are lost."""
    pid_file, log_file = layout.cluster / "postmaster.pid", layout.home / "postgres.log"
    if rekey:
        stop(layout)
    processes.reap()
    processes.clear_the_way(layout.postgres_socket, pid_file, str(layout.cluster), lambda: answers(layout))
    if answers(layout):
        return
    if not layout.cluster.exists():
        _make_cluster(layout, passwords)
    elif rekey:
        _disown(pid_file)
        _single_user(layout, layout.cluster, _roles_sql("ALTER", passwords))
    _disown(pid_file)
    layout.postgres_socket.with_name(f"{layout.postgres_socket.name}.lock").unlink(missing_ok=True)
    values = SETTINGS if durable else SETTINGS | NOT_DURABLE
    settings = [part for name, value in values.items() for part in ("-c", f"{name}={value}")]
    server = servant_programs(layout)[0] / "postgres"
    processes.spawn(layout, server, "-D", layout.cluster, "-k", layout.sockets, *settings, log_file=log_file)
    processes.await_answer(lambda: answers(layout), log_file)


def stop(layout: Layout) -> None:
    """End it (sessions are cut, work is flushed); by force where it does not end in time."""
    pid = processes.find(layout.postgres_socket, layout.cluster / "postmaster.pid", str(layout.cluster))
    processes.end(pid, str(layout.cluster), signal.SIGINT, signal.SIGQUIT)


def _make_cluster(layout: Layout, passwords: dict[str, str]) -> None:
    """initdb, roles and database in a folder aside, then one rename: what is interrupted is begun afresh."""
    for left in layout.postgres.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh, pwfile = layout.postgres / f"new-{secrets.token_hex(4)}", layout.postgres / "superuser"
    pwfile.unlink(missing_ok=True)
    pwfile.touch(mode=0o600)
    pwfile.write_text(secrets.token_urlsafe(24))  # forgotten at once: single-user mode is the superuser's only door
    os.chown(pwfile, layout.servant.uid, layout.servant.gid)
    options = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(pwfile), "-E", "UTF8", "--no-instructions"]
    locale = ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    _run(layout, "initdb", "-D", fresh, *options, *locale)
    pwfile.unlink()
    _single_user(layout, fresh, _roles_sql("CREATE", passwords) + DATABASE_SQL)
    fresh.rename(layout.cluster)


def _roles_sql(verb: str, passwords: dict[str, str]) -> str:
    return (
        f"{verb} ROLE acp_owner LOGIN CREATEDB PASSWORD '{passwords['acp_owner']}';\n"
        f"{verb} ROLE acp_app LOGIN PASSWORD '{passwords['acp_app']}';\n"
    )


def _single_user(layout: Layout, cluster: Path, sql: str) -> None:
    """Run statements, one a line, with no server running and nobody else let in."""
    _run(layout, "postgres", "--single", "-D", cluster, "template1", text=sql)


def _run(layout: Layout, program: str, *options: str | Path, text: str = "") -> None:
    done = subprocess.run(
        [servant_programs(layout)[0] / program, *options],
        input=text,
        capture_output=True,
        text=True,
        cwd=layout.postgres,
        env=processes.ENVIRONMENT,
        umask=0o077,
        check=False,
        **layout.servant.popen_options(),
    )
    if done.returncode or "ERROR:" in done.stderr:
        raise EmbeddedError(f"{program} failed: {done.stderr.strip()}")


def _disown(pid_file: Path) -> None:
    """Name ourselves in a dead server's pid file.

    PostgreSQL refuses to start while the pid in the file lives, and after a crash that pid may be anybody's; its own
    parent's it overlooks. Deleting the file would also drop its guard against backends that still write.
    """
    if pid_file.exists():
        _, *rest = pid_file.read_text().splitlines(keepends=True)
        with pid_file.open("r+") as file:
            file.write("".join([f"{os.getpid()}\n", *rest]))
            file.truncate()
