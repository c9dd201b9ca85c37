"""Event logs: read from CSV and XES alike, figures by brute force, and every fault with its place."""

import gzip
import io
import os
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.kpis.rules.eventlogs import (
    Columns,
    Event,
    LogError,
    LogFigures,
    cases_in,
    draft_of,
    events,
    figures_of,
    read_log,
    reading,
    xes,
)
from apps.kpis.rules.statistics import percentile
from apps.workflows.rules.checks import check_document
from apps.workflows.rules.source import read_source

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
ZONE = ZoneInfo("Europe/Amsterdam")
HEAD = "case_id,activity,start,complete,resource\n"
DAY_S = 86_400


def read(text: str | bytes, **options: Any) -> list[Event]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(read_log(io.BytesIO(raw), zone=options.pop("zone", ZONE), **options))


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


def xes_of(*traces: tuple[str, str]) -> str:
    body = "".join(f'<trace><string key="concept:name" value="{case}"/>{inner}</trace>' for case, inner in traces)
    usual = '<global scope="event"><string key="concept:name" value="UNKNOWN"/></global>'
    return f'<?xml version="1.0"?>\n<log xes.version="1.0">\n{usual}{body}</log>'


def priced(name: str, hour: int, cost: str, *more: str) -> str:
    """An event with what it cost, as a number or as text, and further attributes."""
    told = "".join(f'<string key="{key}" value="{value}"/>' for key, _is, value in (one.partition("=") for one in more))
    return event_of(name, f"2026-03-02T{hour:02}:00:00Z").replace("</event>", f"{cost}{told}</event>")


class TestWhatAnXesSaysOfCostAndGroup:
    COST = '<float key="cost:total" value="12.5"/>'

    def test_costs_of_events_are_those_of_cases(self) -> None:
        steps = (
            priced("Ask", 9, self.COST),
            priced("Pay", 10, '<string key="cost:total" value="0.25"/>', "cost:currency=EUR"),
        )
        rows = read(xes_of(("1", "".join(steps)), ("2", event_of("Ask", "2026-03-02T09:00:00Z"))), money="EUR")
        assert [row.cost for row in rows] == [Decimal("12.5"), Decimal("0.25"), None]
        assert figures_of(cases_in(rows), ZONE).figures["cost"] == {"cases": 1, "mean": 12.75}

    def test_a_start_s_cost_is_its_event_s_where_its_end_says_none(self) -> None:
        start = priced("Ask", 9, self.COST, "lifecycle:transition=start")
        end = event_of("Ask", "2026-03-02T10:00:00Z", "complete")
        assert [row.cost for row in read(xes_of(("1", start + end)))] == [Decimal("12.5")]

    @pytest.mark.parametrize("cost", ["-1", "INF", "a lot", "1e99"])
    def test_what_is_no_cost_is_a_fault_with_its_line(self, cost: str) -> None:
        with pytest.raises(LogError, match=r"line 3, column cost:total: .* is no cost"):
            read(xes_of(("1", priced("Ask", 9, f'<string key="cost:total" value="{cost}"/>'))))

    def test_another_currency_is_a_fault_and_never_one_to_one(self) -> None:
        with pytest.raises(
            LogError, match="line 3, column cost:currency: The cost is in USD, and costs are counted in EUR"
        ):
            read(xes_of(("1", priced("Ask", 9, self.COST, "cost:currency=USD"))), money="EUR")

    @pytest.mark.parametrize(("cost", "found"), [("0", 0), ("0.0", 0), ("NaN", None), (" nan ", None), ("", None)])
    def test_nothing_and_none_are_no_faults_in_any_currency(self, cost: str, found: int | None) -> None:
        told = priced("Ask", 9, f'<string key="cost:total" value="{cost}"/>', "cost:currency=USD")
        assert [row.cost for row in read(xes_of(("1", told)), money="EUR")] == [found]

    @pytest.mark.parametrize("cost", ["-1", "a lot", "7"])
    def test_costs_of_rows_that_are_no_events_are_not_looked_at(self, cost: str) -> None:
        told, abroad = f'<string key="cost:total" value="{cost}"/>', "cost:currency=USD"
        steps = [priced("Ask", 8, told, abroad, f"lifecycle:transition={kind}") for kind in ("schedule", "start")]
        steps += [priced("Ask", 9, self.COST, "lifecycle:transition=complete")]
        steps += [priced("Pay", 9, told, abroad, "lifecycle:transition=start")]
        assert [row.cost for row in read(xes_of(("1", "".join(steps))), money="EUR")] == [Decimal("12.5")]
        steps[2] = priced("Ask", 9, "", "lifecycle:transition=complete")
        with pytest.raises(LogError, match="line 3, column cost:"):
            read(xes_of(("1", "".join(steps))), money="EUR")

    @pytest.mark.parametrize(
        ("start", "end", "who"),
        [
            (["org:resource=Ann"], ["org:group=Sales"], "Ann"),
            (["org:group=Sales"], ["org:resource=Ann"], "Ann"),
            (["org:group=Sales"], [], "Sales"),
            (["org:group=Sales"], ["org:group=Legal"], "Legal"),
            (["org:resource=Ann", "org:group=Sales"], ["org:resource=Bob"], "Bob"),
        ],
    )
    def test_a_group_hides_no_person_of_either_row(self, start: list[str], end: list[str], who: str) -> None:
        rows = priced("Ask", 9, "", "lifecycle:transition=start", *start)
        rows += priced("Ask", 10, "", "lifecycle:transition=complete", *end)
        assert [row.resource for row in read(xes_of(("1", rows)))] == [who]

    def test_a_group_stands_for_whoever_is_not_named(self) -> None:
        steps = priced("Ask", 9, "", "org:group=Clerks"), priced("Pay", 10, "", "org:resource=ada", "org:group=Clerks")
        assert [row.resource for row in read(xes_of(("1", "".join(steps))))] == ["Clerks", "ada"]


