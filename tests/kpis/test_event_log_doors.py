"""Event logs by command, page and API: kept once, whole or not at all, and seen by who may see their workflow."""

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.access.models import BusinessUnit
from apps.access.services import create_token
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.kpis.models import Baseline, EventLog
from apps.kpis.services import delete_event_log, import_event_log, logs
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.workflows import make_workflow
from tests.kpis.test_eventlogs import priced, xes_of

pytestmark = pytest.mark.django_db
ROWS = "".join(
    f"c{n},{activity},2026-03-{2 + n:02}T{hour:02}:00Z,{who}\n"
    for n in range(4)
    for activity, hour, who in (("Submit", 8, "ada"), ("Check", 10, "ben"), ("Pay", 16, ""))
)
LOG = "case_id,activity,complete,resource\n" + ROWS
AGAIN = LOG + "c1,Check,2026-03-03T18:00Z,ada\n"


def imported(actor: User, text: str = LOG, **said: Any) -> tuple[EventLog, str]:
    return import_event_log(actor, file=io.BytesIO(text.encode()), **{"name": "Invoices 2026", "tz": "UTC", **said})


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def flow(unit: BusinessUnit) -> Workflow:
    return make_workflow({"steps": {"check": {"agent": "order.check"}}}, unit=unit.slug)


def token(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_token(user, user=user)}"}


