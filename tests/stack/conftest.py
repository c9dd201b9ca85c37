"""Data folders with embedded servers of their own, beside those the other tests share; the settings of earnest."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import embedded


@pytest.fixture(autouse=True)
def nothing_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "ACP_DATA_DIR", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A data folder with a short path, where nothing was ever started."""
    folder = Path(tempfile.mkdtemp(prefix="acp-")).resolve()
    yield folder
    embedded.remove(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data folder that the tests of one file share; each leaves it able to start."""
    replaced = {name: os.environ.pop(name) for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ}
    folder = Path(tempfile.mkdtemp(prefix="acp-")).resolve()
    yield folder
    embedded.remove(folder)
    shutil.rmtree(folder)
    os.environ.update(replaced)