def event_of(name: str, time: str, transition: str = "", resource: str = "") -> str:
    said = [("string", "concept:name", name), ("date", "time:timestamp", time)]
    said += [("string", "lifecycle:transition", transition)] if transition else []
    said += [("string", "org:resource", resource)] if resource else []
    return "<event>" + "".join(f'<{kind} key="{key}" value="{value}"/>' for kind, key, value in said) + "</event>"


@pytest.mark.skipif(not (DATA.is_dir() or os.environ.get("CI")), reason="no real logs lie beside this clone")
class TestRealLogs:
    @pytest.mark.parametrize(
        ("name", "cases", "rows", "days", "variants", "rework"),
        [
            ("receipt", 1434, 8577, (0.0332, 5.4081, 14.0952, 23.9125), 116, 6.35),
            ("domestic_declarations", 10_357, 55_628, (7.3123, 11.0870, 18.9096, 27.9386), 90, 9.71),
        ],
    )
    def test_csv_and_xes_say_the_same_and_what_is_known_of_them(
        self, name: str, cases: int, rows: int, days: Sequence[float], variants: int, rework: float
    ) -> None:
        found = [self.figures(f"{name}.{kind}.gz") for kind in ("csv", "xes")]
        assert found[0] == found[1]
        told = found[0]
        assert (told.cases, told.events, told.duplicates) == (cases, rows, 0)
        times = [told.figures["cycle_time_s"][key] / DAY_S for key in ("p50", "mean", "p90", "p95")]
        assert times == pytest.approx(days, abs=0.00005)
        assert told.figures["variants"] == variants
        assert told.figures["rework_share"] * 100 == pytest.approx(rework, abs=0.005)
        assert sum(week["cases"] for week in told.figures["throughput_weekly"]) == cases

    def figures(self, name: str) -> LogFigures:
        with (DATA / name).open("rb") as file:
            return figures_of(cases_in(read_log(file, zone=ZONE)), ZONE)