class TestImporting:
    def test_the_same_again_changes_nothing_and_another_takes_its_place(self) -> None:
        admin = make_admin()
        log, said = imported(admin)
        assert (said, log.cases, log.events, log.figures["handovers"]) == ("created", 4, 12, 4)
        entries = Entry.objects.count()
        assert imported(admin) == (log, "unchanged")
        assert Entry.objects.count() == entries
        changed, said = imported(admin, AGAIN)
        assert (said, changed.pk, changed.events) == ("changed", log.pk, 13)
        assert [entry.name for entry in Entry.objects.filter(subject_id=log.pk).order_by("id")] == [
            "eventlog.created",
            "eventlog.changed",
        ]

    def test_an_xes_is_read_anew_where_more_is_read_of_it_or_in_another_currency(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        admin, text = make_admin(), xes_of(("1", priced("Ask", 9, '<float key="cost:total" value="12.5"/>')))
        with monkeypatch.context() as before:
            before.setattr(logs, "XES_READING", 1)
            imported(admin, text)
        assert [imported(admin, text)[1] for _ in range(2)] == ["changed", "unchanged"]
        settings.ACP_REPORTING_CURRENCY = "USD"
        assert imported(admin, text)[1] == "changed"
        assert imported(admin, LOG)[1] == "changed"
        settings.ACP_REPORTING_CURRENCY = "EUR"
        assert imported(admin, LOG)[1] == "unchanged"

    def test_a_log_of_a_workflow_sets_its_baselines_from_its_last_day_on(self) -> None:
        workflow = flow(make_unit())
        imported(make_admin(), AGAIN, workflow=workflow.slug)
        found = {row.kpi: row for row in Baseline.objects.filter(workflow=workflow.slug)}
        assert {kpi: float(row.value) for kpi, row in found.items()} == {
            "cycle_time_p50_s": 8 * 3600,
            "throughput": 1,
            "rework_rate": 0.25,
        }
        assert {(str(row.valid_from), row.n, row.source) for row in found.values()} == {
            ("2026-03-05", 4, "Event log Invoices 2026")
        }

    @pytest.mark.parametrize(
        ("said", "field"),
        [
            ({"text": LOG + "c9,Pay,never,\n"}, "file"),
            ({"tz": "Mars/Olympus"}, "file"),
            ({"name": " "}, "name"),
            ({"name": "a\x07"}, "name"),
            ({"workflow": "nowhere"}, "workflow"),
        ],
    )
    def test_what_has_a_fault_leaves_nothing_behind(self, said: dict[str, Any], field: str) -> None:
        before = Entry.objects.count()
        with pytest.raises(InvalidError) as caught:
            imported(make_admin(), **said)
        assert list(caught.value.errors) == [field]
        assert (EventLog.objects.count(), Baseline.objects.count(), Entry.objects.count()) == (0, 0, before)

    def test_only_who_manages_goals_there_imports_replaces_and_removes(self) -> None:
        here, there = make_unit(), make_unit()
        mine, other = flow(here), flow(there)
        manager = make_holder("kpis.manage_target", unit=here)
        log, _said = imported(manager, workflow=mine.slug)
        for said in ({"workflow": other.slug}, {"workflow": ""}):
            with pytest.raises(NotAllowedError):
                imported(manager, **said)
        stranger = make_holder("kpis.manage_target", unit=there)
        with pytest.raises(NotAllowedError):
            imported(stranger, workflow=other.slug)
        with pytest.raises(NotAllowedError):
            delete_event_log(stranger, log=log)
        with pytest.raises(NotAllowedError):
            imported(make_agent().user)
        assert list(EventLog.objects.values_list("workflow", flat=True)) == [mine.slug]


class TestCommand:
    def test_the_id_alone_is_on_the_last_line(self, tmp_path: Path) -> None:
        path = tmp_path / "log.csv"
        path.write_text(LOG.replace("case_id", "Vorgang"))
        out, err = io.StringIO(), io.StringIO()
        call_command("import_event_log", path, name="Invoices", case="Vorgang", stdout=out, stderr=err)
        assert out.getvalue().splitlines()[-1] == str(EventLog.objects.get().pk)
        assert "created: 4 cases, 12 events from 2026-03-02 to 2026-03-05" in err.getvalue()

    def test_how_much_was_read_is_told_each_five_seconds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file, clock = tmp_path / "log.csv.gz", iter(range(0, 1000, 3))
        file.write_bytes(gzip.compress(LOG.encode()))
        monkeypatch.setattr("apps.kpis.management.commands.import_event_log.monotonic", lambda: next(clock))
        out, err = io.StringIO(), io.StringIO()
        call_command("import_event_log", str(file), name="Invoices", stdout=out, stderr=err)
        told = [line for line in err.getvalue().splitlines() if line.startswith("Read ")]
        assert told, err.getvalue()
        assert all(line.endswith(" of 0.0 MB") for line in told)
        assert out.getvalue().strip() == str(EventLog.objects.get().pk)
        monkeypatch.setattr("apps.kpis.management.commands.import_event_log.monotonic", lambda: 0.0)
        err = io.StringIO()
        call_command("import_event_log", str(file), name="Again", stdout=out, stderr=err)
        assert "Read " not in err.getvalue(), "What is quick says nothing of it."

    def test_faults_are_told_with_their_place(self, tmp_path: Path) -> None:
        path = tmp_path / "log.csv"
        path.write_text(LOG + "c9,Pay,never,\n")
        with pytest.raises(CommandError, match="file: line 14, column complete: 'never' is no time"):
            call_command("import_event_log", path, name="Invoices")
        with pytest.raises(CommandError, match="No such file"):
            call_command("import_event_log", tmp_path / "none.csv", name="Invoices")
        assert not EventLog.objects.exists()


class TestApi:
    def test_list_and_detail_say_what_the_contract_says(self, client: Client) -> None:
        log, _said = imported(make_admin(), AGAIN)
        headers = token(make_holder("kpis.view_kpi"))
        listed = client.get("/api/v1/event-logs/", headers=headers).json()
        assert [one["name"] for one in listed["results"]] == ["Invoices 2026"]
        told = client.get(f"/api/v1/event-logs/{log.pk}/", headers=headers).json()
        assert told["cycle_time_s"]["p50"] == 8 * 3600
        assert told["throughput_weekly"] == [{"week": "2026-W10", "cases": 4}]
        assert (told["tz"], told["variants"], told["rework_share"]) == ("UTC", 2, 0.25)
        assert told["map"]["arrows"][0]["from"] in {"Submit", "Check"}
        assert client.get("/api/v1/event-logs/?workflow=x", headers=headers).json()["results"] == []

    def test_a_log_of_another_unit_s_workflow_is_not_there(self, client: Client) -> None:
        unit: BusinessUnit = make_unit()
        log, _said = imported(make_admin(), workflow=flow(unit).slug)
        stranger = make_holder("kpis.view_kpi", unit=make_unit())
        assert client.get("/api/v1/event-logs/", headers=token(stranger)).json()["results"] == []
        assert client.get(f"/api/v1/event-logs/{log.pk}/", headers=token(stranger)).status_code == 404
        assert signed_in(stranger).get(f"/dashboards/event-logs/{log.pk}/").status_code == 404
        mine = make_holder("kpis.view_kpi", unit=unit)
        assert client.get(f"/api/v1/event-logs/{log.pk}/", headers=token(mine)).status_code == 200
