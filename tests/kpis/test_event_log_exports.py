"""Runs as event logs: by permission, nothing of what was in them, and the same figures when they are read again."""

import csv
import gzip
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import LogCase, RunFact
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.eventlogs import Event, cases_in, figures_of, read_log
from apps.kpis.rules.eventlogs.writing import LogKind, Trace, written
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors import events
from apps.kpis.selectors.events import TOLD, traces_for
from apps.kpis.services import import_event_log, write_facts
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.kpis import NOON, make_decision, make_run, make_step

ZONE = reporting_zone()
FIRST = datetime(2026, 3, 28, 22, tzinfo=UTC)
PERIOD = "from=2026-11-01&to=2026-12-01"
minutes = st.integers(0, 3 * 24 * 60)
names = st.text("abc <&\"'>é=", min_size=1, max_size=4).map(lambda text: f"x{text}".strip())
rows = st.lists(st.tuples(names, minutes, minutes, st.one_of(st.just(""), names)), min_size=1, max_size=8)


def trace_of(number: int, rows: list[tuple[str, int, int, str]]) -> Trace:
    case = f"run-{number}"
    found = [
        Event(case, name, FIRST + timedelta(minutes=start), FIRST + timedelta(minutes=start + took), who)
        for name, start, took, who in rows
    ]
    return Trace(case, sorted(found, key=lambda row: row.complete), {"state": "succeeded"})


@given(st.lists(rows, min_size=1, max_size=6), st.sampled_from(LogKind))
def test_what_is_written_and_read_again_has_the_same_figures(cases: list[Any], kind: LogKind) -> None:
    traces = [trace_of(number, rows) for number, rows in enumerate(cases)]
    everything = [row for trace in traces for row in trace.rows]
    raw = b"".join(written(traces, kind, TOLD))
    again = list(read_log(io.BytesIO(raw), zone=ZONE))
    assert again == everything
    assert figures_of(cases_in(again), ZONE) == figures_of(cases_in(everything), ZONE)


def test_a_cell_that_a_spreadsheet_would_run_is_text() -> None:
    row = Event("c", '=HYPERLINK("x")', FIRST, FIRST, "@evil")
    text = b"".join(written([Trace("c", [row], {"outcome": "+1"})], LogKind.CSV, ["outcome"])).decode()
    cells = list(csv.reader(io.StringIO(text)))[1]
    assert (cells[1], cells[4], cells[5]) == ('\'=HYPERLINK("x")', "'@evil", "'+1")


def test_what_nobody_did_has_no_group_and_what_nobody_knows_no_cost() -> None:
    rows = [Event("c", name, FIRST, FIRST, who) for name, who in (("call", ""), ("sign", "people"))]
    text = b"".join(written([Trace("c", rows, {}, "sales")], LogKind.XES, TOLD)).decode()
    assert (text.count("org:group"), text.count("cost:total")) == (1, 0)
    assert list(read_log(io.BytesIO(text.encode()), zone=ZONE)) == rows


def told(**more: Any) -> Any:
    run = make_run(**more)
    steps = [
        make_step(run, name="check", agent="checker", started_at=NOON - timedelta(minutes=50), finished_at=NOON),
        make_step(run, name="sign", kind="approval", started_at=None, finished_at=NOON + timedelta(minutes=1)),
        make_step(run, name="never", state="skipped"),
        make_step(run, name="check", round=2, rework=True, agent="checker", finished_at=NOON + timedelta(minutes=2)),
    ]
    write_facts(facts=Facts(runs=[run], steps=steps, decisions=[make_decision(run, decided_by="Ada Lovelace")]))
    return run


def token(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_token(user, user=user)}"}


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


