"""Why the database did not answer is in the log, without what PostgreSQL quotes; whoever asked is told none of it."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from psycopg.errors import DeadlockDetected

from apps.access.services import create_token
from tests.factories.access import make_admin

pytestmark = pytest.mark.django_db
QUOTED = "deadlock detected\nDETAIL:  Key (name)=(Greta Garbo) is held."


def fail(*_args: Any, **_options: Any) -> None:
    raise OperationalError(QUOTED) from DeadlockDetected(QUOTED)


@pytest.mark.parametrize("address", ["/audit/", "/api/v1/halts/"])
def test_a_deadlock_is_a_503_whose_cause_is_logged_without_anybodys_data(
    address: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = make_admin()
    client = Client(headers={"Authorization": f"Bearer {create_token(admin, user=admin)}"})
    if not address.startswith("/api/"):
        client = Client()
        client.force_login(admin)
    monkeypatch.setattr("apps.console.views.audit.entries_for", fail)
    monkeypatch.setattr("apps.console.api.halts.halts_for", fail)
    answer = client.get(address)
    assert answer.status_code == 503
    assert "eadlock" not in answer.content.decode()
    (line,) = [one for one in caplog.records if "database_did_not_answer" in one.getMessage()]
    assert line.levelname == "WARNING"
    assert "DeadlockDetected" in line.getMessage()
    assert "Traceback" in line.getMessage()
    assert "Greta" not in caplog.text
    others = [one.name for one in caplog.records if one.levelname == "ERROR"]
    assert others == ["django.request"], "the framework's own line of a 503, and no other"
    caplog.clear()
