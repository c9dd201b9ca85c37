"""Imports in the background: seen as they go on, ended on the way, and done once whoever dies over them."""

import gzip
import io
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from apps.audit.models import Entry
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import Baseline, EventLog, LogCase, LogUpload
from apps.kpis.rules.eventlogs import MAX_BYTES, Columns, Spelling
from apps.kpis.rules.imports import TRIES, ImportState, ImportStep, percent_of
from apps.kpis.services import cancel_import, import_uploads, importing, keep_upload, start_import, sweep_uploads
from apps.kpis.services.importing import Watch
from tests.conftest import ROOT
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.kpis.test_event_log_doors import LOG, flow, signed_in
from tests.kpis.test_event_log_wizard import USUAL, file_of
from tests.kpis.test_large_logs import LINE, TRACE
from tests.serving import environment_of, wait_for, working
from tests.together import at_once

ROWS = "".join(f"c{n},Submit,2026-03-02T08:00Z,\nc{n},Pay,2026-03-02T09:00Z,\n" for n in range(1200))
LONG = "case_id,activity,complete,resource\n" + ROWS
"""Not long, but packed, so that a worker reads it; written in three parts."""
STEPS = [ImportStep.READING, ImportStep.FIGURES, ImportStep.WRITING]


def begun(client: Client, text: str = LONG, **said: str) -> str:
    """The address of an import that waits for a worker."""
    answer = client.post("/dashboards/event-logs/", file_of(gzip.compress(text.encode()), "log.csv.gz"))
    assert answer.status_code == 302, answer.content.decode()
    address = str(answer["Location"])
    asked = client.post(address, {**USUAL, "name": "Invoices", "import": "1", **said})
    assert (asked.status_code, asked["Location"]) == (302, address)
    assert LogUpload.objects.get(pk=address.split("/")[-2]).state == ImportState.RUNNING
    return address


def nothing_is_imported() -> bool:
    rows = (EventLog, LogCase, Baseline)
    return not any(model.objects.exists() for model in rows) and not Entry.objects.filter(name__startswith="eventlog.")


