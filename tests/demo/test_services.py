"""The commands that bring the sample company to life, in this process."""

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.agents.models import Agent, AgentCredential
from apps.agents.services import change_state, revoke_credential
from apps.connectors.models import Connector, Operation, OperationPermission
from apps.connectors.services import grant_operation, revoke_operation, save_connector
from apps.core.models import User
from apps.demo.selectors import people_for
from apps.kpis.models import PriceBook, RunFact
from apps.workflows.models import Run

pytestmark = pytest.mark.django_db


def told(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.ACP_DATA_DIR = tmp_path
    for name in ("ERP_TOKEN", "CRM_TOKEN", "DESK_TOKEN", "MAIL_TOKEN", "SYSTEMS_ADMIN_TOKEN", "ACP_DEMO_PASSWORD"):
        monkeypatch.setenv(name, "")  # what loading leaves in the environment goes with the test
        monkeypatch.delenv(name)
    return tmp_path


def test_the_company_comes_in_once_and_real_cases_once(folder: Path) -> None:
    first = told("load_sample")
    assert "0 created or changed" not in first
    assert "runs: 6 started" in first
    simulated = RunFact.objects.filter(simulated=True).count()
    assert simulated > 1_000
    keys = folder / "agent-keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert len(json.loads(keys.read_text())) == 8
    before = keys.read_bytes()

    again = told("load_sample")
    assert again.splitlines() == ["documents: 0 created or changed", "history: 0 simulated runs", "runs: 0 started"]
    assert keys.read_bytes() == before
    assert AgentCredential.objects.count() == 8
    assert RunFact.objects.filter(simulated=True).count() == simulated

    people = {person["username"]: person for person in people_for()}
    assert list(people) == ["ada", "ben", "cleo", "eve", "admin", "olga", "aud"]
    assert people["ada"]["try"] == "Nothing waits right now; the next request will."
    assert User.objects.get(username="ada").check_password(people["ada"]["password"])

    log = folder / "log.csv"
    with log.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case_id", "case_amount"])
        rows.writerows([["x", "1.005"], ["x", "1.005"], ["y", "0"]])
    assert told("submit_declarations", str(log), "--cases", "1").splitlines()[-1] == "1"
    assert told("submit_declarations", str(log), "--cases", "9").splitlines()[-1] == "1"
    progress = io.StringIO()
    call_command("submit_declarations", str(log), "--cases", "9", stdout=io.StringIO(), stderr=progress)
    assert progress.getvalue() == "", "nothing to start, nothing to tell"
    with log.open("a", newline="") as file:
        csv.writer(file).writerows([["z1", "2"], ["z2", "3"]])
    out = io.StringIO()
    call_command("submit_declarations", str(log), "--cases", "9", stdout=out, stderr=progress)
    assert out.getvalue() == "2\n"
    assert progress.getvalue().splitlines()[-1] == "2 of 2 runs started"
    run = Run.objects.get(key="declaration:x")
    assert run.input == {"declaration_id": "x", "amount_minor": 101, "currency": "EUR"}


def test_what_people_changed_is_kept_when_the_demo_starts_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("load_sample", "--no-history", "--no-runs")
    admin = User.objects.get(username="admin")
    payer, desk, buyer = (Agent.objects.get(slug=slug) for slug in ("payables", "support-resolver", "quote-gatherer"))
    narrow, gone = (permissions_of(payer)[slug] for slug in ("erp.pay_invoice", "erp.dispute_invoice"))
    grant_operation(admin, holder=payer.user, operation=narrow, fields=["number"], reason="less")
    revoke_operation(admin, holder=payer.user, operation=gone, reason="unused")
    change_state(admin, agent=desk, to="suspended", reason="odd")
    revoke_credential(admin, credential=buyer.credentials.get(), reason="leaked")
    PriceBook.objects.filter(model="demo-small").update(input_micro=9)
    crm = Connector.objects.get(slug="crm")
    save_connector(admin, slug="crm", name=crm.name, base_url="https://crm.example/", auth=crm.auth, unit=crm.unit)

    monkeypatch.setenv("ACP_SYSTEMS_URL", "http://127.0.0.1:9099")
    monkeypatch.setenv("ACP_DEMO_PASSWORD", "another one")
    assert told("load_sample", "--no-history", "--no-runs").splitlines()[0] == "documents: 10 created or changed"

    assert "erp.dispute_invoice" not in permissions_of(payer)
    assert OperationPermission.objects.get(user=payer.user, content_object=narrow).fields == ["number"]
    assert Agent.objects.get(pk=desk.pk).state == "suspended"
    assert not buyer.credentials.filter(revoked_at=None).exists()
    assert PriceBook.objects.get(model="demo-small").input_micro == 9
    assert Connector.objects.get(slug="crm").base_url == "https://crm.example/"
    assert Connector.objects.get(slug="erp").base_url == "http://127.0.0.1:9099/erp"
    assert User.objects.get(username="ada").check_password("another one")


def permissions_of(agent: Agent) -> dict[str, Operation]:
    rows = OperationPermission.objects.filter(user=agent.user).select_related("content_object")
    return {row.content_object.slug: row.content_object for row in rows}


def test_an_empty_demo_has_an_administrator_and_nothing_else(folder: Path) -> None:
    told("load_sample", "--empty")
    told("load_sample", "--empty")
    admin = User.objects.get(kind="human")
    assert (admin.username, admin.check_password("demo-demo")) == ("admin", True)
    assert admin.role_grants.get().role.slug == "administrator"
    assert Run.objects.count() == 0
    assert not (folder / "agent-keys.json").exists()


def test_another_password_takes_the_buttons_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("load_sample", "--empty")
    assert [person["username"] for person in people_for()] == ["admin"]
    monkeypatch.setenv("ACP_DEMO_PASSWORD", "something else")
    assert people_for() == []


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        ("case_id,activity\nx,y\n", ("--cases", "1"), "no case_id or no case_amount"),
        ("case_id,case_amount\nx,ten\n", ("--cases", "1"), "Line 2"),
        ("case_id,case_amount\nx,1\n", ("--cases", "0"), "above zero"),
        ("case_id,case_amount\nx,1\n", ("--cases", "1", "--as", "nobody"), "no active person"),
        ("case_id,case_amount\nx,1\n", ("--cases", "1"), "no such thing"),
    ],
)
def test_a_file_that_is_no_log_starts_nothing(tmp_path: Path, text: str, arguments: tuple[str, ...], why: str) -> None:
    file = tmp_path / "other.csv"
    file.write_text(text)
    with pytest.raises(CommandError, match=why):
        told("submit_declarations", str(file), *arguments)
    assert Run.objects.count() == 0