class TestTables:
    def test_columns_by_their_usual_names(self) -> None:
        rows = read(HEAD + "a,Submit,2026-03-02T09:00:00+01:00,2026-03-02T09:30:00+01:00,ada\n")
        assert rows == [Event("a", "Submit", at(8), at(8, 30), "ada")]

    def test_what_is_missing_is_the_same_time_and_nobody(self) -> None:
        assert read("case_id,activity,complete\na,Submit,2026-03-02T08:00Z\n") == [Event("a", "Submit", at(8), at(8))]

    def test_other_names_semicolons_and_another_encoding(self) -> None:
        columns = Columns(case="Vorgang", activity="Tätigkeit", complete="Ende")
        raw = "Vorgang;Tätigkeit;Ende\n7;Prüfen;2026-03-02 09:00\n".encode("cp1252")
        assert read(raw, columns=columns, encoding="cp1252") == [Event("7", "Prüfen", at(8), at(8))]

    def test_a_mark_of_utf_16_and_quoted_lines(self) -> None:
        raw = (HEAD + '"a","Sub\tmit, ""now""",,2026-03-02T08:00Z,\n').replace("\t", "").encode("utf-16")
        assert read(raw)[0].activity == 'Submit, "now"'

    def test_times_without_offset_are_in_the_zone_across_a_clock_change(self) -> None:
        rows = read("case_id,activity,complete\na,x,2026-03-29 01:59\na,x,2026-03-29 03:00\n")
        assert rows[1].complete - rows[0].complete == timedelta(minutes=1)

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("", 1, "first line is empty"),
            ("case_id,activity\na,b\n", 1, "no column 'complete'"),
            ("case_id,activity,complete,activity\n", 1, "Two columns are named"),
            (HEAD + "a,b,,2026-03-02T08:00Z\n", 2, "has 4 cells, the first one 5"),
            (HEAD + "a,b,,2026-03-02T08:00Z,r\na,b,,yesterday,r\n", 3, "'yesterday' is no time"),
            (HEAD + "a,b,,2026-02-30T08:00Z,r\n", 2, "is no time"),
            (HEAD + "a,b,,0001-01-01T00:00+14:00,r\n", 2, "beyond all calendars"),
            (HEAD + "a,b,,2026-03-29 02:30,r\n", 2, "did not exist"),
            (HEAD + "a,b,,2026-03-02T08:00Z,r\na,b,,2026-03-02T08:00,r\n", 3, "no offset"),
            (HEAD + "a,b,2026-03-02T09:00Z,2026-03-02T08:00Z,r\n", 2, "ends before it starts"),
            (HEAD + ",b,,2026-03-02T08:00Z,r\n", 2, "case is empty"),
            (HEAD + "a, ,,2026-03-02T08:00Z,r\n", 2, "activity is empty"),
            (HEAD + "a,b\x07,,2026-03-02T08:00Z,r\n", 2, "cannot be shown"),
            (HEAD + f"a,{'b' * 201},,2026-03-02T08:00Z,r\n", 2, "longer than 200"),
            (HEAD + '"a"b,c,,2026-03-02T08:00Z,r\n', 2, "no CSV"),
            (HEAD + '"' + "a" * 200_000, 2, "no CSV"),
        ],
    )
    def test_a_fault_is_named_with_its_line(self, text: str, line: int, words: str) -> None:
        with pytest.raises(LogError, match=words) as caught:
            read(text)
        assert caught.value.line == line

    def test_what_is_not_text_is_named_with_its_line(self) -> None:
        with pytest.raises(LogError, match="not utf-8") as caught:
            read(HEAD.encode() + b"a,b,,2026-03-02T08:00Z,r\n" + b"a,\xff,,2026-03-02T08:00Z,r\n")
        assert caught.value.line == 3
        with pytest.raises(LogError, match="no encoding"):
            read(HEAD, encoding="klingon")


