"""Drills of halts on their page, over the API, and who sees and starts them."""

import pytest

from apps.core.models import ClockTimestamp
from apps.halts.models import HaltDrill
from apps.halts.services import start_drill
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.oversight.test_api import caller
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
ENGAGE, AUDIT = "halts.engage_halt", "audit.view_entry"
SENT = {"scope": "connector", "reason": "Spring."}


def test_a_person_asks_on_the_page_and_the_worker_s_result_stands_there(client):
    admin = make_admin()
    client.force_login(admin)
    assert "No drill yet" in client.get("/halts/drills/").content.decode()
    assert "No drill has shown in the last 90 days" in client.get("/halts/").content.decode()
    assert "No drill of a halt in 90 days" in client.get("/control/").content.decode()
    answer = client.post("/halts/drills/", {"scope": "everything", "reason": " "})
    assert answer.status_code == 422
    assert "One thing needs your attention" in answer.content.decode()
    assert client.post("/halts/drills/", {"scope": "everything", "reason": "Spring."}).status_code == 302
    answer = client.post("/halts/drills/", {"scope": "agent", "reason": "Again."})
    assert answer.status_code == 422
    assert "One at a time" in answer.content.decode()
    said = {"state": "failed", "claims": 80, "refused": 7, "escaped": 3, "time_to_stop_ms": 1234, "flaw": "escaped"}
    HaltDrill.objects.update(**said, ended_at=ClockTimestamp())
    page = client.get("/halts/drills/", headers={"HX-Request": "true"}).content.decode()
    assert "1,234 ms" in page
    assert "Do not rely on halts until you know why" in page
    assert "<html" not in page


def test_over_the_api_once_per_key():
    admin = caller(make_admin())
    first = admin.post("/api/v1/halts/drills/", SENT, "application/json", headers={"Idempotency-Key": "k"})
    again = admin.post("/api/v1/halts/drills/", SENT, "application/json", headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert HaltDrill.objects.count() == 1
    assert admin.post("/api/v1/halts/drills/", SENT, "application/json").json()["code"] == "invalid_state"
    [listed] = admin.get("/api/v1/halts/drills/").json()["results"]
    assert (listed["state"], listed["time_to_stop_ms"]) == ("waiting", None)
    assert admin.get(f"/api/v1/halts/drills/{listed['id']}/").json() == listed


@pytest.mark.parametrize("who", ["stranger", "auditor of one unit"])
def test_others_see_and_start_none(who):
    drill = start_drill(make_admin(), scope="everything", reason="x")
    one = caller(make_user() if who == "stranger" else make_holder(AUDIT, unit=make_unit()))
    assert one.get("/api/v1/halts/drills/").status_code == 403
    assert one.get(f"/api/v1/halts/drills/{drill.pk}/").status_code == 404
    assert one.post("/api/v1/halts/drills/", SENT, "application/json").status_code == 403


def test_an_agent_sees_and_starts_none_whatever_it_was_granted():
    desk = make_desk()
    grant(desk.agent.user, make_role(ENGAGE, AUDIT))
    assert desk.get("halts/drills/").status_code == 403
    assert desk.post("halts/drills/", SENT).status_code == 403
    assert not HaltDrill.objects.exists()


def test_an_auditor_reads_them_and_starts_none(client):
    start_drill(make_admin(), scope="everything", reason="It is spring.")
    client.force_login(make_holder(AUDIT))
    page = client.get("/halts/drills/").content.decode()
    assert "It is spring." in page
    assert "Hold a drill" not in page
    assert client.post("/halts/drills/", {"scope": "everything", "reason": "x"}).status_code == 403
