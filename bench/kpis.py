"""Figures over a long history: pages, the rows behind them, how late they are, and what they cost whoever works."""

import io
import resource
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from django.db import connection

from apps.audit.models import Cursor
from apps.audit.services import read_on
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import RunFact, StepFact
from apps.kpis.models.clock import database_now
from apps.kpis.services import import_event_log
from apps.telemetry.models import Span
from apps.workflows.services.runs import start_run
from tests.factories.agents import make_agent

RUNS = 100_000
PROJECTION = "kpis"
SPANS = 200
LOG_EVENTS, LOG_CASE = 262_200, 20
TRIES, ROUNDS = 20, 6


def plain_count() -> float:
    """Milliseconds of a plain count of all runs, the median of five: what the others are held against."""
    times = []
    with connection.cursor() as cursor:
        for _ in range(5):
            began = time.perf_counter()
            cursor.execute(f"SELECT count(*) FROM {RunFact._meta.db_table}")
            cursor.fetchone()
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def settle() -> None:
    """As a table that grew over a year is: analysed, its visibility known."""
    with connection.cursor() as cursor:
        for model in (RunFact, StepFact):
            cursor.execute(f"ANALYZE {model._meta.db_table}")


def year(back: int = 0) -> str:
    """A query of a year that ended so many days ago: a range that nobody has asked for before."""
    last = database_now().date() - timedelta(days=back)
    return f"range=custom&from={last - timedelta(days=365)}&to={last}&simulated=true"


def cold_times(client: httpx.Client) -> list[float]:
    """A workflow's page for one of its versions over a year, each range another one."""
    times = []
    for back in range(TRIES):
        version = back % 3 + 1
        began = time.perf_counter()
        client.get(f"/dashboards/expense-declaration/?{year(back)}&version={version}").raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    return times


def make_trace(run_id: UUID) -> None:
    """So many spans of one run, as its agent sent them."""
    agent, now = make_agent(), database_now()
    Span.objects.bulk_create(
        Span(
            agent=agent,
            trace_id=run_id.hex,
            span_id=f"{number:016x}",
            parent_id=f"{number // 5:016x}" if number > 1 else "",
            name=f"chat {number}",
            started_at=now,
            ended_at=now + timedelta(milliseconds=number),
            operation="chat",
            run_id=run_id,
        )
        for number in range(1, SPANS + 1)
    )


def fold_all() -> int:
    """Read on to the horizon, alone; how many entries."""
    done = 0
    while count := read_on(projection=PROJECTION):
        done += count
    return done


def fold_rate(actor: User, workflow: str, runs: int) -> tuple[float, int]:
    """Entries a second that the projection folds, and of how many that is."""
    fold_all()
    for number in range(runs):
        start_run(actor, workflow=workflow, input={"n": number})
    began, count = time.perf_counter(), fold_all()
    return count / (time.perf_counter() - began), count


def run_rate(actor: User, workflow: str, seconds: float) -> float:
    """Runs a second from start to end, in this process."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start_run(actor, workflow=workflow, input={"n": 1})
        count += 1
    return count / (time.perf_counter() - began)


def slowdowns(actor: User, workflow: str, folding: Iterator[None], seconds: float = 4.0) -> list[float]:
    """How much slower runs end while their facts are folded beside them, in turns: rate without / rate with."""
    found = []
    for _ in range(ROUNDS):
        alone = run_rate(actor, workflow, seconds)
        fold_all()
        before = _read_at()
        next(folding)
        while _read_at() == before:  # it has started, and found nothing to do
            time.sleep(0.1)
        found.append(alone / run_rate(actor, workflow, seconds))
        next(folding)
    return found


def _read_at() -> datetime:
    return Cursor.objects.get(projection=PROJECTION).read_at


def lateness(actor: User, workflow: str, *, runs: int, every_s: float) -> tuple[list[float], float]:
    """Seconds from a run's end until its day's rollup counts it, and how many runs ended a second.

    A fact and its rollup are written in one transaction, by the plane that runs beside.
    """
    ended: dict[UUID, float] = {}
    seen: dict[UUID, float] = {}
    began = time.perf_counter()

    def look() -> None:
        missing = [run_id for run_id in ended if run_id not in seen]
        there = RunFact.objects.filter(run_id__in=missing, finished_at__isnull=False).values_list("run_id", flat=True)
        seen.update(dict.fromkeys(there, time.perf_counter()))

    for number in range(runs):
        run = start_run(actor, workflow=workflow, input={"n": number})
        ended[run.pk] = time.perf_counter()
        if number % max(1, round(0.5 / every_s) if every_s else 20) == 0:
            look()
        time.sleep(every_s)
    took = time.perf_counter() - began
    gives_up = time.perf_counter() + 120
    while len(seen) < len(ended) and time.perf_counter() < gives_up:
        look()
        time.sleep(0.1)
    return [seen.get(run_id, gives_up) - at for run_id, at in ended.items()], runs / took


def log_file() -> io.BytesIO:
    """An XES of as many events as a well-known log of loan applications has."""
    began = datetime(2025, 1, 6, 8, tzinfo=UTC)
    parts = ["<?xml version='1.0' encoding='UTF-8'?><log xes.version='1.0'>"]
    for case in range(LOG_EVENTS // LOG_CASE):
        parts.append(f"<trace><string key='concept:name' value='{case}'/>")
        for number in range(LOG_CASE):
            at = (began + timedelta(minutes=case * 7 + number * 31 + case % 13)).isoformat()
            parts.append(
                f"<event><string key='concept:name' value='step {(number * (1 + case % 3)) % 17}'/>"
                f"<string key='org:resource' value='r{(case + number) % 60}'/>"
                f"<string key='lifecycle:transition' value='complete'/>"
                f"<date key='time:timestamp' value='{at}'/></event>"
            )
        parts.append("</trace>")
    parts.append("</log>")
    return io.BytesIO("".join(parts).encode())


def import_seconds() -> float:
    """From the file to figures on a page."""
    file, began = log_file(), time.perf_counter()
    import_event_log(system_user("console"), file=file, name="bench")
    return time.perf_counter() - began


def peak_mb() -> float:
    """What this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def steps() -> int:
    """How many steps the history has."""
    return StepFact.objects.count()
