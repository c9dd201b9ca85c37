"""The sample systems of record, started as the process that the demo starts."""

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.demo.systems import ROOT, Systems, start_systems

ORDER = {"vendor": "nordlicht", "amount_minor": 124_000, "currency": "EUR", "item": "chairs", "reference": "po:1"}


def test_it_imports_nothing_of_the_plane() -> None:
    program = "import sys, apps.demo.systems.server; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "django" not in loaded
    assert {name for name in loaded if name.startswith("apps.") and not name.startswith("apps.demo")} == set()


def test_a_call_without_the_token_of_that_system_is_refused(systems: Systems) -> None:
    with systems.client("mail") as stranger:
        answer = stranger.post(f"{systems.url}/erp/purchase-orders", json=ORDER)
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"
    with systems.client("erp") as erp:
        assert erp.get("/purchase-orders/PO-1001").status_code == 404


def test_keys_are_readable_by_their_owner_alone_and_stay_the_same(systems: Systems) -> None:
    path = systems.folder / "systems-keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = json.loads(path.read_text())
    systems.process.terminate()
    systems.process.wait(10)
    again = start_systems(systems.folder)
    assert json.loads(path.read_text()) == before
    again.process.terminate()
    again.process.wait(10)


def test_the_same_key_gets_the_stored_answer_and_another_request_under_it_a_conflict(systems: Systems) -> None:
    key = {"Idempotency-Key": "k1"}
    message = {"to": "uma@example.com", "subject": "Hello"}
    with systems.client("mail") as mail:
        first = mail.post("/messages", json=message, headers=key)
        second = mail.post("/messages", json=message, headers=key)
        other = mail.post("/messages", json={**message, "subject": "Bye"}, headers=key)
        third = mail.post("/messages", json=message)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert third.json()["id"] != first.json()["id"]


def test_one_reference_is_one_order_whoever_asks_how_often(systems: Systems) -> None:
    def place(_: int) -> httpx.Response:
        with systems.client("erp") as erp:
            return erp.post("/purchase-orders", json=ORDER)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(place, range(8)))
    assert {answer.json()["number"] for answer in answers} == {"PO-1001"}
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    with systems.client("erp") as erp:
        other = erp.post("/purchase-orders", json={**ORDER, "amount_minor": 1})
    assert (other.status_code, other.json()["code"]) == (409, "reference_taken")


def test_a_cancelled_order_frees_its_reference(systems: Systems) -> None:
    with systems.client("erp") as erp:
        erp.post("/purchase-orders", json=ORDER)
        assert erp.post("/purchase-orders/PO-1001/cancel").json()["status"] == "cancelled"
        assert erp.post("/purchase-orders", json=ORDER).json()["number"] == "PO-1002"


def test_a_reservation_never_takes_more_than_the_budget_holds(systems: Systems) -> None:
    with systems.client("erp") as erp:
        left_minor = erp.get("/budgets/office").json()["available_minor"]
        too_much = {"cost_center": "office", "amount_minor": left_minor + 1}
        assert erp.post("/reservations", json=too_much).json()["code"] == "budget_exceeded"
        assert erp.get("/budgets/office").json()["available_minor"] == left_minor
        held = erp.post("/reservations", json={**too_much, "amount_minor": left_minor}).json()
        assert erp.get("/budgets/office").json()["available_minor"] == 0
        for _ in range(2):
            erp.post(f"/reservations/{held['id']}/release")
        assert erp.get("/budgets/office").json()["available_minor"] == left_minor


