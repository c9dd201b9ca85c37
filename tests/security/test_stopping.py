"""A server that is told to stop lets nobody hang: open pages lose their stream, who waits is answered."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

from controlplane.waiting import Listener, hold
from tests.factories.access import make_user
from tests.security.test_revoked import HANGS_S, signed_in
from tests.serving import serving
from tests.test_dispatch import Caller, scope_of


@pytest.mark.usefixtures("real_db")
def test_open_pages_do_not_hold_up_the_end_of_the_server(tmp_path: Path) -> None:
    name, headers = str(connection.settings_dict["NAME"]), signed_in(make_user())
    with ExitStack() as pages:
        with serving(name, tmp_path) as address:
            url = f"{address}/live/?topics=inbox"
            page = pages.enter_context(httpx.stream("GET", url, headers=headers, timeout=HANGS_S))
            assert page.status_code == 200
        assert b"retry:" in b"".join(page.iter_raw())  # to its end, not broken off
    assert '"level": "error"' not in (tmp_path / "web.log").read_text()


@pytest.mark.parametrize("comes_later", [False, True])
def test_who_waits_is_answered_with_what_there_is(comes_later: bool) -> None:
    async def story() -> Caller:
        listener, asked = Listener(), asyncio.Event()

        async def pages(scope: Any, receive: Any, send: Any) -> None:
            asked.set()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b'{"state": "pending"}'})

        if comes_later:
            listener.stop()
        scope = scope_of("GET", "/api/v1/actions/01a1fc50-c781-740a-9c76-1ce8f211d717/", query=b"wait=30")
        caller = Caller()
        waits = asyncio.create_task(hold(listener, pages, scope, caller.receive, caller.send, {"wait": ["30"]}))
        await asked.wait()
        listener.stop()
        await asyncio.wait_for(waits, HANGS_S / 6)
        return caller

    assert asyncio.run(story()).body == b'{"state": "pending"}'
