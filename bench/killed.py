"""Runs that many clients finish while the projection of their figures is killed in the middle of its work."""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from django.db import connection, connections
from django.db.models import Sum
from uuid_utils.compat import uuid7

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.audit.services import read_on
from apps.kpis.models import CostItem, RollupDay, RunFact, StepFact
from apps.kpis.services.locks import PROJECTION_LOCK
from apps.kpis.services.rollups import reconcile_rollups
from apps.workflows.models import Run, Workflow
from tests.factories.agents import make_key_for
from tests.factories.workflows import make_worker, make_workflow

PROJECTION = "kpis"
STEP_ENDS = {"done", "failed"}
RUNS, CLIENTS, KILLS = 5000, 16, 2
FAILS_EACH, TOLD_EACH = 10, 3
"""Every tenth task fails for good, and of every third the tokens are told."""
FLOW: dict[str, Any] = {
    "name": "Killed",
    "input": {"type": "object", "properties": {"n": {"type": "integer"}, "asks": {"type": "boolean"}}},
    "steps": {
        "double": {"rule": {"value": "input.n * 2"}},
        "look": {"needs": ["double"], "when": "input.asks", "agent": "killed.look"},
    },
}
HELD = """
    SELECT EXISTS (
        SELECT FROM pg_locks
        JOIN pg_database ON pg_database.oid = pg_locks.database AND datname = current_database()
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND (classid::bigint << 32) | objid::bigint = hashtext(%s)::bigint
    )
"""

type Work = Callable[[int, Iterator[int]], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    seconds: float
    kills: int
    entries: int


def make_agents(clients: int, **fields: Any) -> tuple[Workflow, list[Agent]]:
    """The workflow, and an agent for each client."""
    workflow = make_workflow(FLOW, **fields)
    return workflow, [make_worker(workflow, "killed.look") for _ in range(clients)]


def over_http(url: str, workflow: Workflow, agents: list[Agent]) -> Work:
    """Each client starts a run, takes a task that may be another's, and ends it."""
    keys = [make_key_for(agent) for agent in agents]

    def work(number: int, todo: Iterator[int]) -> None:
        headers = {"Authorization": f"Bearer {keys[number]}"}
        with httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=120) as client:
            for n in todo:
                body = {"workflow": workflow.slug, "input": {"n": n, "asks": True}}
                client.post("/runs/", json=body, headers={"Idempotency-Key": str(uuid7())}).raise_for_status()
                _end_one(client, n)

    return work


def _end_one(client: httpx.Client, n: int) -> None:
    tasks: list[dict[str, Any]] = []
    while not tasks:
        tasks = client.post("/tasks/claim/", json={"limit": 1, "wait": 5}).raise_for_status().json()["tasks"]
    (task,) = tasks
    if n % TOLD_EACH == 0:
        used = {"model": "large", "input_tokens": 1000, "output_tokens": 100, "task": task["id"]}
        client.post("/usage/", json=used).raise_for_status()
    lease = {"lease": task["lease"]["token"]}
    if n % FAILS_EACH == 0:
        said = {**lease, "error": {"code": "odd", "message": "No."}, "retryable": False}
        client.post(f"/tasks/{task['id']}/fail/", json=said).raise_for_status()
    else:
        client.post(f"/tasks/{task['id']}/complete/", json={**lease, "output": {"n": n}}).raise_for_status()


def run_all(work: Work, *, runs: int, clients: int, start_folding: Callable[[], subprocess.Popen[bytes]]) -> Outcome:
    """All runs by all clients; meanwhile the projection is killed twice as it folds, and started again."""
    todo, began, kills = iter(range(runs)), time.perf_counter(), 0
    folding = start_folding()
    try:
        with ThreadPoolExecutor(clients) as pool:
            done = [pool.submit(_closing, work, number, todo) for number in range(clients)]
            while kills < KILLS:
                kills += kill_midway(folding)
                folding = start_folding()
            for one in done:
                one.result()
        seconds = time.perf_counter() - began
    finally:
        folding.kill()
        folding.wait()
    _read_to_the_end()
    return Outcome(seconds, kills, Entry.objects.count())


def _closing(work: Work, number: int, todo: Iterator[int]) -> None:
    try:
        work(number, todo)
    finally:
        connections.close_all()


def kill_midway(folding: "subprocess.Popen[bytes]") -> bool:
    """SIGKILL as soon as it writes facts; whether what it had begun came to nothing."""
    ends = time.monotonic() + 600
    while not _is_folding():
        assert time.monotonic() < ends, "nothing was folded"
        time.sleep(0.002)
    before = _read_so_far()
    folding.kill()
    folding.wait()
    while _is_folding():
        time.sleep(0.01)
    return before == _read_so_far()


def _is_folding() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(HELD, [PROJECTION_LOCK])
        return bool(cursor.fetchone()[0])


def _read_so_far() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT xid::text, entry_id FROM audit_cursor WHERE projection = %s", [PROJECTION])
        return cursor.fetchone()


def _read_to_the_end() -> None:
    """Until the projection has read the last entry; others' transactions may hold it back for a while."""
    last, ends = Entry.objects.order_by("xid", "id").last(), time.monotonic() + 300
    while last and _read_so_far() != (str(last.xid), last.pk):
        assert time.monotonic() < ends, "the projection does not come to the end"
        if not read_on(projection=PROJECTION):
            time.sleep(0.1)


def differences(runs: int) -> dict[str, tuple[Any, Any]]:
    """Where figures are not what the ledger and the runs say: what it is, what it should be."""
    ended = {name: Entry.objects.filter(name=f"run.{name}").count() for name in ("succeeded", "failed")}
    told = set(Entry.objects.filter(name="usage.recorded").values_list("subject_id", flat=True))
    steps = {
        one.subject_id for one in Entry.objects.filter(subject_kind="step") if one.payload.get("state") in STEP_ENDS
    }
    measures = RollupDay.objects.aggregate(*(Sum(name) for name in ("succeeded", "failed", "arrivals")))
    sums = {name.removesuffix("__sum"): value for name, value in measures.items()}
    of_runs = {(pk, state, _ms(at)) for pk, state, at in Run.objects.values_list("pk", "state", "finished_at")}
    facts = RunFact.objects.filter(superseded=False).values_list("run_id", "state", "finished_at")
    of_facts = {(pk, state, _ms(at)) for pk, state, at in facts}
    checks = {
        "runs": (len(of_runs), runs),
        "ended in the ledger": (sum(ended.values()), runs),
        "facts, whole": (of_facts ^ of_runs, set()),
        "facts of steps": (set(StepFact.objects.values_list("step_id", flat=True)) ^ steps, set()),
        "facts of usage": (set(CostItem.objects.values_list("source_id", flat=True)) ^ told, set()),
        "sums of the days": (sums, {**ended, "arrivals": runs}),
        "buckets that the nightly look would mend": (reconcile_rollups(), 0),
    }
    return {name: pair for name, pair in checks.items() if pair[0] != pair[1]}


def _ms(at: datetime | None) -> int:
    return int(at.timestamp() * 1000) if at else 0
