"""Where the database cannot answer nothing is allowed, at no door: 503, what to do, and no trace of the inside."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

from apps.access.services import create_token
from apps.agents.models import Action
from apps.halts.services import engage_halt
from tests.conftest import drop_database
from tests.factories.access import make_admin
from tests.factories.agents import make_key_for
from tests.factories.oversight import make_payment
from tests.security.test_revoked import signed_in
from tests.serving import serving

PATIENCE_S = 120
INSIDE = ("Traceback", "psycopg", "OperationalError", "apps/", "does not exist", "FATAL")


@pytest.fixture
def asked(real_db: str, tmp_path: Path) -> Iterator[dict[str, tuple[int, str, Any]]]:
    """What each door said once the database was gone."""
    payment, admin = make_payment(), make_admin()
    halt = engage_halt(admin, scope="agent", target=payment.agent.slug, unit=payment.unit, reason="Odd.")
    key = {"Authorization": f"Bearer {make_key_for(payment.agent)}", "Idempotency-Key": "k"}
    token = {"Authorization": f"Bearer {create_token(admin, user=admin)}"}
    cookie = signed_in(payment.ada)
    cookie["Cookie"] += f"; csrftoken={'t' * 32}"
    form = {**cookie, "Referer": "x"}
    item, action = payment.item, payment.action
    doors = [
        ("a vote", "POST", f"/api/v1/escalations/{item.pk}/decision/", {"outcome": "approve"}, token),
        ("a lift", "POST", f"/api/v1/halts/{halt.pk}/lift/", {"reason": "Mended."}, token),
        ("a halt", "POST", "/api/v1/halts/", {"scope": "everything", "reason": "Odd."}, token),
        ("a claim", "POST", "/api/v1/tasks/claim/", {}, key),
        ("a claim that waits", "POST", "/api/v1/tasks/claim/", {"wait": 2}, key),
        ("consuming", "POST", f"/api/v1/actions/{action.pk}/consume/", {"digest": action.digest}, key),
        ("an ask that waits", "GET", f"/api/v1/actions/{action.pk}/?wait=2", None, key),
        ("spans", "POST", "/v1/traces", {}, key),
        ("a page", "GET", "/inbox/", None, cookie),
        ("an item", "GET", f"/inbox/{item.pk}/", None, cookie),
        ("a vote on a page", "POST", f"/inbox/{item.pk}/decision/", {"outcome": "approve"}, form),
        ("a lift on a page", "POST", f"/halts/{halt.pk}/lift/", {"reason": "Mended."}, form),
        ("a part of a page", "GET", "/inbox/", None, {**cookie, "HX-Request": "true"}),
        ("a nowhere", "GET", "/nowhere/", None, cookie),
        ("signing in", "POST", "/accounts/login/", {"login": payment.ada.username, "password": "x"}, form),
    ]
    with serving(str(connection.settings_dict["NAME"]), tmp_path) as address:
        mine = httpx.get(f"{address}/inbox/{item.pk}/", headers=cookie, timeout=PATIENCE_S)
        assert mine.status_code == 200, "the session opens it while the database answers"
        assert Action.objects.get(pk=action.pk).state == "pending_approval"
        drop_database(str(connection.settings_dict["NAME"]))
        yield {what: said(address, *door) for what, *door in doors}


def said(address: str, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, str, Any]:
    form = "Cookie" in headers and body is not None
    more = {"data": {**body, "csrfmiddlewaretoken": "t" * 32}} if form else {"json": body} if body is not None else {}
    answer = httpx.request(method, f"{address}{path}", headers=headers, timeout=PATIENCE_S, **more)
    return answer.status_code, answer.text, answer.headers


def test_nothing_is_allowed_and_everybody_is_told_what_to_do(asked: dict[str, tuple[int, str, Any]]) -> None:
    assert {what: code for what, (code, _text, _headers) in asked.items()} == dict.fromkeys(asked, 503)
    for what, (_code, text, headers) in asked.items():
        assert headers.get("Retry-After"), what
        assert not [word for word in INSIDE if word in text], what
        if headers["Content-Type"].startswith("application/problem+json"):
            assert json.loads(text)["code"] == "unavailable", what
        else:
            assert "Nothing was changed." in text, what
            assert "again" in text, what
