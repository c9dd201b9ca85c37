"""A misconfigured agent against running processes: it stops itself in its first minute, and its owner knows."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from tests.conftest import copy_database, drop_database, url_of
from tests.demo.plane import LivePlane, eventually, live_plane


@pytest.fixture
def plane(template_database: str, tmp_path: Path) -> Iterator[LivePlane]:
    name = f"acp_runaway_{os.getpid()}"
    copy_database(template_database, name)
    urls = (url_of(settings.DATABASE_URL, name), url_of(settings.DATABASE_OWNER_URL, name), settings.REDIS_URL)
    with live_plane(tmp_path, *urls, "--no-history", "--no-runs") as running:
        yield running
    drop_database(name)


def test_an_agent_that_asks_for_what_is_denied_over_and_over_stops_itself_within_a_minute(plane: LivePlane):
    refund = {"customer": "hallam-sons", "amount_minor": 300_000, "currency": "EUR", "reason": "Broken on arrival"}
    headers = {"Authorization": f"Bearer {plane.manage('create_credential', 'newcomer').strip()}"}
    began, denied = time.monotonic(), 0
    with httpx.Client(base_url=plane.url, headers=headers, timeout=40) as agent:
        while time.monotonic() - began < 60:
            body = {"operation": "erp.refund", "parameters": {**refund, "reference": f"loop-{denied}"}}
            answer = agent.post("/api/v1/actions/", json=body, headers={"Idempotency-Key": f"loop-{denied}"})
            if answer.status_code == 423:
                break
            assert (answer.status_code, answer.json()["state"]) == (201, "denied"), answer.text
            denied += 1
        assert answer.status_code == 423, f"it went on after {denied} denials"
        assert "Denied too often" in answer.json()["reason"]
        owner = agent.get("/api/v1/me/").json()["agent"]["owner"]
    assert denied >= 30
    with plane.person(owner) as person:
        halt = person.get("/api/v1/halts/?engaged=true").json()["results"][0]

        def told() -> dict[str, str] | None:
            notices = person.get("/api/v1/notifications/").json()["results"]
            return next((notice for notice in notices if notice["halt"] == halt["id"]), None)

        notice = eventually(told, what="the owner's notice")
    assert halt["target"] in notice["title"]
    assert "Under way or waiting" in notice["title"]