@pytest.mark.django_db
class TestDoors:
    def test_page_and_api_write_the_same_rows_and_name_nobody(self) -> None:
        run = told(key="Ada's salary")
        viewer = make_holder("kpis.view_kpi")
        page = Client()
        page.force_login(viewer)
        link = f"/dashboards/overview/throughput/events.csv?{PERIOD}"
        assert link.split("?", maxsplit=1)[0] in page.get(f"/dashboards/overview/throughput/?{PERIOD}").content.decode()
        shown = body_of(page.get(link))
        api = body_of(Client().get(f"/api/v1/kpis/throughput/events/?{PERIOD}", headers=token(viewer)))
        assert shown == api
        found = list(csv.DictReader(io.StringIO(shown.decode())))
        assert [(row["activity"], row["resource"]) for row in found] == [
            ("check", "checker"),
            ("sign", "people"),
            ("check", "checker"),
        ]
        assert {(row["case_id"], row["workflow"], row["outcome"]) for row in found} == {
            (str(run.run_id), "w", "completed")
        }
        assert b"Ada" not in shown

    @pytest.mark.parametrize("kind", LogKind)
    def test_what_is_said_of_runs_comes_back_with_them(self, kind: LogKind) -> None:
        run, admin = told(), make_admin()
        raw = body_of(Client().get(f"/api/v1/kpis/throughput/events/?as={kind}&{PERIOD}", headers=token(admin)))
        import_event_log(admin, file=io.BytesIO(raw), name="Again", tz="UTC", attributes=TOLD)
        case = LogCase.objects.get()
        known = {"workflow": "w", "version": str(run.version), "state": "succeeded", "outcome": "completed"}
        assert (case.name, case.told) == (str(run.run_id), {**known, "simulated": "false"})

    @pytest.mark.parametrize("kpi", ["throughput", "approval_latency_p50_s", "arrivals"])
    def test_the_packed_log_is_imported_with_the_same_figures(self, kpi: str) -> None:
        told()
        admin = make_admin()
        raw = body_of(Client().get(f"/api/v1/kpis/{kpi}/events/?as=xes.gz&{PERIOD}", headers=token(admin)))
        log, _said = import_event_log(admin, file=io.BytesIO(raw), name="Again", tz="UTC")
        assert (log.cases, log.events, log.figures["rework_share"], log.figures["handovers"]) == (1, 3, 1.0, 2)

    def test_the_xes_says_whose_run_it_was_and_what_it_cost(self) -> None:
        unit = make_unit()
        told(unit_id=unit.pk)
        RunFact.objects.update(cost_micro=1_234_567)
        mine = make_holder("kpis.view_kpi", unit=unit)
        raw = body_of(Client().get(f"/api/v1/kpis/throughput/events/?as=xes&{PERIOD}", headers=token(mine)))
        log = ElementTree.fromstring(raw)
        trace = log.find("trace")
        assert trace is not None
        said = {one.get("key"): (one.tag, one.get("value")) for one in trace if one.tag != "event"}
        currency = reporting_currency()
        assert (said["cost:total"], said["cost:currency"]) == (("float", "1.234567"), ("string", currency))
        assert "cost" in {one.get("prefix") for one in log.iter("extension")}
        groups = [
            {one.get("key"): one.get("value") for one in event if one.get("key") in {"org:resource", "org:group"}}
            for event in trace.iter("event")
        ]
        assert {one["org:resource"]: one["org:group"] for one in groups} == {"checker": unit.slug, "people": unit.slug}
        stranger = Client().get(f"/api/v1/kpis/throughput/events/?as=xes&{PERIOD}", headers=token(make_user()))
        assert stranger.status_code == 403

    def test_where_nothing_is_behind_a_number_the_log_is_empty(self) -> None:
        told()
        raw = body_of(Client().get(f"/api/v1/kpis/failed/events/?as=xes.gz&{PERIOD}", headers=token(make_admin())))
        assert b"<trace>" not in gzip.decompress(raw)
        assert gzip.decompress(raw).rstrip().endswith(b"</log>")

    def test_only_runs_that_one_may_count_are_in_it(self) -> None:
        unit, other = make_unit(), make_unit()
        told(unit_id=unit.pk)
        told(unit_id=other.pk)
        mine = make_holder("kpis.view_kpi", unit=unit)
        text = body_of(Client().get(f"/api/v1/kpis/throughput/events/?{PERIOD}", headers=token(mine))).decode()
        assert len({row["case_id"] for row in csv.DictReader(io.StringIO(text))}) == 1
        stranger = Client().get(f"/api/v1/kpis/throughput/events/?{PERIOD}", headers=token(make_user()))
        assert stranger.status_code == 403

    @pytest.mark.parametrize(("asked", "status"), [("as=ods", 422), ("kind=csv", 422), ("as=csv&from=x", 422)])
    def test_what_is_not_known_is_refused_as_a_problem_whatever_type_was_asked(self, asked: str, status: int) -> None:
        headers = {**token(make_admin()), "Accept": "text/csv"}
        answer = Client().get(f"/api/v1/kpis/throughput/events/?{asked}", headers=headers)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")

    def test_many_runs_are_read_in_batches_each_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "BATCH", 2)
        for _ in range(5):
            told()
        asked = filter_of({"from": "2026-11-01", "to": "2026-12-01"}, now=NOON, zone=ZONE)
        found = [trace.case for trace in traces_for(make_admin(), DEFINITIONS["throughput"], asked)]
        assert len(found) == len(set(found)) == 5
