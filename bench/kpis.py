"""Figures over a long history: pages, the rows behind them, how late they are, and what they cost whoever works."""

import io
import os
import resource
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import psycopg
from django.db import connection

from apps.audit.models import Cursor
from apps.audit.services import read_on
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import RunFact, StepFact
from apps.kpis.models.clock import database_now
from apps.kpis.services import import_event_log, keep_durations
from apps.telemetry.models import Span
from apps.workflows.services.runs import start_run
from tests.factories.agents import make_agent

RUNS = 100_000
PROJECTION = "kpis"
SPANS = 200
LOG_EVENTS, LOG_CASE = 262_200, 20
TRIES, ROUNDS = 20, 6
BURST_A_S, BURST_S = 200, 30


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
    """As what grew over a year is: days that are over written down, tables analysed."""
    keep_durations()
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


def burst(actor: User, workflow: str, runs: int) -> tuple[float, float]:
    """Seconds that the projection takes for so many runs that all ended before, and of its process's time of them.

    No machine of two cores starts 200 runs a second; this folds what so many would have written, at once.
    """
    fold_all()
    for number in range(runs):
        start_run(actor, workflow=workflow, input={"n": number})
    began, cpu = time.perf_counter(), time.thread_time()
    fold_all()
    return time.perf_counter() - began, time.thread_time() - cpu


@dataclass(frozen=True, slots=True)
class Pace:
    """How runs went from start to end in this process: how many a second, and what one took of processors.

    ``waits``: of what its connection waited, and how often of all the times at which somebody looked.
    """

    rate: float
    cpu_ms: float
    waits: Counter[str]


def pace_of(actor: User, workflow: str, seconds: float) -> Pace:
    """Start runs without pause for so long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    count, began, cpu = 0, time.perf_counter(), _cpu_s(backend)
    with _watched(backend) as waits:
        while time.perf_counter() - began < seconds:
            start_run(actor, workflow=workflow, input={"n": 1})
            count += 1
        took, cpu = time.perf_counter() - began, _cpu_s(backend) - cpu
    return Pace(count / took, cpu * 1000 / count, waits)


def _cpu_s(backend: int) -> float:
    """Processor time of this thread and of its connection's process, on the same machine."""
    with open(f"/proc/{backend}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return time.thread_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _watched(backend: int) -> Iterator[Counter[str]]:
    """What a connection waits for, looked at each 20 ms: empty where it works, ``Client`` where it is asked nothing."""
    waits: Counter[str] = Counter()
    done = threading.Event()

    def watch() -> None:
        words = connection.get_connection_params()
        named = {key: words[key] for key in ("host", "port", "user", "password", "dbname") if words.get(key)}
        with psycopg.connect(**named, autocommit=True) as other:
            while not done.wait(0.02):
                row = other.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [backend]).fetchone()
                waits[(row and row[0]) or ""] += 1

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield waits
    finally:
        done.set()
        watching.join()


def slowdowns(actor: User, workflow: str, folding: Iterator[None], seconds: float = 4.0) -> list[tuple[Pace, Pace]]:
    """Runs alone, and while their facts are folded beside them, in turns."""
    found = []
    for _ in range(ROUNDS):
        alone = pace_of(actor, workflow, seconds)
        fold_all()
        before = _read_at()
        next(folding)
        while _read_at() == before:  # it has started, and found nothing to do
            time.sleep(0.1)
        found.append((alone, pace_of(actor, workflow, seconds)))
        next(folding)
    return found


def locked_share(paces: list[Pace]) -> float:
    """Of how many of the looks a connection waited for a lock of another, in percent."""
    looks = sum((pace.waits for pace in paces), Counter[str]())
    return 100 * (looks["Lock"] + looks["LWLock"]) / max(1, looks.total())


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
