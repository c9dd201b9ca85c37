"""The projection of figures is killed as it writes: nothing is lost and nothing counts twice."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from apps.agents.models import Agent
from apps.core.services import system_user
from apps.telemetry.services import record_usage
from apps.workflows.models import Workflow
from apps.workflows.services import claim_tasks, complete_task, fail_task, start_run
from bench import killed
from tests.conftest import ROOT

RUNS, CLIENTS, ASKS_EACH = 400, 6, 8
"""Every eighth run asks an agent."""


def here(workflow: Workflow, agents: list[Agent]) -> killed.Work:
    """The clients' work without HTTP between."""

    def work(number: int, todo: Iterator[int]) -> None:
        user = agents[number].user
        for n in todo:
            asks = n % ASKS_EACH == 0
            start_run(system_user("console"), workflow=workflow.slug, input={"n": n, "asks": asks})
            tasks = []
            while asks and not tasks:
                tasks = claim_tasks(user)
            if not asks:
                continue
            (task,) = tasks
            lease = str(task.fence)
            if n % killed.TOLD_EACH == 0:
                record_usage(user, model="large", input_tokens=1000, output_tokens=100, task_id=task.pk)
            if n % killed.FAILS_EACH == 0:
                fail_task(user, task_id=task.pk, lease=lease, code="odd", message="No.", retryable=False)
            else:
                complete_task(user, task_id=task.pk, lease=lease, output={"n": n})

    return work


def test_figures_are_the_ledger_s_after_their_projection_was_killed_twice(real_db: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": real_db, "REDIS_URL": settings.REDIS_URL}

    def start_folding() -> "subprocess.Popen[bytes]":
        with (tmp_path / "folding.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bench.folding"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    workflow, agents = killed.make_agents(CLIENTS)
    work = here(workflow, agents)
    outcome = killed.run_all(work, runs=RUNS, clients=CLIENTS, start_folding=start_folding)
    assert outcome.kills == killed.KILLS, (tmp_path / "folding.log").read_text()
    assert killed.differences(RUNS) == {}