@contextmanager
def held_at(step: ImportStep, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A worker's thread that stands still in ``step`` until what is yielded is called, which waits for its end."""
    reached, go = Event(), Event()
    tell = Watch.tell

    def hold(watch: Watch, at: ImportStep, done: int, total: int) -> None:
        tell(watch, at, done, total)
        if at == step and (done or at == ImportStep.FIGURES) and not reached.is_set():
            reached.set()
            assert go.wait(60)
            tell(watch, at, done, total)

    def work() -> None:
        try:
            import_uploads()
        finally:
            connections.close_all()

    def let_go() -> None:
        go.set()
        worker.join(60)
        assert not worker.is_alive()

    monkeypatch.setattr(importing, "EVERY_S", 0.02)
    monkeypatch.setattr(Watch, "tell", hold)
    worker = Thread(target=work)
    worker.start()
    try:
        assert reached.wait(60)
        yield let_go
    finally:
        go.set()
        worker.join(60)


@pytest.mark.django_db
class TestAsking:
    def test_a_small_file_is_imported_before_the_first_look(self) -> None:
        admin = signed_in(make_admin())
        address = str(admin.post("/dashboards/event-logs/", file_of(LOG))["Location"])
        answer = admin.post(address, {**USUAL, "name": "Invoices", "import": "1"})
        assert answer["Location"] == f"/dashboards/event-logs/{EventLog.objects.get().pk}/"
        assert import_uploads() == 0

    def test_a_large_one_waits_for_a_worker_and_then_leads_to_the_log(self) -> None:
        admin = signed_in(make_admin())
        address = begun(admin)
        assert nothing_is_imported()
        page = admin.get(address).content.decode()
        assert "It waits for its turn" in page
        assert 'hx-trigger="every 1s"' in page
        assert "Look again" in page
        assert address in admin.get("/dashboards/event-logs/").content.decode()
        assert (import_uploads(), import_uploads()) == (1, 0)
        log = EventLog.objects.get()
        done = admin.get(address, follow=True)
        assert done.redirect_chain[-1][0] == f"/dashboards/event-logs/{log.pk}/"
        assert "Imported: 2,400 events in 1,200 cases" in done.content.decode()
        looked_on = admin.get(address, headers={"HX-Request": "true"})
        assert looked_on["HX-Redirect"] == f"/dashboards/event-logs/{log.pk}/"
        assert not LogUpload.objects.get().content
        assert address not in admin.get("/dashboards/event-logs/").content.decode()
        log.delete()
        assert admin.get(address)["Location"] == "/dashboards/event-logs/"

    def test_what_is_wrong_stands_beside_what_was_chosen_and_another_try_mends_it(self) -> None:
        admin = signed_in(make_admin())
        bad = LONG.replace("case_id", "Vorgang").replace("c700,Pay,2026-03-02T09:00Z", "c700,Pay,never")
        bad = bad.replace("complete,", "complete,other,").replace("Z,\n", "Z,2026-03-03T09:00Z,\n")
        bad = bad.replace("never,", "never,2026-03-03T09:00Z,")
        address = begun(admin, bad, case="Vorgang", name="Mine & yours")
        assert import_uploads() == 1
        assert nothing_is_imported()
        looked_on = admin.get(address, headers={"HX-Request": "true"})
        assert looked_on["HX-Redirect"] == address
        page = admin.get(address)
        assert page.status_code == 200
        assert "line 1403, column complete: &#x27;never&#x27; is no time" in page.content.decode()
        assert 'value="Mine &amp; yours"' in page.content.decode()
        assert page.context["form"]["case"].value() == "Vorgang"
        assert import_uploads() == 0
        admin.post(address, {**USUAL, "case": "Vorgang", "complete": "other", "name": "Invoices", "import": "1"})
        assert import_uploads() == 1
        assert EventLog.objects.get().events == 2400

    def test_another_person_s_is_not_there(self) -> None:
        address = begun(signed_in(make_admin()))
        other = signed_in(make_admin())
        assert other.get(address).status_code == 404
        assert other.post(f"{address}cancel/").status_code == 404
        assert address not in other.get("/dashboards/event-logs/").content.decode()
        assert LogUpload.objects.get().state == ImportState.RUNNING

    def test_no_second_file_while_one_is_imported_and_no_second_start(self) -> None:
        admin = signed_in(make_admin())
        address = begun(admin)
        refused = admin.post("/dashboards/event-logs/", file_of(LOG))
        assert refused.status_code == 422
        assert "Your last file is still being imported" in refused.content.decode()
        assert admin.post(address, {**USUAL, "name": "Other", "import": "1"})["Location"] == address
        assert LogUpload.objects.get().asked["name"] == "Invoices"
        import_uploads()
        assert admin.post("/dashboards/event-logs/", file_of(LOG)).status_code == 302

    def test_who_lost_the_right_meanwhile_imports_nothing(self) -> None:
        unit, person = make_unit(), make_user()
        given = grant(person, make_role("kpis.manage_target", "kpis.view_kpi"), unit=unit)
        client = signed_in(person)
        address = begun(client, workflow=flow(unit).slug)
        given.delete()
        assert import_uploads() == 1
        assert nothing_is_imported()
        assert LogUpload.objects.get().state == ImportState.FAILED
        grant(person, make_role("kpis.view_kpi"), unit=unit)
        assert "You may not import it for this workflow" in client.get(address).content.decode()

    def test_a_running_one_keeps_its_file_and_the_hour_begins_at_its_end(self) -> None:
        admin = signed_in(make_admin())
        begun(admin, LONG + "c9,Pay,never,\n")
        LogUpload.objects.update(created_at=ClockTimestamp() - timedelta(hours=2))
        assert sweep_uploads() == 0
        assert import_uploads() == 1
        assert LogUpload.objects.get().state == ImportState.FAILED
        assert sweep_uploads() == 0
        LogUpload.objects.update(finished_at=ClockTimestamp() - timedelta(minutes=61))
        assert sweep_uploads() == 1

    def test_a_cancelled_one_waits_on_with_what_was_chosen(self) -> None:
        admin = signed_in(make_admin())
        address = begun(admin, name="Chosen")
        page = admin.post(f"{address}cancel/", follow=True)
        assert page.redirect_chain[-1][0] == address
        assert "nothing was imported" in page.content.decode()
        assert 'value="Chosen"' in page.content.decode()
        assert (import_uploads(), nothing_is_imported()) == (0, True)
        assert admin.post(f"{address}cancel/").status_code == 409
        admin.post(address, {**USUAL, "name": "Chosen", "import": "1"})
        assert import_uploads() == 1
        assert EventLog.objects.get().name == "Chosen"

    def test_whoever_kills_each_of_its_readers_ends_as_failed(self) -> None:
        admin = signed_in(make_admin())
        address = begun(admin)
        LogUpload.objects.update(attempts=TRIES, step=ImportStep.READING)
        assert import_uploads() == 1
        assert nothing_is_imported()
        assert "stopped before the end, three times" in admin.get(address).content.decode()
        assert import_uploads() == 0
        admin.post(address, {**USUAL, "name": "Again", "import": "1"})
        assert (import_uploads(), EventLog.objects.count()) == (1, 1)

    def test_one_whose_worker_is_silent_says_so(self) -> None:
        admin = signed_in(make_admin())
        address = begun(admin)
        LogUpload.objects.update(step=ImportStep.READING, claimed_until=ClockTimestamp() - timedelta(seconds=1))
        assert "another worker begins again" in admin.get(address).content.decode()


class TestGoingOn:
    @pytest.mark.parametrize(
        ("step", "words"),
        [
            (ImportStep.READING, "Step 1 of 3"),
            (ImportStep.FIGURES, "Step 2 of 3"),
            (ImportStep.WRITING, "Step 3 of 3"),
        ],
    )
    def test_others_see_how_far_it_is_and_it_is_done_once(self, real_db, monkeypatch, step, words) -> None:
        admin = signed_in(make_admin())
        address = begun(admin, workflow=flow(make_unit()).slug)
        with held_at(step, monkeypatch) as let_go:
            wait_for(lambda: words in admin.get(address, headers={"HX-Request": "true"}).content.decode(), 30)
            if step != ImportStep.FIGURES:  # what is written down is half a second behind
                wait_for(lambda: LogUpload.objects.get().done > 0, 30)
            row = LogUpload.objects.get()
            shown = admin.get(address).content.decode()
            assert step == ImportStep.FIGURES or f'value="{percent_of(row.done, row.total)}"' in shown
            if step == ImportStep.WRITING:
                assert (row.done, row.total) == (500, 1200)
                assert 'value="41"' in shown
            assert nothing_is_imported()
            assert sweep_uploads() == 0
            let_go()
        assert (EventLog.objects.count(), LogCase.objects.count()) == (1, 1200)
        assert Entry.objects.filter(name="eventlog.created").count() == 1
        assert Baseline.objects.exists()

    @pytest.mark.parametrize("step", STEPS)
    def test_cancelled_at_any_step_nothing_of_it_stays(self, real_db, monkeypatch, step) -> None:
        admin = signed_in(make_admin())
        address = begun(admin)
        with held_at(step, monkeypatch) as let_go:
            admin.post(f"{address}cancel/")
            let_go()
        assert nothing_is_imported()
        assert LogUpload.objects.get().state == ImportState.CANCELLED
        assert LogUpload.objects.get().content

    @pytest.mark.parametrize("step", STEPS)
    def test_discarded_at_any_step_nothing_of_it_stays(self, real_db, monkeypatch, step) -> None:
        admin = signed_in(make_admin())
        address = begun(admin)
        with held_at(step, monkeypatch) as let_go:
            admin.post(f"{address}discard/")
            let_go()
        assert nothing_is_imported()
        assert not LogUpload.objects.exists()

    def test_who_holds_it_is_not_overtaken_and_who_was_given_up_writes_nothing(self, real_db, monkeypatch) -> None:
        admin = signed_in(make_admin())
        begun(admin)
        with held_at(ImportStep.FIGURES, monkeypatch) as let_go:
            assert import_uploads() == 0
            monkeypatch.setattr(Watch, "_write", lambda watch: None)  # it says nothing any more
            wait_for(lambda: LogUpload.objects.update(claimed_until=ClockTimestamp()) and import_uploads() == 1)
            first = EventLog.objects.get()
            let_go()
        assert EventLog.objects.get().imported_at == first.imported_at
        assert (LogCase.objects.count(), Entry.objects.filter(name__startswith="eventlog.").count()) == (1200, 1)

    def test_delivered_many_times_at_once_it_is_imported_once(self, real_db) -> None:
        begun(signed_in(make_admin()))
        assert sum(at_once(*[import_uploads] * 4)) == 1
        assert Entry.objects.filter(name__startswith="eventlog.").count() == 1

    def test_cancelled_and_done_at_once_one_of_them_holds(self, real_db) -> None:
        admin = make_admin()
        for n in range(4):
            begun(signed_in(admin), name=f"Log {n}")
            upload = LogUpload.objects.get()
            told = at_once(import_uploads, lambda upload=upload: cancel_import(admin, upload=upload))
            is_done = isinstance(told[1], ConflictError)
            assert EventLog.objects.filter(name=f"Log {n}").exists() == is_done
            assert LogUpload.objects.get().state == (ImportState.DONE if is_done else ImportState.CANCELLED)


STOPS = """
    import time, django
    django.setup()
    from apps.kpis.services.importing import Watch
    from apps.kpis.tasks import import_uploads
    def stop(watch, step, done, total):
        if step == {step!r} and (done or step == "figures"):
            print("there", flush=True)
            time.sleep(120)
    Watch.tell = stop
    import_uploads()
"""


@pytest.mark.parametrize("step", [str(step) for step in STEPS])
def test_a_worker_killed_at_any_step_leaves_nothing_and_another_does_all_of_it(real_db: str, step: str) -> None:
    admin = signed_in(make_admin())
    address = begun(admin, workflow=flow(make_unit()).slug)
    environment = environment_of(str(connection.settings_dict["NAME"]), DJANGO_SETTINGS_MODULE="controlplane.settings")
    command = [sys.executable, "-c", textwrap.dedent(STOPS.format(step=step))]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "there"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert nothing_is_imported()
    assert import_uploads() == 0, "For half a minute somebody may still be at it."
    LogUpload.objects.update(claimed_until=ClockTimestamp())
    assert "another worker begins again" in admin.get(address).content.decode()
    assert import_uploads() == 1
    assert (EventLog.objects.count(), LogCase.objects.count()) == (1, 1200)
    assert Entry.objects.filter(name="eventlog.created").count() == 1
    assert LogUpload.objects.get().attempts == 2


def test_a_worker_that_is_stopped_while_it_writes_holds_up_no_other(real_db: str) -> None:
    admin = signed_in(make_admin())
    begun(admin)
    environment = environment_of(str(connection.settings_dict["NAME"]), DJANGO_SETTINGS_MODULE="controlplane.settings")
    command = [sys.executable, "-c", textwrap.dedent(STOPS.format(step="writing")).replace("120", "0.5")]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == "there"
            os.kill(process.pid, signal.SIGSTOP)
            LogUpload.objects.update(claimed_until=ClockTimestamp())
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '20s'")
            assert import_uploads() == 1
        finally:
            os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60) == 0, "It finds that the import is another's, and goes on."
    assert (EventLog.objects.count(), LogCase.objects.count()) == (1, 1200)
    assert Entry.objects.filter(name="eventlog.created").count() == 1


