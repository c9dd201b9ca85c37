"""The broker is a doorbell: killed in the middle of the work it delays by a poll at most, and loses nothing."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from controlplane import embedded
from controlplane.embedded.places import layout_of
from controlplane.embedded.processes import pid_behind
from tests.conftest import copy_database, drop_database, url_of
from tests.demo.plane import LivePlane, eventually, live_plane
from tests.demo.test_live import decide, declaration, finished, start, the_item


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Valkey of its own, which may be killed; the folder it lives in."""
    folder = tmp_path_factory.mktemp("broker")
    monkeypatch.setenv("DATABASE_URL", settings.DATABASE_URL)  # so that no second PostgreSQL is started
    monkeypatch.delenv("REDIS_URL", raising=False)
    embedded.start(folder)
    yield folder
    embedded.remove(folder)


@pytest.fixture
def plane(template_database: str, tmp_path_factory: pytest.TempPathFactory, broker: Path) -> Iterator[LivePlane]:
    name = f"acp_faults_{os.getpid()}"
    copy_database(template_database, name)
    found = embedded.addresses(broker)
    assert found is not None
    urls = (url_of(settings.DATABASE_URL, name), url_of(settings.DATABASE_OWNER_URL, name), found.redis_url)
    with live_plane(tmp_path_factory.mktemp("faults"), *urls, "--no-history", "--no-runs") as running:
        yield running
    drop_database(name)


def kill_broker(folder: Path) -> None:
    pid = pid_behind(layout_of(folder).valkey_socket)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not embedded.running(folder)["valkey"], what="the end of the broker")


def test_with_the_broker_killed_people_decide_runs_end_and_the_erp_pays_once(plane: LivePlane, broker: Path) -> None:
    plane.start_agents("expense-checker")
    run_id = start(plane, "expense-declaration", declaration("D-broker", 31_000))
    with plane.person("ada") as ada:
        item = the_item(ada, run_id)
        kill_broker(broker)
        began = time.monotonic()
        decide(ada, item, "approve")
        assert time.monotonic() - began < 10, "a dead broker does not hold a decision up"
        assert ada.get("/readyz").json()["broker"] == "missing"
    assert finished(plane, run_id)["outcome"] == "completed"
    second = start(plane, "expense-declaration", declaration("D-without", 4_000))
    assert finished(plane, second)["outcome"] == "completed"
    paid = [call for call in plane.systems.calls("erp") if str(call["path"]).endswith("/pay")]
    assert sorted(str(call["path"]) for call in paid) == ["/declarations/D-broker/pay", "/declarations/D-without/pay"]
    embedded.start(broker)
    eventually(lambda: plane_is_ready(plane), within_s=60, what="readiness after the broker came back")
    third = start(plane, "expense-declaration", declaration("D-after", 4_000))
    assert finished(plane, third)["outcome"] == "completed"


def plane_is_ready(plane: LivePlane) -> bool:
    return httpx.get(f"{plane.url}/readyz", timeout=5).status_code == 200
