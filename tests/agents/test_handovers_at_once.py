"""A version's tasks go back to the queue while its agent ends one, with real commits."""

from threading import Event, Thread

import pytest
from django.db import connection, transaction

from apps.agents.models import Agent
from apps.core.services import system_user
from apps.workflows.models import Run, Task
from apps.workflows.services import return_tasks_of_version
from tests.agents.test_life import LOOK
from tests.factories.workflows import make_workflow, permit_workflow
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.usefixtures("real_db")
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


def test_neither_waits_for_the_other_for_ever():
    desk = make_desk(execution="both")
    Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
    permit_workflow(desk.agent, make_workflow(LOOK))
    desk.post("runs/", {"workflow": "look", "input": {}}, key="run")
    desk.post("tasks/claim/", {})
    task = Task.objects.get(state="claimed")
    done: list[int] = []

    def give_back() -> None:
        done.append(return_tasks_of_version(system_user("plane"), version_id=task.version_id))
        connection.close()

    other, rest = Thread(target=give_back, daemon=True), Event()
    with transaction.atomic():  # as whoever holds a task: first its run ...
        Run.objects.select_for_update(of=("self",)).get(pk=task.run_id)
        other.start()
        for _ in range(200):
            if is_somebody_waiting() or not other.is_alive():
                break
            rest.wait(0.05)
        Task.objects.select_for_update(of=("self",)).get(pk=task.pk)  # ... then the task
    other.join(timeout=30)
    assert done == [1]