def test_a_worker_and_the_clock_import_what_the_page_took(real_db: str, tmp_path: Any) -> None:
    admin = signed_in(make_admin())
    address = begun(admin)
    with working(str(connection.settings_dict["NAME"]), tmp_path):
        wait_for(lambda: "event-logs/files" not in admin.get(address).get("Location", "event-logs/files"))
    assert EventLog.objects.get().cases == 1200


def started(person: User, packed: bytes) -> LogUpload:
    """An import into a workflow's baselines, read as the usual columns say."""
    upload = keep_upload(person, file=io.BytesIO(packed), name="log.gz")
    said = {"name": "Bad", "workflow": flow(make_unit()).slug, "tz": "UTC", "encoding": ""}
    return start_import(person, upload=upload, columns=Columns(), spelling=Spelling(), **said)


ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "x" * 10}">' for n in range(12))
EVENT = '<event><string key="concept:name" value="Pay"/><date key="time:timestamp" value="{}"/></event>'
XES = f'<log>\n<trace><string key="concept:name" value="c1"/>\n{EVENT}\n</trace></log>'


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (LONG.replace("complete,", "ended,"), "line 1: There is no column 'complete'"),
        (LONG + "c1,Pay,2026-03-02T08:00,\n", "line 2402, column complete: "),
        (LONG + "c1,Pay,2026-02-30T08:00Z,\n", "line 2402, column complete: '2026-02-30T08:00Z' is no time"),
        (LONG + "c1,,2026-03-02T08:00Z,\n", "line 2402, column activity: The activity is empty."),
        (LONG + "c1,Pay\n", "line 2402: This line has 2 cells, the first one 4."),
        (LONG.replace("resource", "complete"), "line 1, column 4: Two columns are named 'complete'."),
        (LONG.encode()[:-20] + b"\xff" + LONG.encode()[-20:], "This is not utf-8"),
        (XES.format("2026-03-32T08:00:00Z"), "line 3"),
        (f"<!DOCTYPE log [{ENTITIES}]><log>&a11;</log>", "no document type and no entities"),
        (XES.format("2026-03-02T08:00:00Z")[:-6], "line 4"),
    ],
)
def test_what_is_at_fault_ends_with_its_place_and_leaves_nothing(raw: str | bytes, told: str) -> None:
    packed = gzip.compress(raw.encode() if isinstance(raw, str) else raw)
    upload = started(make_admin(), packed)
    assert import_uploads() == 1
    upload.refresh_from_db()
    assert (upload.state, list(upload.errors)) == (ImportState.FAILED, ["file"])
    assert told in upload.errors["file"][0]
    assert nothing_is_imported()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("head", "line"), [(b"case_id,activity,complete,note\n", LINE), (b"<log>\n", TRACE)], ids=["csv", "xes"]
)
def test_a_bomb_is_refused_by_the_worker_and_leaves_nothing(head: bytes, line: bytes) -> None:
    admin, packer = make_admin(), zlib.compressobj(1, zlib.DEFLATED, 31)
    whole = [head, *[line * 50] * (MAX_BYTES // len(line) // 50 + 1)]
    bomb = b"".join(packer.compress(part) for part in whole) + packer.flush()
    upload = started(admin, bomb)
    assert import_uploads() == 1
    upload.refresh_from_db()
    assert upload.errors == {"file": ["The log is larger than 256 MB: import it in parts."]}
    assert nothing_is_imported()


def test_per_cent_are_rounded_down() -> None:
    assert [percent_of(*n) for n in ((0, 0), (0, 9), (999, 1000), (1000, 1000))] == [0, 0, 99, 100]


@pytest.mark.django_db
def test_who_may_not_set_baselines_leaves_no_file() -> None:
    with pytest.raises(Exception, match="Only who may set baselines"):
        keep_upload(make_holder("kpis.view_kpi"), file=io.BytesIO(b"x"), name="x.csv")
    assert not LogUpload.objects.exists()
