"""The main path, told over HTTP: a real agent process asks, policy answers, people decide, the work resumes, the
numbers move. Web, worker, scheduler, the sample systems and the agents are processes; nothing is imported but helpers.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from tests.conftest import copy_database, drop_database, url_of
from tests.demo.plane import LivePlane, eventually, live_plane

HORIZON_S = 150.0
"""Figures come when every transaction of the *server* that began before has ended: also one of another test."""
DECLARATION = {"declaration_id": "D-77", "amount_minor": 31_840, "currency": "EUR", "purpose": "hotel"}


@pytest.fixture(scope="module")
def plane(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlane]:
    folder: Path = tmp_path_factory.mktemp("plane")
    name = f"acp_path_{os.getpid()}"  # two workers have folders of one name
    copy_database(template_database, name)
    urls = (url_of(settings.DATABASE_URL, name), url_of(settings.DATABASE_OWNER_URL, name), settings.REDIS_URL)
    with live_plane(folder, *urls, "--no-history", "--no-runs") as running:
        yield running
    drop_database(name)


def payments(plane: LivePlane, what: str) -> list[dict[str, Any]]:
    """The ERP's calls that paid this, as the ERP itself counts them."""
    return [
        call for call in plane.systems.calls("erp") if call["method"] == "POST" and str(call["path"]).endswith(what)
    ]


def listed(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def test_an_agent_asks_a_person_approves_and_the_erp_has_it_once(plane: LivePlane) -> None:
    plane.start_agents("payables")

    # A: the agent pays what it may, and waits where it must
    with plane.agent("payables") as agent:
        waiting = eventually(
            lambda: [
                one
                for one in listed(agent, "/api/v1/actions/?state=pending_approval&operation=erp.pay_invoice")
                if one["parameters"]["number"] == "INV-1003"
            ],
            what="a payment that waits",
        )[0]
        small = eventually(
            lambda: listed(agent, "/api/v1/actions/?state=succeeded&operation=erp.pay_invoice"),
            what="the small payment",
        )[0]
    assert small["parameters"]["number"] == "INV-1001"
    assert small["verdict"]["effect"] == "allow"
    assert waiting["verdict"]["rules"][0]["message"] == "Payments above 1,000.00 need a person."
    assert payments(plane, "/INV-1003/pay") == []

    # B: a person sees the consequence in the plane's words
    with plane.person("ada") as ada:
        page = ada.get(waiting["escalation"]["url"])
    assert page.status_code == 200
    assert "Will pay 12,400.00 EUR to Delta IT Hardware" in page.text

    # C: she approves; a colleague who comes second hears who was first
    with plane.person("ada") as first, plane.person("ben") as second:
        detail = first.get(f"/api/v1/escalations/{waiting['escalation']['id']}/").json()
        decision = {"verdict": "approve", "version": detail["version"], "view_hash": detail["view_hash"]}
        path = f"/api/v1/escalations/{detail['id']}/decision/"
        assert first.post(path, json=decision).status_code == 200
        late = second.post(path, json=decision)
    assert late.status_code == 409
    assert (late.json()["code"], late.json()["winner"]["by"]) == ("already_decided", "ada")

    # D: the work resumes; the ERP has it, once
    with plane.agent("payables") as agent:
        done = agent.get(f"/api/v1/actions/{waiting['id']}/?wait=20&state=pending_approval").json()
        done = eventually(
            lambda: (found := agent.get(f"/api/v1/actions/{waiting['id']}/").json())["state"] == "succeeded" and found,
            what="the payment",
        )
    assert done["result"]["for"] == "invoice INV-1003"
    assert len(payments(plane, "/INV-1003/pay")) == 1
    assert "12,400.00 EUR" in httpx.get(f"{plane.systems.url}/erp/").text
    plane.end("agents")

    # The ledger tells it as one story
    with plane.person("aud") as auditor:
        names = [entry["name"] for entry in listed(auditor, f"/api/v1/audit/entries/?trail={waiting['id']}&limit=100")]
    assert {"action.proposed", "escalation.pending", "vote.cast", "escalation.approved", "action.succeeded"} <= set(
        names
    )


def test_a_declaration_runs_from_its_start_to_the_figures(plane: LivePlane) -> None:
    with plane.agent("front-desk") as desk:
        started = desk.post(
            "/api/v1/runs/",
            json={"workflow": "expense-declaration", "input": DECLARATION},
            headers={"Idempotency-Key": "declaration-77"},
        )
        assert started.status_code == 201, started.text
        again = desk.post(
            "/api/v1/runs/",
            json={"workflow": "expense-declaration", "input": DECLARATION},
            headers={"Idempotency-Key": "declaration-77-again"},
        )
        assert (again.status_code, again.json()["code"]) == (409, "duplicate_key")
    run_id = started.json()["id"]
    plane.start_agents("expense-checker")

    with plane.person("ada") as ada:
        item = eventually(
            lambda: [one for one in listed(ada, "/api/v1/escalations/?state=pending") if one["run"] == run_id],
            what="the approval",
        )[0]
        decided = ada.post(
            f"/api/v1/escalations/{item['id']}/decision/", json={"verdict": "approve", "version": item["version"]}
        )
        assert decided.status_code == 200, decided.text
    with plane.person("olga") as olga:
        run = eventually(
            lambda: (found := olga.get(f"/api/v1/runs/{run_id}/").json())["state"] == "succeeded" and found,
            what="the run's end",
        )
    assert {step["name"]: step["state"] for step in run["steps"]} == {
        "submit": "done",
        "check": "done",
        "clarify": "dead",
        "approve": "done",
        "pay": "done",
    }
    assert len(payments(plane, "/D-77/pay")) == 1

    # E: the numbers move
    with plane.person("eve") as eve:
        figures = eventually(
            lambda: (
                (found := eve.get("/api/v1/kpis/?workflow=expense-declaration").json()["totals"])["throughput"]["value"]
                == 1
                and found
            ),
            within_s=HORIZON_S,
            what="the figures",
        )
    assert figures["cycle_time_p50_s"]["value"] > 0
    assert figures["cycle_time_p50_s"]["baseline"] == 631_780
    assert figures["error_rate"]["value"] == 0
    assert figures["cost_per_success_minor"]["value"] > 0
    plane.end("agents")
