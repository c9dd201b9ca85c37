"""Where the embedded servers keep their files, and whose account runs them."""

import contextlib
import fcntl
import hashlib
import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET_PATH_MAX = 100  # bytes; the kernel's own limit is 104 (macOS) or 108 (Linux)
SHORT_FOLDER = Path("/tmp")  # noqa: S108  only for a private folder in it, checked by make_folders


class EmbeddedError(Exception):
    """Something a person must know or mend; the message says what."""


@dataclass(frozen=True)
class Servant:
    """The account that runs the servers: PostgreSQL refuses root."""

    uid: int
    gid: int

    @property
    def other(self) -> bool:
        """Whether it is another account than ours, which only root can arrange."""
        return self.uid != os.geteuid()

    @property
    def name(self) -> str:
        return pwd.getpwuid(self.uid).pw_name

    def popen_options(self) -> dict[str, Any]:
        """What makes `subprocess` run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}

    def reaches(self, path: Path) -> bool:
        """Whether the account may pass through a folder or run a program: tried, not computed."""
        command = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.popen_options()).returncode == 0


@dataclass(frozen=True)
class Layout:
    """The files of one data folder. `home` is elsewhere only where the servant cannot enter the data folder."""

    data_dir: Path
    home: Path
    sockets: Path
    servant: Servant

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def cluster(self) -> Path:
        return self.postgres / "cluster"

    @property
    def valkey(self) -> Path:
        return self.home / "valkey"

    @property
    def postgres_socket(self) -> Path:
        return self.sockets / ".s.PGSQL.5432"

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "valkey.sock"


def layout_of(data_dir: Path) -> Layout:
    """The places of a data folder, made or not."""
    servant = _servant(data_dir)
    home = _home(data_dir, servant)
    sockets = home / "run"
    plain = str(sockets).isascii() and all(letter.isalnum() or letter in "/._-" for letter in str(sockets))
    if not plain or len(str(sockets / ".s.PGSQL.5432")) > SOCKET_PATH_MAX:
        sockets = SHORT_FOLDER / f"acp-{servant.uid}-{_short_name(home)}"
    return Layout(data_dir, home, sockets, servant)


def _servant(data_dir: Path) -> Servant:
    """Ourselves; for root the owner of the data folder, or `nobody`."""
    if os.geteuid() != 0:
        return Servant(os.geteuid(), os.getegid())
    for uid in (data_dir.stat().st_uid if data_dir.exists() else 0, pwd.getpwnam("nobody").pw_uid):
        with contextlib.suppress(KeyError):  # an owner without an account cannot run initdb
            account = pwd.getpwuid(uid)
            if account.pw_uid != 0:
                return Servant(account.pw_uid, account.pw_gid)
    raise EmbeddedError("PostgreSQL does not run as root, and this system has no account 'nobody' to run it as.")


def _home(data_dir: Path, servant: Servant) -> Path:
    """The data folder; where the servant cannot enter it (root's own folders) a folder that a link there names."""
    link = data_dir / "postgres"
    if link.is_symlink():
        return link.readlink().parent
    if servant.other and data_dir.exists() and not servant.reaches(data_dir):
        system = Path("/var/lib") if Path("/var/lib").is_dir() else Path("/var/db")
        return system / "autonomy-control-plane" / secrets.token_hex(6)
    return data_dir


def _short_name(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def make_data_dir(data_dir: Path) -> None:
    """The data folder and its lock file; as root others may pass through it, not list it: the servant is another."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            data_dir.chmod(data_dir.stat().st_mode | 0o001)
        os.close(os.open(data_dir / "embedded.lock", os.O_RDWR | os.O_CREAT, 0o600))
    except PermissionError as error:
        raise EmbeddedError(f"{data_dir} belongs to another account; choose a folder with ACP_DATA_DIR.") from error


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """One at a time; the kernel frees the lock of a killed process."""
    with (data_dir / "embedded.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_folders(layout: Layout) -> None:
    """The servant's own folders, private to it."""
    if layout.home != layout.data_dir:
        for folder in (layout.home.parent, layout.home):
            if not folder.exists():
                folder.mkdir(mode=0o711)
        if not (layout.data_dir / "postgres").is_symlink():
            (layout.data_dir / "postgres").symlink_to(layout.postgres)
    for folder in (layout.postgres, layout.valkey, layout.sockets):
        if not folder.exists():
            folder.mkdir(mode=0o700)
            os.chown(folder, layout.servant.uid, layout.servant.gid)
    found = layout.sockets.lstat()
    if found.st_uid != layout.servant.uid or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{layout.sockets} is not the private folder of '{layout.servant.name}' it should be; remove it."
        )