class TestXes:
    def test_start_opens_and_complete_closes_the_oldest_of_its_activity(self) -> None:
        inner = (
            event_of("Check", "2026-03-02T08:00Z", "start", "ada")
            + event_of("Check", "2026-03-02T08:10Z", "start")
            + event_of("Check", "2026-03-02T09:00Z", "complete")
            + event_of("Check", "2026-03-02T10:00Z", "complete", "ben")
            + event_of("Check", "2026-03-02T11:00Z", "complete")
            + event_of("Pay", "2026-03-02T12:00Z", "start")
            + event_of("Pay", "2026-03-02T12:30Z", "suspend")
            + event_of("Note", "2026-03-02T13:00Z")
        )
        assert read(xes_of(("a", inner))) == [
            Event("a", "Check", at(8), at(9), "ada"),
            Event("a", "Check", at(8, 10), at(10), "ben"),
            Event("a", "Check", at(11), at(11)),
            Event("a", "Note", at(13), at(13)),
        ]

    def test_other_transitions_make_every_event_a_row_of_its_own_activity(self) -> None:
        inner = event_of("Check", "2026-03-02T08:00Z", "start") + event_of("Check", "2026-03-02T09:00Z", "In Progress")
        assert [row.activity for row in read(xes_of(("a", inner)))] == ["Check/start", "Check/In Progress"]

    def test_what_stands_inside_other_attributes_counts_for_nothing(self) -> None:
        nested = '<string key="x" value="1"><string key="concept:name" value="Forged"/></string>'
        inner = event_of("Real", "2026-03-02T08:00Z").replace("</event>", nested + "</event>")
        assert [row.activity for row in read(xes_of(("a", inner + nested)))] == ["Real"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("<log><trace></log>", "no XML"),
            ("<html/>", "begins with <log>"),
            ('<!DOCTYPE log SYSTEM "http://192.0.2.1/x.dtd"><log/>', "no document type"),
            ('<!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><log>&b;</log>', "no document type"),
            (xes_of(("", event_of("x", "2026-03-02T08:00Z"))), "which case"),
            (xes_of(("a", event_of("", "2026-03-02T08:00Z"))), "what happened"),
            (xes_of(("a", event_of("x", "soon"))), "no time"),
            (xes_of(("a", "<event><string key='concept:name' value='x'/></event>")), "when did it happen"),
            ("<log>" + "<string>" * 40, "levels deep"),
        ],
    )
    def test_a_fault_is_named_with_its_line(self, text: str, words: str) -> None:
        with pytest.raises(LogError, match=words) as caught:
            read(text)
        assert caught.value.line > 0

    def test_more_events_than_a_log_may_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "MAX_EVENTS", 3)
        monkeypatch.setattr(xes, "MAX_EVENTS", 1)
        inner = event_of("x", "2026-03-02T08:00Z")
        with pytest.raises(LogError, match="more than 1 events"):
            read(xes_of(("a", inner * 3)))
        with pytest.raises(LogError, match="more than 3 events"):
            read(HEAD + "a,b,,2026-03-02T08:00Z,r\n" * 4)


class TestFiles:
    def test_a_bomb_is_found_before_it_has_gone_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "MAX_BYTES", 1024**2)
        packed = gzip.compress(HEAD.encode() + b"a,b,,2026-03-02T08:00Z,r\n" * 400_000)
        assert len(packed) < 100_000
        with pytest.raises(LogError, match="larger than 1 MB"):
            read(packed)

    def test_a_broken_package_is_said(self) -> None:
        packed = gzip.compress(HEAD.encode())
        for broken in (packed[:-4], packed[:5] + b"\xff" + packed[6:20]):
            with pytest.raises(LogError, match="broken"):
                read(broken)


