"""The systems of record, and the whole plane, as real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.systems import Systems, start_systems


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[Systems]:
    running = start_systems(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(10)
