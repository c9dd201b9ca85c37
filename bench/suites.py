"""What is measured. Each suite returns rows of ``{what, value, unit, aim?}``."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
from django.db import connection

from apps.access.services import create_token
from apps.audit.models import Entry
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.policies.rules import judge
from apps.workflows.models import Step
from apps.workflows.services.runs import start_run
from bench import deciding, policies, simulate
from bench.stage import Scene
from tests.factories.access import make_admin, make_approver, make_queue, make_unit
from tests.factories.workflows import make_worker, make_workflow

type Rows = list[dict[str, Any]]
REQUESTS, CLIENTS = 400, 4
MANY = 10_000
PASSWORD = "bench bench bench"


def percentile(values: list[float], share: float) -> float:
    """Type 7, as PostgreSQL's percentile_cont."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def row(what: str, value: float, unit: str, aim: str = "") -> dict[str, Any]:
    return {"what": what, "value": round(value, 2), "unit": unit, "aim": aim}


def timed(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def pg4_of(figures: dict[str, Rows]) -> float:
    return float(figures["pg4"][0]["value"])


def measure_pg4(scene: Scene, figures: dict[str, Rows], seconds: float = 4.0) -> Rows:
    """The machine's own speed: insert + update, one transaction, four connections."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE probe (id int)")  # the application's role may not make lasting tables
    counts = [0] * 4
    ends = time.monotonic() + seconds

    def hammer(number: int) -> None:
        with psycopg.connect(scene.database_url) as session:
            while time.monotonic() < ends:
                with session.transaction():
                    made = session.execute(
                        "INSERT INTO core_heartbeat (kind, name, details) VALUES ('bench', %s, '{}') RETURNING id",
                        [f"{number}-{counts[number]}"],
                    ).fetchone()
                    session.execute("UPDATE core_heartbeat SET at = clock_timestamp() WHERE id = %s", made)
                counts[number] += 1

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_heartbeat WHERE kind = 'bench'")
    return [row("insert+update transactions, 4 connections (PG4)", sum(counts) / seconds, "per s")]


def measure_decision(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """What an agent waits for: POST /actions/ with eight permissions, fifty rules, verdict and ledger, durable."""
    asker = deciding.make_asker()
    scene.start_plane()
    deciding.wait_times(asker, scene.url, clients=1, each=50)
    alone, _rate = deciding.wait_times(asker, scene.url, clients=1, each=REQUESTS)
    together, rate = deciding.wait_times(asker, scene.url, clients=CLIENTS, each=REQUESTS // 2)
    return [
        row("POST /actions/ to a verdict, 1 client, p50", statistics.median(alone), "ms", "<= 15"),
        row("POST /actions/ to a verdict, 1 client, p99", percentile(alone, 0.99), "ms"),
        row(f"POST /actions/ to a verdict, {CLIENTS} clients, p50", statistics.median(together), "ms"),
        row(f"POST /actions/ to a verdict, {CLIENTS} clients, p99", percentile(together, 0.99), "ms"),
        row(f"decisions, {CLIENTS} clients", rate, "per s"),
    ]


def measure_governance(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """The same with a budget; rules alone; how soon a revoked key is refused; the list of ten thousand agents."""
    compiled, asked = policies.compiled(50), policies.facts()
    alone_us = policies.median_us(lambda: judge(compiled, asked), 2_000)
    asker = deciding.make_asker(budget=True)
    scene.start_plane()
    deciding.wait_times(asker, scene.url, clients=1, each=50)
    alone, _rate = deciding.wait_times(asker, scene.url, clients=1, each=REQUESTS // 2)
    waits, rate = deciding.wait_times(asker, scene.url, clients=CLIENTS, each=REQUESTS // 2)
    refused = deciding.revocation_times(asker, scene.url, rounds=40)
    deciding.make_many_agents(MANY)
    return [
        row("50 rules on 3 KB, one process", 1_000_000 / alone_us, "per s of processor", ">= 5,000"),
        row("POST /actions/ with a budget, one client, p50", statistics.median(alone), "ms", "<= 8"),
        row("POST /actions/ with a budget, one client, p99", percentile(alone, 0.99), "ms", "<= 40"),
        row(f"POST /actions/ with a budget, {CLIENTS} clients, p50", statistics.median(waits), "ms"),
        row(f"POST /actions/ with a budget, {CLIENTS} clients, p99", percentile(waits, 0.99), "ms", "<= 100"),
        row(f"decisions with a budget, {CLIENTS} clients", rate, "per s"),
        row("a revoked key is refused after, at the latest", max(refused), "ms", "<= 1000"),
        *_page(scene, make_admin(password=PASSWORD), "/agents/", f"the list of {MANY:,} agents", "<= 200"),
    ]


def chain(steps: int) -> dict[str, Any]:
    """A workflow of rule steps one after the other."""
    return {
        "name": "Chain",
        "input": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "steps": {
            f"s{n}": {"rule": {"value": "input.n + 1"}, **({"needs": [f"s{n - 1}"]} if n else {})} for n in range(steps)
        },
    }


CHAIN = chain(20)


def measure_steps(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """Internal steps: planner, rows, ledger and permission, in one process. Runs of twenty rule steps each."""
    unit = make_unit()
    workflow = make_workflow({**CHAIN, "slug": "bench-chain", "unit": unit.slug})
    console = system_user("console")
    for number in range(3):
        start_run(console, workflow=workflow.slug, input={"n": number})
    before, began = Step.objects.count(), time.perf_counter()
    while time.perf_counter() - began < 6:
        start_run(console, workflow=workflow.slug, input={"n": 1})
    rate = (Step.objects.count() - before) / (time.perf_counter() - began)
    return [
        row("internal steps, one process", rate, "per s"),
        row("internal steps / PG4", rate / pg4_of(figures), "x", ">= 0.1"),
    ]


GATE = {
    "name": "Gate",
    "steps": {
        "ask": {"approval": {"subject": "'x'"}, "queue": "bench-queue", "due": {"after": "1d"}},
        "then": {"agent": "bench.work", "needs": ["ask"]},
    },
}


def measure_resume(scene: Scene, figures: dict[str, Rows], count: int = 120) -> Rows:
    """From the decision's commit to the next step on offer, through the worker, by the ledger's own clock."""
    unit = make_unit()
    queue = make_queue(unit=unit, slug="bench-queue")
    workflow = make_workflow({**GATE, "slug": "bench-gate", "unit": unit.slug})
    make_worker(workflow, "bench.work")
    approver = make_approver(queue)
    token = create_token(approver, user=approver)
    console = system_user("console")
    runs = [start_run(console, workflow=workflow.slug, input={}) for _ in range(count)]
    scene.start_plane()
    answers = []
    with httpx.Client(base_url=scene.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        for run in runs:
            item = Escalation.objects.get(run_id=run.pk)
            body = {"verdict": "approve", "version": item.version}
            url = f"/api/v1/escalations/{item.pk}/decision/"
            answers.append(timed(lambda url=url, body=body: client.post(url, json=body).raise_for_status()))
            time.sleep(0.02)
    ends = time.monotonic() + 30
    open_steps = Step.objects.filter(run__in=runs, name="then", state="open")
    while open_steps.count() < count and time.monotonic() < ends:
        time.sleep(0.2)
    waits = []
    for run in runs:
        times = dict(
            Entry.objects.filter(trail_id=run.pk, name__in=["escalation.approved", "step.open"])
            .order_by("id")
            .values_list("name", "occurred_at")
        )
        waits.append((times["step.open"] - times["escalation.approved"]).total_seconds() * 1000)
    return [
        row("decision to next step, p50", statistics.median(waits), "ms"),
        row("decision to next step, p99", percentile(waits, 0.99), "ms", "<= 200"),
        row("decision POST over HTTP, p50", statistics.median(answers), "ms"),
        row("decision POST over HTTP, p99", percentile(answers, 0.99), "ms"),
    ]


def measure_inbox(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """The inbox of an approver whom 100,000 items wait for, beside a million decided ones and 200 colleagues.

    With ``--tenth`` a tenth of both.
    """
    from bench import inbox

    office = inbox.make_office()
    aim = "<= 150" if inbox.PENDING > MANY else "p50 <= 200"
    with signed_in(scene, office.approver) as client:
        return [
            *_waits(client, "/inbox/?view=mine", f"inbox, {inbox.PENDING:,} pending", aim),
            *_waits(client, f"/inbox/?view=mine&after={inbox.cursor_behind(client)}", "inbox, the next page", ""),
            *_waits(client, "/inbox/?view=decided", "inbox, what one decided", ""),
            *_waits(client, f"/inbox/{office.items[0]}/", "an item with its list", ""),
            *_waits(client, f"/inbox/{office.items[0]}/", "an item alone", "<= 200", headers=inbox.FRAGMENT),
            *inbox.measure_decisions(client, office.items[1:41]),
            *inbox.measure_bulk(client, office.items[100:]),
        ]


def measure_streams(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """200 open inboxes while the inbox changes 50 times a second for 20 seconds."""
    from django.db import transaction

    from apps.audit.services import record
    from apps.core.services import system_user
    from bench import streams
    from tests.factories.access import make_approver, make_queue
    from tests.factories.oversight import make_escalation

    queue = make_queue()
    people = [make_approver(queue) for _ in range(streams.STREAMS // streams.EACH)]
    scene.start_plane()

    plane, item = system_user("plane"), make_escalation(queue=queue)

    @transaction.atomic
    def arrive() -> int:
        return record(plane, item, "escalation.attempted").pk

    cookies = [streams.session_of(person) for person in people]
    found = streams.measure(scene.url, cookies, scene.processes[0].pid, arrive)
    return [
        row("200 open inboxes, a change is heard after, p50", found["p50_ms"], "ms"),
        row("200 open inboxes, a change is heard after, p95", found["p95_ms"], "ms", "<= 2000"),
        row("... at the latest", found["max_ms"], "ms"),
        row("... changes times inboxes never told", found["missed"], "", "0"),
        row("... changes a second", found["rate"], "/s"),
        row("... cores of the web process", found["cores"], "cores"),
    ]


def measure_stopping(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """Fifty open pages and an owner: from the answer that stopped something until they know."""
    from bench import stopping

    scene.start_plane()
    found: Rows = []
    for what, waits in stopping.measure(scene.url, rounds=20).items():
        for name, times in waits._asdict().items():
            found += [
                row(f"{what}: {stopping.WORDS[name]}, p50", statistics.median(times), "ms"),
                row(f"{what}: {stopping.WORDS[name]}, p95", percentile(times, 0.95), "ms", "<= 2000"),
                row("... at the latest", max(times), "ms"),
            ]
    return found


def measure_revoking(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """Ended at one web process, asked for at two: from the answer until neither takes it, at the latest of twenty."""
    from bench import revoking

    scene.start_plane()
    urls, rounds = (scene.url, scene.start_another()), 20
    ways = revoking.Ways()
    found = [
        row(f"{what}: refused after", max(revoking.refusal_times(make, urls, rounds=rounds)), "ms", "<= 1000")
        for what, make in ways.all()
    ]
    return found + [
        row(f"open pages, {what}: closed after", max(revoking.stream_times(end, urls, rounds=rounds)), "ms", "<= 1000")
        for what, end in ways.of_streams()
    ]


def _page(scene: Scene, person: Any, url: str, what: str, aim: str) -> Rows:
    """How long a signed-in person waits for a page of HTML."""
    with signed_in(scene, person) as client:
        return _waits(client, url, what, aim)


def _waits(client: httpx.Client, url: str, what: str, aim: str, **more: Any) -> Rows:
    client.get(url, **more).raise_for_status()
    times = [timed(lambda: client.get(url, **more).raise_for_status()) for _ in range(30)]
    return [
        row(f"{what}, p50", statistics.median(times), "ms"),
        row(f"{what}, p95", percentile(times, 0.95), "ms", aim),
    ]


@contextmanager
def signed_in(scene: Scene, person: Any) -> Iterator[httpx.Client]:
    """A person's session, as a browser holds it."""
    scene.start_plane()
    with httpx.Client(base_url=scene.url, timeout=60, follow_redirects=True) as client:
        form = client.get("/accounts/login/")
        token = form.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        client.post(
            "/accounts/login/",
            data={"login": person.username, "password": PASSWORD, "csrfmiddlewaretoken": token},
            headers={"Referer": scene.url},
        )
        yield client


def measure_dashboard(scene: Scene, figures: dict[str, Rows], runs: int = 100_000) -> Rows:
    """The executives' overview with a hundred thousand finished runs."""
    from bench.history import make_history

    make_history(runs)
    person = make_admin(password=PASSWORD)
    return _page(scene, person, "/dashboards/overview/?simulated=true", f"dashboard, {runs:,} runs", "<= 400")


def measure_simulate(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """Fifty rules on the past, on one core. The million is worked out from the rate, not run."""
    found: Rows = []
    for name, rules, alike in (
        ("plain rules", simulate.plain(50), True),
        ("rules on 3 KB, 200 vendors", policies.documents(50), True),
        ("rules on 3 KB, no two alike", policies.documents(50), False),
    ):
        pure = simulate.measure_pure(rules, alike=alike)
        busy, clock = simulate.measure_whole(rules, alike=alike)
        found += [
            row(f"{name}: in memory, two sets of 50", pure, "per s of processor"),
            row(f"{name}: of this process's time", busy, "per s of processor", "8,300"),
            row(f"{name}: database included", clock, "per s"),
            row(f"{name}: a million actions, worked out from that", simulate.MILLION / clock / 60, "min", "about 2"),
        ]
    return found


def measure_kpis(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """Figures over a year of history: made, shown, listed, kept up with, and what that costs."""
    from bench import kpis
    from bench.history import make_history

    console, workflow = system_user("console"), make_workflow({**CHAIN, "slug": "bench-figures"}).slug
    began = time.perf_counter()
    runs = make_history(kpis.RUNS, tell=lambda done: print(f"  {done:,} runs", flush=True))
    found = [
        row("finished runs in the history", runs, ""),
        row("... steps of them", kpis.steps(), ""),
        row("... came in at", runs / (time.perf_counter() - began), "runs/s"),
        row("... memory of the process at most", kpis.peak_mb(), "MB"),
    ]
    kpis.settle()
    rate, entries = kpis.fold_rate(console, workflow, 100)
    short, burst_runs = make_workflow({**chain(6), "slug": "bench-burst"}).slug, kpis.BURST_A_S * kpis.BURST_S
    burst_s, burst_cpu_s = kpis.burst(console, short, burst_runs)
    turns = kpis.slowdowns(console, workflow, scene.beside("-m", "bench.folding"))
    found += [
        row(f"the projection alone, of {entries:,} entries", rate, "entries/s"),
        row(f"{burst_runs:,} runs of 6 steps, ended before, until figures count them", burst_s, "s"),
        row("... processor time of the process that folds", burst_cpu_s, "s"),
        row(
            f"the last of {kpis.BURST_A_S} such runs a second for {kpis.BURST_S} s is late by, worked out",
            max(0.0, burst_s - kpis.BURST_S),
            "s",
            "< 15",
        ),
        row(
            "runs of 20 steps, alone / while figures follow",
            statistics.median(alone.rate / beside.rate for alone, beside in turns),
            "x",
            "<= 1.15",
        ),
        row(
            "... processor time of a run, while figures follow / alone",
            statistics.median(beside.cpu_ms / alone.cpu_ms for alone, beside in turns),
            "x",
        ),
        row("... its connection waited for a lock, alone", kpis.locked_share([one for one, _ in turns]), "%"),
        row(
            "... its connection waited for a lock, while figures follow",
            kpis.locked_share([one for _, one in turns]),
            "%",
        ),
        row("an XES of 262,200 events until its figures are there", kpis.import_seconds(), "s", "< 60"),
    ]
    count_ms, run = kpis.plain_count(), start_run(console, workflow=workflow, input={"n": 1})
    kpis.make_trace(run.pk)
    person = make_admin(password=PASSWORD)
    with signed_in(scene, person) as client:
        behind = f"/dashboards/expense-declaration/throughput/?{kpis.year()}"
        cold = kpis.cold_times(client)
        pages = [
            *_waits(client, f"/dashboards/overview/?{kpis.year()}", "overview of a year", "< 300"),
            row("a version's page of a year, never asked before, p50", statistics.median(cold), "ms"),
            row("a version's page of a year, never asked before, p95", percentile(cold, 0.95), "ms", "< 800"),
            *_waits(client, behind, "runs behind a figure, first page", "< 100"),
            *_waits(client, f"/runs/{run.pk}/", f"a run with {kpis.SPANS} spans", "< 150"),
        ]
        usual, _rate = kpis.lateness(console, workflow, runs=40, every_s=0.5)
        busy, busy_rate = kpis.lateness(console, workflow, runs=400, every_s=0.0)
    ratios = [row(f"{one['what']} / count", one["value"] / count_ms, "x") for one in pages if "p50" in one["what"]]
    return [
        *found,
        row("a plain count of all runs", count_ms, "ms"),
        *pages,
        *ratios,
        row("a run's end until its figure counts it, p50", statistics.median(usual), "s"),
        row("a run's end until its figure counts it, p95", percentile(usual, 0.95), "s", "< 5"),
        row(f"the same at {busy_rate:,.0f} runs of 20 steps a second, p95", percentile(busy, 0.95), "s", "< 15"),
    ]