def generated(seed: int) -> list[Event]:
    """Cases with overlaps, ties, rework and rows of nobody, across both clock changes; in no order."""
    chance = random.Random(seed)
    rows = []
    for case in range(60):
        moment = datetime(2026, chance.choice([3, 10]), chance.randint(20, 31), tzinfo=UTC)
        for _ in range(chance.randint(1, 9)):
            start = moment + timedelta(seconds=chance.choice([0, 0, 60, 7_200, 90_000]))
            complete = start + timedelta(seconds=chance.choice([0, 30, 5_400]))
            rows.append(Event(f"c{case}", chance.choice("ABCDE"), start, complete, chance.choice(["", "ada", "ben"])))
            moment = chance.choice([start, complete])
    chance.shuffle(rows)
    return rows


@pytest.mark.parametrize("seed", range(8))
def test_figures_equal_those_by_brute_force(seed: int) -> None:
    rows = generated(seed)
    cases: dict[str, list[tuple[datetime, int, Event]]] = {}
    for place, row in enumerate(rows):
        cases.setdefault(row.case, []).append((row.complete, place, row))
    ordered = [[row for _at, _place, row in sorted(found, key=lambda one: one[:2])] for found in cases.values()]
    cycle = sorted((max(r.complete for r in c) - min(r.start for r in c)).total_seconds() for c in ordered)
    pairs = [pair for case in ordered for pair in pairwise(case)]
    told = figures_of(cases_in(rows), ZONE)
    assert (told.cases, told.events) == (len(cases), len(rows))
    assert told.duplicates == len(rows) - len(set(rows))
    assert told.figures["cycle_time_s"]["p90"] == percentile(cycle, 0.9)
    assert told.figures["cycle_time_s"]["mean"] == pytest.approx(sum(cycle) / len(cycle))
    assert told.figures["variants"] == len({tuple(r.activity for r in c) for c in ordered})
    assert told.figures["rework_share"] == sum(len({r.activity for r in c}) != len(c) for c in ordered) / len(ordered)
    assert told.figures["handovers"] == sum(
        1 for a, b in pairs if a.resource and b.resource and a.resource != b.resource
    )
    for arrow in told.figures["map"]["arrows"]:
        waits = [
            max(0.0, (b.start - a.complete).total_seconds())
            for a, b in pairs
            if (a.activity, b.activity) == (arrow["from"], arrow["to"])
        ]
        assert (arrow["count"], arrow["wait_p50_s"]) == (len(waits), percentile(waits, 0.5))
    assert sum(arrow["count"] for arrow in told.figures["map"]["arrows"]) == len(pairs)
    assert sum(one["cases"] for one in told.figures["map"]["variants"]) <= len(cases)
    weeks = Counter(f"{case[-1].complete.astimezone(ZONE):%G-W%V}" for case in ordered)
    assert {week["week"]: week["cases"] for week in told.figures["throughput_weekly"]} == weeks


def test_a_log_of_nothing_is_refused() -> None:
    with pytest.raises(LogError, match="no events"):
        cases_in([])


NAMES = (
    "Submit",
    "Prüfen & freigeben",
    "Submit",
    "審査",
    "審査 2",
    "2nd look",
    "prufen freigeben",
    'a: "b" # c',
    "for",
)


def test_a_draft_of_any_activities_is_a_document_that_is_checked() -> None:
    rows = [Event("a", name, at(8, n), at(8, n)) for n, name in enumerate(NAMES)]
    text = draft_of('Invoices: "2025" # \n- x', figures_of(cases_in(rows), ZONE).figures["map"], unit="finance")
    source = read_source(text)
    assert check_document(source) == []
    assert source.value["name"] == 'Invoices: "2025" # \n- x'
    steps = source.value["steps"]
    assert len(steps) == len(set(NAMES))
    order = list(steps)
    assert [step.get("needs", []) for step in steps.values()] == [[], *([name] for name in order[:-1])]
    assert "# Prüfen & freigeben; waited for 0.0 h at the median" in text
