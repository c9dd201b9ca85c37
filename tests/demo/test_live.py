"""The sample company alive: examples, agents, workflows and real cases against running processes, faults included."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from bench.declarations import FILE, counted
from tests.conftest import copy_database, drop_database, url_of
from tests.demo.plane import ROOT, LivePlane, eventually, live_plane

CASES = [("a", "10.004"), ("b", "200"), ("c", "200.005"), ("d", "500"), ("e", "500.01"), ("f", "0")]


@pytest.fixture(scope="module")
def plane(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlane]:
    folder: Path = tmp_path_factory.mktemp("live")
    name = f"acp_live_{os.getpid()}"
    copy_database(template_database, name)
    urls = (url_of(settings.DATABASE_URL, name), url_of(settings.DATABASE_OWNER_URL, name), settings.REDIS_URL)
    with live_plane(folder, *urls, "--no-history", "--no-runs") as running:
        yield running
    drop_database(name)


@pytest.fixture
def workers(plane: LivePlane) -> Iterator[None]:
    """The agents that take tasks; those that act on their own account stay away."""
    plane.start_agents("vendor-validator", "quote-gatherer", "expense-checker")
    yield
    plane.end("agents")


def start(plane: LivePlane, workflow: str, given: dict[str, Any]) -> str:
    with plane.agent("front-desk") as desk:
        key = {"Idempotency-Key": os.urandom(8).hex()}
        answer = desk.post("/api/v1/runs/", json={"workflow": workflow, "input": given}, headers=key)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def declaration(name: str, amount_minor: int, purpose: str = "taxi") -> dict[str, Any]:
    return {"declaration_id": name, "amount_minor": amount_minor, "currency": "EUR", "purpose": purpose}


def items_of(client: httpx.Client, run_id: str) -> list[dict[str, Any]]:
    found = client.get("/api/v1/escalations/?state=pending&limit=100").json()["results"]
    return [item for item in found if item["run"] == run_id]


def the_item(client: httpx.Client, run_id: str) -> dict[str, Any]:
    return eventually(lambda: items_of(client, run_id), what=f"an item of run {run_id}")[0]


def decide(client: httpx.Client, item: dict[str, Any], verdict: str, **more: Any) -> dict[str, Any]:
    body = {"verdict": verdict, "version": item["version"], **more}
    answer = client.post(f"/api/v1/escalations/{item['id']}/decision/", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def finished(plane: LivePlane, run_id: str, *, within_s: float = 60) -> dict[str, Any]:
    with plane.person("olga") as olga:

        def look() -> dict[str, Any] | None:
            run: dict[str, Any] = olga.get(f"/api/v1/runs/{run_id}/").json()
            return run if run["final"] else None

        return dict(eventually(look, within_s=within_s, what=f"the end of run {run_id}") or {})


def orders(plane: LivePlane, reference: str) -> list[dict[str, Any]]:
    """The orders that the ERP holds for a reference, as its own storage has them."""
    with closing(sqlite3.connect(f"file:{plane.folder}/systems.sqlite3?mode=ro", uri=True)) as erp:
        rows = erp.execute(
            "SELECT body FROM document WHERE kind = 'order' AND body ->> 'reference' = ?", [reference]
        ).fetchall()
    return [json.loads(row[0]) for row in rows]


def example(plane: LivePlane, key: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ACP_URL": plane.url, "ACP_KEY": key}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_examples_do_what_the_documentation_says(plane: LivePlane) -> None:
    key = plane.manage("create_credential", "newcomer").strip()
    first = example(plane, key, sys.executable, "examples/first_action.py")
    assert first.returncode == 0, first.stderr
    assert "succeeded" in first.stdout
    assert "REF-" in first.stdout
    script = example(plane, key, "sh", "examples/first_action.sh")
    assert script.returncode == 0, script.stdout + script.stderr
    assert '"succeeded"' in script.stdout
    denied = example(plane, key, sys.executable, "examples/first_action.py", "300000")
    assert "denied" in denied.stdout
    assert "account manager" in denied.stdout
    refused = example(plane, key, sys.executable, "examples/first_action.py", "0")
    assert refused.returncode == 1
    assert "422 invalid" in refused.stderr


def test_an_example_that_waits_hears_what_a_person_decided(plane: LivePlane) -> None:
    key = plane.manage("create_credential", "newcomer").strip()
    told: list[str] = []
    waiting = threading.Thread(
        target=lambda: told.append(example(plane, key, sys.executable, "examples/first_action.py", "18000").stdout)
    )
    waiting.start()
    with plane.person("cleo") as cleo:
        item = eventually(
            lambda: [
                one
                for one in cleo.get("/api/v1/escalations/?state=pending&agent=newcomer").json()["results"]
                if one["amount_minor"] == 18_000
            ],
            what="the refund that waits",
        )[0]
        assert item["consequence"] == "Will refund 180.00 EUR to customer hallam-sons: Broken on arrival."
        decide(cleo, item, "approve")
    waiting.join(60)
    assert "pending_approval /inbox/" in told[0]
    assert "succeeded" in told[0]


def test_the_worker_example_completes_a_task_that_a_person_starts_by_their_token(plane: LivePlane) -> None:
    token = plane.manage("create_token", "olga").strip()
    started = httpx.post(
        f"{plane.url}/api/v1/runs/",
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "declare-1"},
        json={
            "workflow": "expense-declaration",
            "input": {"declaration_id": "D-worker", "amount_minor": 4200, "currency": "EUR"},
        },
    )
    assert started.status_code == 201, started.text
    run_id = started.json()["id"]
    key = plane.manage("create_credential", "expense-checker").strip()
    done = example(plane, key, sys.executable, "examples/worker.py", "1")
    assert done.returncode == 0, done.stderr
    assert "D-worker: fine" in done.stdout
    assert finished(plane, run_id)["outcome"] == "completed"


def test_what_agents_do_stands_as_spans_and_logs_beside_their_run(plane: LivePlane, workers: None) -> None:
    run_id = start(plane, "expense-declaration", declaration("D-told", 4_300))
    assert finished(plane, run_id)["outcome"] == "completed"
    with plane.person("olga") as olga:

        def told(kind: str) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = olga.get(f"/api/v1/{kind}/?run={run_id}").json()["results"]
            return rows

        spans = eventually(lambda: len(found := told("spans")) >= 4 and found, what="the spans")
        logs = eventually(lambda: told("logs"), what="the log")
    assert {span["name"] for span in spans or []} >= {
        "invoke_agent expense-checker",
        "chat demo-small",
        "execute_tool erp.get_declaration",
    }
    assert any("check done" in line["body"] for line in logs)


def test_an_agent_asks_instead_of_guessing(plane: LivePlane, workers: None) -> None:
    run_id = start(plane, "expense-declaration", declaration("D-dinner", 9_000, "dinner"))
    with plane.person("ada") as ada:
        item = the_item(ada, run_id)
        assert item["kind"] == "question"
        whole = ada.get(f"/api/v1/escalations/{item['id']}/").json()
        assert whole["subject"]["question"] == "The purpose of D-dinner says only 'dinner'. Which?"
        assert whole["options"] == ["with customers", "among ourselves"]
        decide(ada, item, "answer", answer="with customers")
    run = finished(plane, run_id)
    check = next(step for step in run["steps"] if step["name"] == "check")
    assert (run["outcome"], check["output"]["verdict"]) == ("completed", "fine")
    assert check["output"]["note"] == "A person says: dinner with customers."


def test_real_cases_become_runs_and_amounts_find_their_people(plane: LivePlane, workers: None, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["case_id", "activity", "case_amount"])
        rows.writerows([name, activity, amount] for name, amount in CASES for activity in ("submit", "pay"))
    assert plane.manage("submit_declarations", str(file), "--cases", "9").splitlines()[-1] == "6"
    with plane.person("olga") as olga, plane.person("ada") as ada, plane.person("ben") as ben:
        runs = {name: olga.get(f"/api/v1/runs/?key=declaration:{name}").json()["results"][0]["id"] for name, _ in CASES}
        asked = {name: the_item(ada, runs[name]) for name in "cde"}
        assert {name: item["quorum"]["needed"] for name, item in asked.items()} == {"c": 1, "d": 1, "e": 2}
        for name in "cd":
            decide(ada, asked[name], "approve")
        assert decide(ada, asked["e"], "approve")["state"] == "pending"
        assert decide(ben, asked["e"], "approve")["state"] == "approved"
    ended = {name: finished(plane, run_id) for name, run_id in runs.items()}
    assert {run["outcome"] for run in ended.values()} == {"completed"}
    paid = {str(call["path"]) for call in plane.systems.calls("erp") if str(call["path"]).endswith("/pay")}
    assert {f"/declarations/{name}/pay" for name in "abcde"} <= paid
    assert "/declarations/f/pay" not in paid
    assert ended["a"]["input"]["amount_minor"] == 1_000
    assert ended["c"]["input"]["amount_minor"] == 20_001


def test_a_rejected_selection_is_taken_back_and_made_again(plane: LivePlane, workers: None) -> None:
    given = {
        "request_id": "R-rework",
        "vendor_id": "delta-it",
        "suppliers": ["delta-it", "nordlicht"],
        "requester": "olga@meridian.example",
        "cost_center": "it",
        "item": "servers",
        "quantity": 3,
    }
    with plane.systems.client("erp") as erp:
        reserved_minor = erp.get("/budgets/it").json()["reserved_minor"]
    run_id = start(plane, "purchase-order", given)
    with plane.person("cleo") as cleo, plane.person("ada") as ada:
        decide(cleo, the_item(cleo, run_id), "answer", answer={"vendor": "delta-it", "amount_minor": 1_500_000})
        approval = the_item(ada, run_id)
        assert approval["step"] == "approve"
        assert orders(plane, "R-rework") == []
        decide(ada, approval, "reject", reason="Too dear; take the other one.")
        again = the_item(cleo, run_id)
        assert (again["step"], again["round"]) == ("select_vendor", 2)
        with plane.systems.client("erp") as erp:
            assert erp.get("/budgets/it").json()["reserved_minor"] == reserved_minor
        decide(cleo, again, "answer", answer={"vendor": "nordlicht", "amount_minor": 1_200_000})
        decide(ada, the_item(ada, run_id), "approve")
    assert finished(plane, run_id)["outcome"] == "completed"
    placed = orders(plane, "R-rework")
    assert [(order["vendor"], order["amount_minor"], order["status"]) for order in placed] == [
        ("nordlicht", 1_200_000, "ordered")
    ]


def test_a_blocked_vendor_is_refused_and_the_requester_told(plane: LivePlane, workers: None) -> None:
    given = {
        "request_id": "R-blocked",
        "vendor_id": "grey-harbor",
        "suppliers": ["grey-harbor"],
        "requester": "olga@meridian.example",
        "cost_center": "it",
        "item": "servers",
        "quantity": 3,
    }
    run = finished(plane, start(plane, "purchase-order", given))
    states = {step["name"]: step["state"] for step in run["steps"]}
    assert (states["refuse_vendor"], states["create_order"]) == ("done", "dead")
    assert orders(plane, "R-blocked") == []


def test_a_lost_answer_and_a_killed_worker_pay_once(plane: LivePlane, workers: None) -> None:
    run_id = start(plane, "expense-declaration", declaration("D-lost", 31_000))
    with plane.person("ada") as ada:
        item = the_item(ada, run_id)
        plane.systems.break_("erp", kind="slow", seconds=3, after=True, times=1)
        decide(ada, item, "approve")
    eventually(
        lambda: any(call["path"] == "/declarations/D-lost/pay" for call in plane.systems.calls("erp")),
        what="the call of the ERP",
    )
    plane.end("worker", kill=True)
    plane.systems.mend("erp")
    plane.start_worker()
    assert finished(plane, run_id, within_s=180)["outcome"] == "completed"
    keys = {call["key"] for call in plane.systems.calls("erp") if call["path"] == "/declarations/D-lost/pay"}
    assert len(keys) == 1
    page = httpx.get(f"{plane.systems.url}/erp/").text
    assert page.count("declaration D-lost") == 1


def test_a_narrowed_permission_is_refused_on_the_next_request(plane: LivePlane) -> None:
    change = {"operation": "crm.update_customer", "parameters": {"customer": "mina-okafor", "phone": "+49 30 5550 1"}}
    with plane.agent("records-clerk") as clerk, plane.person("admin") as admin:
        allowed = clerk.post("/api/v1/actions/", json=change, headers={"Idempotency-Key": "n1"})
        assert allowed.status_code in (201, 202)
        narrowed = admin.patch(
            "/api/v1/agents/records-clerk/operations/crm.update_customer/",
            json={"fields": ["email"], "reason": "Less."},
        )
        assert narrowed.status_code == 200, narrowed.text
        refused = clerk.post("/api/v1/actions/", json=change, headers={"Idempotency-Key": "n2"})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert "phone" in refused.text
    with plane.systems.client("crm") as crm:
        assert len([1 for call in plane.systems.calls("crm") if call["method"] == "PATCH"]) <= 1
        assert crm.get("/customers/mina-okafor").json()["phone"] in ("+49 30 5550 1", "+49 30 5550 0101")


def test_a_halted_agent_waits_and_goes_on_when_another_person_lifts_it(plane: LivePlane) -> None:
    with plane.person("admin") as admin, plane.person("olga") as olga:
        halt = admin.post("/api/v1/halts/", json={"scope": "agent", "target": "payables", "reason": "A look first."})
        assert halt.status_code == 201, halt.text
        plane.start_agents("payables")
        eventually(lambda: "payables: halted (" in plane.log("agents"), what="the agent's word")
        with plane.systems.client("erp") as erp:
            assert all(one["status"] == "open" for one in erp.get("/invoices").json()["invoices"])
        own = admin.post(f"/api/v1/halts/{halt.json()['id']}/lift/", json={"reason": "Fine."})
        assert own.status_code == 403
        lifted = olga.post(f"/api/v1/halts/{halt.json()['id']}/lift/", json={"reason": "Fine."})
        assert lifted.status_code == 200, lifted.text
    eventually(lambda: "INV-1001: succeeded" in plane.log("agents"), what="the payment")
    plane.end("agents")


@pytest.mark.skipif(not (FILE.exists() or os.environ.get("CI")), reason="no real logs lie beside this clone")
def test_real_declarations_are_all_in_the_figures_ended_or_open(plane: LivePlane, workers: None) -> None:
    assert plane.manage("submit_declarations", str(FILE), "--cases", "40").splitlines()[-1] == "40"
    with plane.person("olga") as olga:
        listed = olga.get("/api/v1/runs/?workflow=expense-declaration&limit=100").json()
        assert listed["next"] is None
        runs = len(listed["results"])
        assert runs >= 40

        def settled() -> bool:
            now = counted(olga)
            assert now.ended + now.backlog <= runs
            return now.ended + now.backlog == runs and now.ended >= 10

        eventually(settled, within_s=300, what=lambda: f"{counted(olga)} of {runs} runs")
