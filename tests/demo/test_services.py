"""The commands that bring the sample company to life, in this process."""

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.agents.models import AgentCredential
from apps.core.models import User
from apps.demo.selectors import people_for
from apps.kpis.models import RunFact
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
    assert told("submit_declarations", str(log), "--cases", "9").splitlines()[-1] == "0"
    run = Run.objects.get(key="declaration:x")
    assert run.input == {"declaration_id": "x", "amount_minor": 101, "currency": "EUR"}


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
