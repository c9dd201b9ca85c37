"""The import of a log by page: what a file would become is shown first, and it is kept no longer than that takes."""

import gzip
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.audit.models import Entry
from apps.kpis.models import Baseline, EventLog, LogUpload
from apps.kpis.rules.eventlogs import previews, reading
from apps.kpis.selectors import draft_for
from apps.kpis.services import sweep_uploads
from tests.factories.access import make_admin, make_holder, make_unit
from tests.kpis.test_event_log_doors import LOG, flow, imported, signed_in
from tests.kpis.test_eventlogs import event_of, xes_of

pytestmark = pytest.mark.django_db
USUAL = {
    "tz": "UTC", "case": "case_id", "activity": "activity", "complete": "complete", "resource": "resource",
    "encoding": "utf-8", "delimiter": ",", "dates": "iso", "decimal": ".",
}  # fmt: skip
GERMAN = (
    "Vorgang;Aktivität;Beginn;Ende;Bearbeiter;Kosten\n"
    "7;Prüfen;29.03.2026 01:00;29.03.2026 14:05;Jürgen;1.234,50\n"
    "7;Zahlen;30.03.2026 09:00;31.03.2026 10:00;;\n"
)
MOMENTS = (
    "case,event,timestamp,user,lifecycle\n"
    "1,Check,03/29/2026 9:00 AM,ann,start\n1,Check,03/29/2026 1:30 PM,ann,complete\n"
    "1,Pay,03/30/2026 12:15 AM,bob,complete\n"
)


def file_of(text: str | bytes, name: str = "log.csv") -> dict[str, Any]:
    return {"file": SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)}


def left(client: Client, text: str | bytes = LOG) -> str:
    """The address at which a file is looked at."""
    answer = client.post("/dashboards/event-logs/", file_of(text))
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def sent(client: Client, address: str, *, button: str = "import", **said: str) -> Any:
    return client.post(address, {**USUAL, "name": "Invoices", button: "1", **said}, follow=True)


def shown(client: Client, text: str | bytes) -> Any:
    return client.get(left(client, text)).context