def test_a_declaration_is_paid_once_and_only_its_amount(systems: Systems) -> None:
    wanted = {"declaration_id": "d1", "amount_minor": 2685, "currency": "EUR"}
    pay = {"amount_minor": 2685, "currency": "EUR"}
    with systems.client("erp") as erp:
        assert erp.post("/declarations", json=wanted).status_code == 201
        assert erp.post("/declarations/d1/pay", json={**pay, "amount_minor": 99}).status_code == 409
        assert erp.get("/declarations/d1").json()["status"] == "registered"
        first = erp.post("/declarations/d1/pay", json=pay).json()
        assert erp.post("/declarations/d1/pay", json=pay).json() == first
        assert erp.get("/declarations/d1").json()["status"] == "paid"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"[" * 100_000, 400),
        (json.dumps({**ORDER, "colour": "red"}).encode(), 422),
        (json.dumps({**ORDER, "amount_minor": "1240"}).encode(), 422),
        (json.dumps({**ORDER, "amount_minor": 12.4}).encode(), 422),
        (json.dumps({**ORDER, "amount_minor": True}).encode(), 422),
        (json.dumps({**ORDER, "vendor": "nobody"}).encode(), 404),
        (json.dumps({**ORDER, "vendor": "grey-harbor"}).encode(), 409),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(systems: Systems, body: bytes, status: int) -> None:
    with systems.client("erp") as erp:
        answer = erp.post("/purchase-orders", content=body)
        assert answer.status_code == status
        assert answer.json()["code"]
        assert erp.get("/purchase-orders/PO-1001").status_code == 404


def test_a_customer_changes_field_by_field(systems: Systems) -> None:
    with systems.client("crm") as crm:
        before = crm.get("/customers/hallam-sons").json()
        after = crm.patch("/customers/hallam-sons", json={"phone": "+44 20 5550 0199"}).json()
        assert crm.patch("/customers/hallam-sons", json={"id": "C-1"}).status_code == 422
    assert {**before, "phone": "+44 20 5550 0199", "at": after["at"]} == after


def test_faults_happen_as_often_as_asked_and_the_effect_is_there_when_only_the_answer_was_lost(
    systems: Systems,
) -> None:
    with systems.client("erp") as erp:
        systems.break_("erp", kind="down", times=1)
        with pytest.raises(httpx.TransportError):
            erp.post("/purchase-orders", json=ORDER)
        assert erp.get("/purchase-orders/PO-1001").status_code == 404
        systems.break_("erp", kind="silent", seconds=0.1, after=True, times=1)
        with pytest.raises(httpx.TransportError):
            erp.post("/purchase-orders", json=ORDER)
        assert erp.get("/purchase-orders/PO-1001").status_code == 200
        systems.break_("erp", kind="error")
        assert [erp.get("/budgets/it").status_code for _ in range(3)] == [500] * 3
        systems.break_("erp", kind="nonsense")
        with pytest.raises(ValueError, match="Expecting"):
            erp.get("/budgets/it").json()
        systems.break_("erp", kind="busy", times=1)
        assert erp.get("/budgets/it").headers["Retry-After"] == "1"
        systems.break_("erp", kind="slow", seconds=0.1)
        assert erp.get("/budgets/it").status_code == 200
        systems.mend("erp")
    with systems.client("systems_admin") as admin:
        assert admin.get("/admin/faults").json() == {}
        assert admin.put("/admin/faults/erp", json={"kind": "asleep"}).status_code == 422
        assert admin.put("/admin/faults/erp", json={"kind": "down", "mood": 1}).status_code == 422


def test_the_pages_show_what_is_there_and_never_as_markup(systems: Systems) -> None:
    with systems.client("desk") as desk:
        desk.post("/tickets", json={"customer": "mina-okafor", "subject": "<script>alert(1)</script>"})
    with systems.client("erp") as erp:
        erp.post("/purchase-orders", json=ORDER)
    assert "1 order," in httpx.get(f"{systems.url}/").text
    assert "1,240.00 EUR" in httpx.get(f"{systems.url}/erp/").text
    page = httpx.get(f"{systems.url}/desk/").text
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_what_was_done_survives_a_kill(systems: Systems) -> None:
    with systems.client("erp") as erp:
        erp.post("/purchase-orders", json=ORDER)
    systems.process.kill()
    systems.process.wait(10)
    again = start_systems(systems.folder)
    with again.client("erp") as erp:
        assert erp.post("/purchase-orders", json=ORDER).status_code == 200
    again.process.terminate()
    again.process.wait(10)
