"""The embedded PostgreSQL and Valkey: a clone runs without any server of its own.

Programs come from two wheels; data, sockets, passwords and logs lie in one data folder (`ACP_DATA_DIR`, else `.data`
beside `manage.py`). Servers outlive whoever started them and are adopted by the next start. What `DATABASE_URL` or
`REDIS_URL` names is not embedded. Only the standard library is imported.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path

from controlplane.embedded import postgres, valkey
from controlplane.embedded.places import EmbeddedError, Layout, layout_of, locked, make_data_dir, make_folders

__all__ = ["Addresses", "EmbeddedError", "addresses", "default_data_dir", "remove", "running", "start", "stop"]

ADDRESSES_FILE = "embedded.json"


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where the servers are. `owner_url` is None only where the environment names a database and not its owner."""

    database_url: str
    owner_url: str | None
    redis_url: str


def default_data_dir() -> Path:
    """`ACP_DATA_DIR`, else `.data` beside `manage.py`."""
    return Path(os.environ.get("ACP_DATA_DIR") or Path(__file__).resolve().parents[2] / ".data").resolve()


def addresses(data_dir: Path | str | None = None) -> Addresses | None:
    """From the environment or the data folder, running or not; None if nothing was ever started there."""
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    owner_url = os.environ.get("DATABASE_OWNER_URL") or None
    if database_url and redis_url:
        return Addresses(database_url, owner_url, redis_url)
    known = _stored(_folder(data_dir)).get("addresses")
    if known is None:
        return None
    if database_url:
        return Addresses(database_url, owner_url, known["redis_url"])
    return Addresses(known["database_url"], known["owner_url"], redis_url or known["redis_url"])


def running(data_dir: Path | str | None = None) -> dict[str, bool]:
    """Whether each embedded server answers on its socket; without those that the environment replaces."""
    layout = layout_of(_folder(data_dir))
    checks = {"postgres": postgres.answers, "valkey": valkey.answers}
    return {name: checks[name](layout) for name in _wanted()}


def start(data_dir: Path | str | None = None, *, durable: bool = True) -> Addresses:
    """Start what does not answer, adopt what does. Of two at once the second waits for the first.

    Without ``durable`` nothing waits for the disk, and a machine that falls may leave a cluster that cannot be read.
    """
    folder = _folder(data_dir)
    if _wanted():
        make_data_dir(folder)
        with locked(folder):
            _start(layout_of(folder), durable=durable)
    known = addresses(folder)
    assert known is not None
    return known


def stop(data_dir: Path | str | None = None) -> None:
    """End both servers; returns when they are gone."""
    folder = _folder(data_dir)
    if (folder / "embedded.lock").exists():
        with locked(folder):
            valkey.stop(layout_of(folder))
            postgres.stop(layout_of(folder))


def remove(data_dir: Path | str | None = None) -> None:
    """Stop both and delete all they keep: the data is gone."""
    folder = _folder(data_dir)
    stop(folder)
    layout = layout_of(folder)
    for path in (layout.sockets, layout.postgres, layout.valkey, layout.home / "programs"):
        shutil.rmtree(path, ignore_errors=True)
    if layout.home != folder:
        shutil.rmtree(layout.home, ignore_errors=True)
        (folder / "postgres").unlink(missing_ok=True)
    (folder / ADDRESSES_FILE).unlink(missing_ok=True)


def _folder(data_dir: Path | str | None) -> Path:
    return Path(data_dir).resolve() if data_dir else default_data_dir()


def _wanted() -> list[str]:
    """The servers that the environment does not replace."""
    return [name for name, key in (("postgres", "DATABASE_URL"), ("valkey", "REDIS_URL")) if not os.environ.get(key)]


def _start(layout: Layout, *, durable: bool) -> None:
    make_folders(layout)
    known = _stored(layout.data_dir).get("passwords")
    passwords = known or postgres.new_passwords()
    if "postgres" in _wanted() and (known is None or not postgres.answers(layout)):
        postgres.start(layout, passwords, rekey=known is None and layout.cluster.exists(), durable=durable)
    if "valkey" in _wanted() and not valkey.answers(layout):
        valkey.start(layout)
    _store(layout, passwords)


def _stored(folder: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads((folder / ADDRESSES_FILE).read_text())
    except FileNotFoundError:
        return {}
    return found


def _store(layout: Layout, passwords: dict[str, str]) -> None:
    """The only copy of the passwords, and the addresses made of them; replaced whole."""
    urls = (postgres.url_of(layout, passwords, "acp_app"), postgres.url_of(layout, passwords, "acp_owner"))
    known = Addresses(*urls, valkey.url_of(layout))
    fresh = layout.data_dir / f"{ADDRESSES_FILE}.new"
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"passwords": passwords, "addresses": dataclasses.asdict(known)}, indent=1))
    if layout.servant.other:
        os.chown(fresh, layout.data_dir.stat().st_uid, -1)
    fresh.replace(layout.data_dir / ADDRESSES_FILE)