class TestLooking:
    def test_a_german_spreadsheet_is_understood_unasked(self) -> None:
        admin = signed_in(make_admin())
        seen = shown(admin, GERMAN.encode("cp1252"))
        assert not seen["preview"].faults
        assert seen["preview"].rows[0][2].cost == Decimal("1234.50")
        first = seen["form"].initial
        assert (first["encoding"], first["delimiter"], first["dates"], first["decimal"]) == ("cp1252", ";", "dmy", ",")
        assert (first["case"], first["start"], first["complete"]) == ("Vorgang", "Beginn", "Ende")

    def test_one_impossible_date_hides_neither_how_the_others_are_written_nor_the_next_fault(self) -> None:
        bad = "8;Prüfen;31.02.2025 09:00;01.03.2025 10:00;;\n9;Zahlen;30.03.2026 09:00;31.03.2026 10:00;;abc\n"
        seen = shown(signed_in(make_admin()), (GERMAN + bad).encode())
        assert seen["form"].initial["dates"] == "dmy"
        assert [(one.line, one.column) for one in seen["preview"].faults] == [(4, "Beginn"), (5, "Kosten")]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
    def test_marks_of_encodings_are_read(self, encoding: str) -> None:
        seen = shown(signed_in(make_admin()), LOG.replace("Submit", "Prüfen").encode(encoding))
        assert not seen["preview"].faults
        assert (seen["preview"].checked, seen["preview"].rows[0][2].activity) == (12, "Prüfen")

    def test_faults_are_named_by_line_and_column_up_to_ten_and_nothing_is_imported(self) -> None:
        admin = signed_in(make_admin())
        bad = (
            "c9,Pay,2026-02-30T10:00Z,\nc9,Pay,2026-03-01T10:00,\nc9,,2026-03-01T10:00Z,\nc9,Pay\n"
            + "c9,Pay,never,\n" * 20
        )
        address = left(admin, LOG + bad)
        page = admin.get(address)
        told = [str(one) for one in page.context["preview"].faults]
        assert len(told) == 10
        assert told[0].startswith("line 14, column complete: '2026-02-30T10:00Z' is no time")
        assert "line 15, column complete" in told[1]
        assert "no offset, those before have one" in told[1]
        assert told[2:4] == [
            "line 16, column activity: The activity is empty.",
            "line 17: This line has 2 cells, the first one 4.",
        ]
        assert "would not be imported" in page.content.decode()
        assert sent(admin, address).status_code == 422
        assert not EventLog.objects.exists()
        assert LogUpload.objects.exists()

    def test_costs_are_shown_in_their_currency_and_others_refused_before_the_import(self) -> None:
        admin = signed_in(make_admin())
        priced = LOG.replace("resource", "cost").replace(",ada", ",12.5").replace(",ben", ",")
        page = admin.get(left(admin, priced)).content.decode()
        assert "Cost (EUR)" in page
        assert "12.5</td>" in page
        cost = '<float key="cost:total" value="7"/><string key="cost:currency" value="{}"/>'
        for currency, told in (("EUR", "7</td>"), ("USD", "The cost is in USD, and costs are counted in EUR")):
            event = event_of("Pay", "2026-03-02T09:00:00Z").replace("</event>", f"{cost.format(currency)}</event>")
            assert told in admin.get(left(admin, xes_of(("c1", event)))).content.decode()
        assert "Cost (" not in admin.get(left(admin)).content.decode()

    def test_a_row_of_a_million_cells_is_told_and_not_shown_whole(self) -> None:
        admin = signed_in(make_admin())
        page = admin.get(left(admin, "case_id,activity,complete\n" + ("," * 900_000 + "\n") * 3)).content.decode()
        assert "This line has 900001 cells, the first one 3." in page
        assert page.count("<td") == 3 * 4

    @pytest.mark.parametrize("rows", [5, 12])
    def test_no_more_than_so_many_rows_are_looked_at_and_the_page_says_so(
        self, monkeypatch: pytest.MonkeyPatch, rows: int
    ) -> None:
        monkeypatch.setattr(previews, "CHECKED", rows)
        monkeypatch.setattr(previews, "CHECKED_XES", rows)
        monkeypatch.setattr(reading, "PART", 512)
        admin = signed_in(make_admin())
        page = admin.get(left(admin, LOG)).content.decode()
        assert f"{rows} rows were looked at and fit." in page
        assert ("There are more" in page) == (rows == 5)
        traces = [(f"c{n}", event_of("Pay", f"2026-03-{n + 1:02}T09:00:00Z")) for n in range(rows if rows > 5 else 30)]
        seen = admin.get(left(admin, xes_of(*traces))).context["preview"]
        assert (seen.is_all, rows <= seen.checked < 30) == (rows == 12, True)

    def test_dates_that_fit_both_orders_are_asked_about(self) -> None:
        admin = signed_in(make_admin())
        address = left(admin, "case_id,activity,complete\n1,Pay,03/04/2026 10:00\n")
        assert "Day or month first?" in admin.get(address).content.decode()
        again = sent(admin, address, button="look", dates="mdy", resource="")
        assert "2026-03-04 10:00:00" in again.content.decode()
        assert "2026-04-03 10:00:00" in sent(admin, address, button="look", dates="dmy", resource="").content.decode()
        assert not EventLog.objects.exists()

    def test_another_separator_shows_other_columns_and_what_was_said_stays(self) -> None:
        admin = signed_in(make_admin())
        address = left(admin)
        again = sent(admin, address, button="look", delimiter="|", name="Mine & yours")
        assert again.status_code == 422
        assert 'value="Mine &amp; yours"' in again.content.decode()
        assert "case_id,activity,complete,resource" in again.content.decode()

    @pytest.mark.parametrize(
        "said", [{"encoding": "hex"}, {"encoding": "klingon"}, {"delimiter": "xx"}, {"tz": "Mars/X"}]
    )
    def test_what_is_not_offered_is_refused(self, said: dict[str, str]) -> None:
        admin = signed_in(make_admin())
        assert sent(admin, left(admin), **said).status_code == 422
        assert not EventLog.objects.exists()

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (b"", "No event"),
            (b"\n", "The first line is empty"),
            (b'<!DOCTYPE log [<!ENTITY a "b">]><log/>', "no document type and no entities"),
            (b"<log></log>", "The log has no events"),
            (gzip.compress(b"case_id,activity,complete\n", mtime=0)[:-6], "packed by gzip and broken"),
            (b"case_id,case_id\n1,2\n", "Two columns are named"),
            (b"x" + b",x" * 200_000 + b"\n1\n", "It has 200,001 columns, and at most 500 are read."),
        ],
    )
    def test_what_cannot_be_read_is_told_and_never_an_error_of_ours(self, raw: bytes, told: str) -> None:
        admin = signed_in(make_admin())
        answer = admin.post("/dashboards/event-logs/", file_of(raw))
        if not raw:
            assert answer.status_code == 422
            return
        assert told in admin.get(answer["Location"]).content.decode()
        assert admin.post(answer["Location"], {"import": "1"}).status_code == 422
        assert not EventLog.objects.exists()


class TestImporting:
    def test_cost_and_day_first_dates_in_their_zone(self) -> None:
        admin, workflow = signed_in(make_admin()), flow(make_unit())
        said = {
            "case": "Vorgang", "activity": "Aktivität", "start": "Beginn", "complete": "Ende", "resource": "Bearbeiter",
            "cost": "Kosten", "delimiter": ";", "dates": "dmy", "decimal": ",", "encoding": "cp1252",
            "tz": "Europe/Berlin", "workflow": workflow.slug,
        }  # fmt: skip
        page = sent(admin, left(admin, GERMAN.encode("cp1252")), **said)
        assert page.status_code == 200, page.context["form"].errors
        log = EventLog.objects.get()
        assert log.first_at.isoformat() == "2026-03-29T00:00:00+00:00"
        assert log.last_at.isoformat() == "2026-03-31T08:00:00+00:00"
        assert log.figures["cost"] == {"cases": 1, "mean": 1234.5}
        assert Baseline.objects.get(kpi="cost_per_success_minor").value == 123_450
        assert "1,234.50" in page.content.decode()

    def test_moments_are_paired_by_their_life_cycle(self) -> None:
        admin = signed_in(make_admin())
        first = shown(admin, MOMENTS)["form"].initial
        assert (first["lifecycle"], first["dates"], first["activity"]) == ("lifecycle", "mdy", "event")
        sent(
            admin,
            left(admin, MOMENTS),
            **{name: str(first[name]) for name in USUAL if name != "tz"},
            lifecycle="lifecycle",
        )
        log = EventLog.objects.get()
        took = {one["activity"]: one["duration_p50_s"] for one in log.figures["activities"]}
        assert (log.events, took) == (2, {"Check": 4.5 * 3600, "Pay": 0})

    def test_a_row_has_a_start_or_a_place_in_the_life_cycle_never_both(self) -> None:
        admin = signed_in(make_admin())
        chosen = {"case": "case", "activity": "event", "complete": "timestamp", "resource": "user", "dates": "mdy"}
        answer = sent(admin, left(admin, MOMENTS), **chosen, lifecycle="lifecycle", start="timestamp")
        assert "choose None for one" in answer.content.decode()
        assert not EventLog.objects.exists()

    def test_the_same_again_changes_nothing(self) -> None:
        admin = signed_in(make_admin())
        sent(admin, left(admin))
        entries = Entry.objects.count()
        assert "It is here already" in sent(admin, left(admin)).content.decode()
        assert (EventLog.objects.count(), Entry.objects.count()) == (1, entries)


class TestKeeping:
    def test_a_file_is_gone_once_it_is_imported_or_discarded_or_an_hour_old(self) -> None:
        admin = signed_in(make_admin())
        sent(admin, left(admin))
        assert not LogUpload.objects.get().content
        admin.post(left(admin) + "discard/")
        assert not LogUpload.objects.exists()
        left(admin)
        assert sweep_uploads() == 0
        row = LogUpload.objects.get()
        LogUpload.objects.update(created_at=row.created_at - timedelta(minutes=61))
        assert sweep_uploads() == 1

    def test_one_a_person_and_nobody_else_s(self) -> None:
        first, other = make_admin(), signed_in(make_admin())
        address = left(signed_in(first))
        assert other.get(address).status_code == 404
        assert sent(other, address).status_code == 404
        assert other.post(address + "discard/").status_code == 404
        again = left(signed_in(first))
        assert (again != address, LogUpload.objects.count()) == (True, 1)


class TestPages:
    def test_a_log_is_imported_shown_and_removed(self) -> None:
        admin = signed_in(make_admin())
        assert "No log yet" in admin.get("/dashboards/event-logs/").content.decode()
        page = sent(admin, left(admin), name="<b>Invoices</b>")
        text = page.content.decode()
        log = EventLog.objects.get()
        assert page.redirect_chain[-1][0] == f"/dashboards/event-logs/{log.pk}/"
        assert "&lt;b&gt;Invoices&lt;/b&gt;" in text
        assert "<b>Invoices" not in text
        for shown in ("Submit → Check → Pay", "8 h", "after 2 h of waiting", "100.0"):
            assert shown in text, shown
        draft = admin.get(f"/dashboards/event-logs/{log.pk}/draft.yaml")
        assert draft["Content-Type"] == "application/yaml; charset=utf-8"
        assert "agent: check\n    needs: [submit]" in draft.content.decode()
        admin.post(f"/dashboards/event-logs/{log.pk}/remove/")
        assert not EventLog.objects.exists()

    def test_a_draft_of_a_workflow_s_log_is_in_its_unit(self) -> None:
        unit = make_unit()
        log, _said = imported(make_admin(), workflow=flow(unit).slug)
        assert f"unit: {unit.slug}\n" in draft_for(make_holder("kpis.view_kpi"), log)

    def test_a_draft_of_a_log_of_no_workflow_is_in_a_unit_that_its_reader_sees(self) -> None:
        top = make_unit()
        own = make_unit(parent=top)
        log, _said = imported(make_admin())
        for unit in (top, own):
            assert f"unit: {unit.slug}\n" in draft_for(make_holder("kpis.view_kpi", unit=unit), log)

    def test_who_only_looks_gets_no_form_and_no_import(self) -> None:
        viewer = signed_in(make_holder("kpis.view_kpi"))
        text = viewer.get("/dashboards/event-logs/").content.decode()
        assert 'type="file"' not in text
        assert viewer.post("/dashboards/event-logs/", file_of(LOG)).status_code == 403
        assert not LogUpload.objects.exists()
